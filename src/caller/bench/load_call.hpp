#pragma once

#include "base/time.hpp"
#include "caller/bench/carrier.hpp"
#include "caller/bench/figures.hpp"
#include "caller/bench/script.hpp"

#include <cstdint>
#include <optional>

namespace oavc::caller::bench {

/// What one RTP stream lost and how evenly it came.
class StreamWatch {
public:
    void on_packet(const Stamp& stamp, TimePoint at, Figures& figures) noexcept;
    /// RFC 3550 §6.4.1.
    Clock::duration jitter() const noexcept;
    bool started() const noexcept { return started_; }

private:
    bool started_{false};
    std::uint16_t highest_{0};
    std::uint64_t seen_{0};  ///< bit i: `highest_` - i came
    std::uint32_t last_timestamp_{0};
    TimePoint last_arrival_{};
    float jitter_us_{0};
};

/// One caller of a crowd, sans-I/O: answers, audio and time come in; frames, and the wish to hang
/// up, come out. It waits for its turn, speaks, sometimes interrupts, and hangs up after a while,
/// by ear alone, as TurnTaker does; here a caller is a few hundred bytes and a frame takes some
/// hundred instructions. Thread: one. Never allocates.
class LoadCall {
public:
    enum class State : std::uint8_t {
        idle,
        placed,
        waiting,  ///< answered or done speaking: for their voice
        hearing,  ///< their voice, and the pause after it
        speaking,
    };

    State state() const noexcept { return state_; }
    bool answered() const noexcept { return state_ >= State::waiting; }

    /// A new call. `seed`: for its choices. `script` outlives the call.
    void begin(const Script& script, std::uint32_t seed, TimePoint now) noexcept;
    void on_answered(TimePoint at, Figures& figures) noexcept;
    void on_heard(const Heard& heard, Figures& figures) noexcept;
    /// Refused, failed, hung up by either side: idle again.
    void end() noexcept { state_ = State::idle; }

    struct Tick {
        FrameBytes frame;
        bool speaks;  ///< `frame` is of something said
        bool hang_up;
    };
    /// Every 20 ms of an answered call.
    Tick tick(TimePoint now, Figures& figures) noexcept;

    TimePoint placed_at() const noexcept { return placed_; }
    const StreamWatch& stream() const noexcept { return stream_; }

private:
    const Clip* choose(TimePoint now) noexcept;
    void speak(const Clip& clip, bool interrupts, TimePoint now) noexcept;
    void on_voice(TimePoint first, TimePoint last, Figures& figures) noexcept;
    void watch_interruption(TimePoint now, Figures& figures) noexcept;
    FrameBytes speech(TimePoint now, Figures& figures) noexcept;
    std::uint32_t random() noexcept;
    bool chance(double probability) noexcept;

    // Given to us.
    const Script* script_{nullptr};
    // State.
    State state_{State::idle};
    bool greeted_{false};
    bool awaits_reply_{false};    ///< a latency is being measured
    bool will_interrupt_{false};  ///< the reply that is heard now
    bool interrupting_{false};    ///< they do not yet know
    std::uint16_t frame_{0};      ///< of `clip_`, next
    std::uint32_t random_{1};
    std::uint32_t pause_{0};
    const Clip* clip_{nullptr};
    Clock::duration length_{0};  ///< of the call
    Clock::duration talked_{0};
    TimePoint placed_{};
    TimePoint answered_{};
    TimePoint since_{};  ///< of `waiting`
    TimePoint interrupt_at_{};
    TimePoint onset_{};       ///< our first voiced sample of an interruption
    TimePoint last_sent_{};   ///< our last voiced sample
    TimePoint last_voice_{};  ///< theirs
    StreamWatch stream_;
};
static_assert(sizeof(LoadCall) <= 256, "thousands of these share a core's cache");

}  // namespace oavc::caller::bench
