#include "turns/interruption_handler.hpp"

#include "turns/words.hpp"

#include <algorithm>

namespace oavc::turns {

std::string_view to_string(InterruptionStrategy strategy) noexcept {
    switch (strategy) {
        case InterruptionStrategy::vad:
            return "vad";
        case InterruptionStrategy::volume:
            return "volume";
        case InterruptionStrategy::min_words:
            return "min_words";
        case InterruptionStrategy::key:
            return "key";
    }
    return "unknown";
}

void InterruptionHandler::begin(TimePoint onset, TimePoint reply_began) noexcept {
    active_ = true;
    onset_ = onset;
    protected_until_ = reply_began + config_.protection;
    last_voiced_ = onset;
    loud_since_.reset();
    loud_enough_ = false;
    enough_words_ = false;
    back_channel_ = false;
}

void InterruptionHandler::on_audio(double volume, TimePoint last_voiced, TimePoint now) noexcept {
    if (!active_) return;
    last_voiced_ = std::max(last_voiced_, last_voiced);
    if (!config_.use_volume) return;
    if (volume < config_.volume_threshold) {
        loud_since_.reset();
        return;
    }
    if (!loud_since_) loud_since_ = now;
    if (now - *loud_since_ >= config_.volume_duration) loud_enough_ = true;
}

void InterruptionHandler::on_words(std::string_view text) noexcept {
    if (!active_) return;
    back_channel_ = is_back_channel(text);
    if (config_.use_min_words && !back_channel_ && count_words(text) >= config_.min_words) {
        enough_words_ = true;
    }
}

std::optional<InterruptionStrategy> InterruptionHandler::verdict(TimePoint now) const noexcept {
    if (!active_ || now < protected_until_) return std::nullopt;
    if (enough_words_) return InterruptionStrategy::min_words;
    if (loud_enough_ && !back_channel_) return InterruptionStrategy::volume;
    if (config_.use_vad) {
        const auto spoken = last_voiced_ - onset_;
        const auto needed = back_channel_ ? longest_back_channel : config_.vad_duration;
        if (spoken >= needed) return InterruptionStrategy::vad;
    }
    return std::nullopt;
}

bool InterruptionHandler::dismissed(TimePoint now) const noexcept {
    if (!active_ || verdict(now)) return false;
    // While the sound lasts a strategy may still become sure; after it only words can.
    return now - last_voiced_ >= config_.resume_after;
}

}  // namespace oavc::turns
