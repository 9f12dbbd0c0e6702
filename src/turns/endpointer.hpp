#pragma once

#include "base/time.hpp"

#include <optional>
#include <string_view>

namespace oavc::turns {

struct EndpointerConfig {
    /// Silence after the last voiced sample that ends a turn.
    milliseconds silence{500};
    /// … when the words so far look unfinished ("and", digits): twice as long, at most this.
    milliseconds silence_unfinished{1000};
    /// … when they end like a sentence.
    milliseconds silence_finished{400};
};

/// Decides that the caller's turn ended. Time comes in; it has no clock.
///
///     voiced ▆▆▆▆▆▆▆▆▆▁▁▁▁▁▁▁▁▁▁▁▁
///                    │← silence →│ ended
///               last voiced     deadline
class Endpointer {
public:
    explicit Endpointer(EndpointerConfig config) noexcept : config_{config} {}

    void on_speech_start() noexcept { silent_since_.reset(); }

    /// `last_voiced` lies before the moment of detection: the detector waits for silence itself.
    void on_speech_end(TimePoint last_voiced) noexcept { silent_since_ = last_voiced; }

    /// The recogniser's words so far; they shorten or lengthen the wait.
    void on_words(std::string_view text) noexcept;

    /// When the turn will have ended if nothing else happens; nothing while the caller speaks.
    std::optional<TimePoint> deadline() const noexcept {
        if (!silent_since_) return std::nullopt;
        return *silent_since_ + wait_;
    }
    bool ended(TimePoint now) const noexcept {
        const auto end = deadline();
        return end && now >= *end;
    }
    void reset() noexcept {
        silent_since_.reset();
        wait_ = config_.silence;
    }

private:
    EndpointerConfig config_;
    std::optional<TimePoint> silent_since_;
    milliseconds wait_{config_.silence};
};

}  // namespace oavc::turns
