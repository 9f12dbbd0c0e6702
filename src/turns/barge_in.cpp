#include "turns/barge_in.hpp"

#include "turns/words.hpp"

namespace oavc::turns {

std::string_view to_string(BargeInStrategy strategy) noexcept {
    switch (strategy) {
        case BargeInStrategy::vad:
            return "vad";
        case BargeInStrategy::volume:
            return "volume";
        case BargeInStrategy::min_words:
            return "min_words";
    }
    return "unknown";
}

void BargeInJudge::begin(TimePoint onset, TimePoint reply_began) noexcept {
    active_ = true;
    onset_ = onset;
    protected_until_ = reply_began + config_.protection;
    ended_.reset();
    loud_since_.reset();
    loud_enough_ = false;
    enough_words_ = false;
    back_channel_ = false;
}

void BargeInJudge::on_speech_end(TimePoint last_voiced) noexcept { ended_ = last_voiced; }

void BargeInJudge::on_volume(double volume, TimePoint now) noexcept {
    if (!active_ || !config_.use_volume) return;
    if (volume < config_.volume_threshold) {
        loud_since_.reset();
        return;
    }
    if (!loud_since_) loud_since_ = now;
    if (now - *loud_since_ >= config_.volume_duration) loud_enough_ = true;
}

void BargeInJudge::on_words(std::string_view text) noexcept {
    if (!active_) return;
    back_channel_ = is_back_channel(text);
    if (config_.use_min_words && !back_channel_ && count_words(text) >= config_.min_words) {
        enough_words_ = true;
    }
}

std::optional<BargeInStrategy> BargeInJudge::verdict(TimePoint now) const noexcept {
    if (!active_ || now < protected_until_) return std::nullopt;
    if (enough_words_) return BargeInStrategy::min_words;
    if (loud_enough_ && !back_channel_) return BargeInStrategy::volume;
    if (config_.use_vad) {
        const auto spoken = (ended_ ? *ended_ : now) - onset_;
        const auto needed = back_channel_ ? longest_back_channel : config_.vad_duration;
        if (spoken >= needed) return BargeInStrategy::vad;
    }
    return std::nullopt;
}

bool BargeInJudge::dismissed(TimePoint now) const noexcept {
    if (!active_ || verdict(now)) return false;
    // While the sound lasts the vad strategy may still become sure; after it only words can.
    const auto from = ended_ ? *ended_ : onset_;
    return now - from >= config_.resume_after;
}

}  // namespace oavc::turns
