#pragma once

#include "base/time.hpp"
#include "turns/config.hpp"

#include <optional>
#include <string_view>

namespace oavc::turns {

/// `key`: the caller pressed one, which needs no judging.
enum class InterruptionStrategy { vad, volume, min_words, key };
std::string_view to_string(InterruptionStrategy strategy) noexcept;

/// Judges whether a caller who makes a sound while we speak wants to interrupt. The strategies run
/// together; the first that is sure decides. A caller who only acknowledges ("uh-huh", "evet") must
/// go on much longer before the vad strategy is sure.
class InterruptionHandler {
public:
    explicit InterruptionHandler(InterruptionConfig config) noexcept : config_{config} {}

    /// Possible speech began at `onset` while we spoke since `reply_began`.
    void begin(TimePoint onset, TimePoint reply_began) noexcept;
    /// One frame's volume, 0 … 1 (media/level.hpp), and when the latest voiced sample came: the
    /// speech detector's end comes much later, and its wait is no speech.
    void on_audio(double volume, TimePoint last_voiced, TimePoint now) noexcept;
    /// Words so far.
    void on_words(std::string_view text) noexcept;

    /// The strategy that is sure, if one is.
    std::optional<InterruptionStrategy> verdict(TimePoint now) const noexcept;

    /// True once nothing more can make it sure within `resume_after`: we go on speaking.
    bool dismissed(TimePoint now) const noexcept;

    bool active() const noexcept { return active_; }
    TimePoint onset() const noexcept { return onset_; }
    void end() noexcept { active_ = false; }

private:
    /// A back-channel this long is a speech of its own.
    static constexpr milliseconds longest_back_channel{700};

    InterruptionConfig config_;
    bool active_{false};
    TimePoint onset_{};
    TimePoint protected_until_{};
    TimePoint last_voiced_{};
    std::optional<TimePoint> loud_since_;
    bool loud_enough_{false};
    bool enough_words_{false};
    bool back_channel_{false};
};

}  // namespace oavc::turns
