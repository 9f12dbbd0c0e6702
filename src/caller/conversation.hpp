#pragma once

#include "async/shard.hpp"
#include "async/signal.hpp"
#include "caller/line.hpp"
#include "caller/measure.hpp"
#include "caller/tape.hpp"
#include "caller/turn_taker.hpp"
#include "media/comfort_noise.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace oavc::caller {

/// Something the caller says.
struct Utterance {
    std::string label;  ///< for people: the text, or the file's name
    std::string text;   ///< what should be recognised; empty: not known (a recording)
    bool interrupts{false};
    std::vector<media::Sample> samples;  ///< 8 kHz
};

/// One call from dialling to hanging up: listens, takes turns, speaks, and keeps the tape. Thread:
/// its shard.
class Conversation final : private async::TickClient, private Ear {
public:
    struct Config {
        TurnTaker::Config turns;
        std::string digits;  ///< pressed before the first utterance
        Clock::duration longest{120s};
    };

    enum class End {
        not_answered,
        finished,  ///< we had said everything and hung up
        connector_ended,
        stopped,  ///< by `stop`
        too_long,
    };

    /// Told as it happens; `at` is time since the answer.
    struct Listener {
        std::function<void(const Dialled&)> answered;
        std::function<void(milliseconds at, const Utterance&)> speaks;
        std::function<void(milliseconds at, const std::string& why)> over;
    };

    Conversation(
        async::Shard& shard,
        Line& line,
        const std::vector<Utterance>& utterances,
        Config config,
        Listener listener
    );
    ~Conversation();
    Conversation(const Conversation&) = delete;
    Conversation& operator=(const Conversation&) = delete;

    /// Call once. Returns after the line has been hung up.
    asio::awaitable<End> run();

    /// Hangs up as soon as possible.
    void stop() noexcept;

    const Dialled& dialled() const noexcept { return dialled_; }
    const Tape& tape() const noexcept { return *tape_; }  ///< after an answer
    const std::vector<SpokenUtterance>& spoken() const noexcept { return spoken_; }
    TimePoint ended_at() const noexcept { return ended_at_; }
    const std::string& why_over() const noexcept { return why_over_; }
    std::size_t unanswered() const noexcept { return taker_.unanswered(); }
    bool complete() const noexcept { return spoken_.size() == utterances_.size(); }

private:
    void on_tick(TimePoint now) noexcept override;
    void on_heard(TimePoint at, media::Samples samples) noexcept override;
    void on_line_over(const std::string& why) noexcept override;
    void next_frame(TimePoint now, std::span<media::Sample> frame);
    void finish(End end) noexcept;
    milliseconds since_answer(TimePoint at) const noexcept;

    // Given to us.
    async::Shard& shard_;
    Line& line_;
    const std::vector<Utterance>& utterances_;
    const Config config_;
    const Listener listener_;
    // State.
    TurnTaker taker_;
    Dialled dialled_;
    std::optional<Tape> tape_;
    std::vector<SpokenUtterance> spoken_;
    bool speaking_{false};
    std::size_t position_{0};  ///< within the current utterance
    std::optional<TimePoint> last_voiced_;
    media::ComfortNoise noise_{-68.0, 1};
    std::optional<End> end_;
    TimePoint ended_at_{};
    std::string why_over_;
    async::Signal finished_;
};

}  // namespace oavc::caller
