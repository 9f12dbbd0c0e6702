#pragma once

#include "base/time.hpp"

#include <cstddef>
#include <optional>
#include <vector>

namespace oavc::caller {

/// When a polite caller speaks, decided by ear alone: after the other side has spoken and then been
/// silent for a while; or, told to interrupt, some time after its reply began. Every wait has a
/// bound. Sans-I/O: time and what was heard come in, once per tick.
class TurnTaker {
public:
    struct Config {
        milliseconds greeting_wait{4'000};  ///< nobody greets us: we begin
        milliseconds quiet{800};  ///< silence after speech that means "your turn"; longer than
                                  ///< the pause between two sentences
        milliseconds reply_wait{12'000};  ///< no reply: we go on
        milliseconds longest_reply{60'000};
        milliseconds interrupt_after{1'500};
    };

    enum class Action { listen, speak, hang_up };

    /// `interrupts[i]`: utterance i is spoken over the reply to the one before.
    TurnTaker(Config config, std::vector<bool> interrupts);

    /// `voiced`: the connector's voice was heard since the last call. After `speak` the caller
    /// plays utterance `current()` and reports its end by `on_spoken`.
    Action on_tick(TimePoint now, bool voiced);
    void on_spoken(TimePoint now);

    std::size_t current() const noexcept { return current_; }
    /// The current utterance is spoken over the connector's voice.
    bool interrupting() const noexcept { return interrupting_; }
    /// Replies that did not come within `reply_wait`.
    std::size_t unanswered() const noexcept { return unanswered_; }

private:
    enum class State { waiting, hearing, speaking, done };

    Action take_turn(bool interrupt);

    const Config config_;
    const std::vector<bool> interrupts_;
    State state_{State::waiting};
    std::size_t next_{0};
    std::size_t current_{0};
    bool interrupting_{false};
    std::size_t unanswered_{0};
    std::optional<TimePoint> waiting_since_;
    TimePoint reply_since_{};
    TimePoint last_voiced_{};
};

}  // namespace oavc::caller
