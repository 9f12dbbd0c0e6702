#pragma once

#include "base/time.hpp"
#include "caller/bench/carrier.hpp"
#include "media/frame.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace oavc::caller::bench {

/// Something a caller says: whole frames of µ-law, and where in them speech is.
struct Clip {
    std::vector<std::byte> ulaw;
    Clock::duration first_voiced{0};  ///< from the beginning to the first voiced sample
    Clock::duration last_voiced{0};   ///< … to the end of the last one

    std::size_t frames() const noexcept { return ulaw.size() / frame_bytes; }
    FrameBytes frame(std::size_t index) const noexcept {
        return std::span{ulaw}.subspan(index * frame_bytes).first<frame_bytes>();
    }
    Clock::duration length() const noexcept { return frames() * 20ms; }
};

/// 8 kHz. Nothing is voiced: both offsets are 0.
Clip make_clip(media::Samples speech);

/// How the callers of a crowd behave.
struct Habits {
    double talking{0.4};        ///< share of a call in which its caller speaks
    double interrupting{0.15};  ///< share of replies that are interrupted
    milliseconds shortest_call{60'000};
    milliseconds longest_call{120'000};
    /// Silence after the server spoke that means "your turn".
    milliseconds quiet{800};
    milliseconds greeting_wait{4'000};  ///< nobody greets us: we begin
    milliseconds reply_wait{6'000};     ///< no reply: we go on
    /// An interruption comes this long after the reply began, or up to twice that.
    milliseconds interrupt_after{700};
    /// Hangs up when its time has come, whatever is being said.
    bool abrupt{false};
    double noise_dbfs{-72};  ///< of the pauses; at -100 or less: digital silence
};

/// What callers say and how, shared by all of them: real speech, synthesised and encoded once.
/// Immutable, any thread.
class Script {
public:
    /// The sentences of the load test in the embedded voices. Throws std::runtime_error.
    explicit Script(Habits habits);
    /// `clips`: at least one, each with speech.
    Script(Habits habits, std::vector<Clip> clips);

    const Habits& habits() const noexcept { return habits_; }
    /// Shortest first.
    std::span<const Clip> clips() const noexcept { return clips_; }

    /// Audio of a pause. Any number; consecutive ones continue each other.
    FrameBytes pause(std::uint32_t number) const noexcept {
        return std::span{pause_}.subspan(number % pause_frames * frame_bytes).first<frame_bytes>();
    }

private:
    static constexpr std::size_t pause_frames = 64;

    const Habits habits_;
    std::vector<Clip> clips_;
    std::vector<std::byte> pause_;
};

}  // namespace oavc::caller::bench
