#include "media/vad_gate.hpp"

#include <algorithm>
#include <utility>

namespace oavc::media {

namespace {

std::uint64_t samples_of(milliseconds duration, SampleRate rate) noexcept {
    return samples_in(std::max(duration, milliseconds{0}), rate);
}

}  // namespace

SpeechDetector::SpeechDetector(
    SampleRate rate, milliseconds min_speech, milliseconds min_silence, milliseconds hang_over
) noexcept
    : min_speech_{samples_of(min_speech, rate)},
      min_silence_{samples_of(min_silence, rate)},
      hang_over_{samples_of(hang_over, rate)} {}

std::optional<SpeechEvent> SpeechDetector::on_frame(
    VadDecisions decisions, std::size_t frame_samples
) noexcept {
    position_ += frame_samples;
    std::optional<SpeechEvent> event;
    for (const auto& decision : decisions) {
        const SamplePosition end = position_ - std::min<SamplePosition>(decision.age, position_);
        const std::uint64_t span = decision.span == 0 ? frame_samples : decision.span;
        const SamplePosition begin = end - std::min(span, end);
        if (!decision.voiced) {
            on_unvoiced(begin, end);
        } else if (const auto started = on_voiced(begin, end)) {
            event = started;
        }
    }
    // Only now: a pause that the frame's later decisions put an end to is none.
    if (event || !speaking_ || in_run_ || judged_ - last_voiced_ < min_silence_) return event;
    speaking_ = false;
    return SpeechEvent{SpeechEvent::Kind::stopped, first_voiced_, last_voiced_, position_};
}

std::optional<SpeechEvent> SpeechDetector::on_voiced(
    SamplePosition begin, SamplePosition end
) noexcept {
    begin = std::max(begin, voiced_to_);  // no audio counts twice
    if (end <= begin) return std::nullopt;
    judged_ = end;  // may step back: what follows is judged anew
    voiced_to_ = end;
    last_voiced_ = end;
    if (!std::exchange(in_run_, true)) run_began_ = begin;
    if (speaking_) return std::nullopt;

    if (evidence_ == 0) first_voiced_ = begin;
    evidence_ += end - begin;
    if (evidence_ < min_speech_) return std::nullopt;
    speaking_ = true;
    evidence_ = 0;
    return SpeechEvent{SpeechEvent::Kind::started, first_voiced_, last_voiced_, position_};
}

void SpeechDetector::on_unvoiced(SamplePosition begin, SamplePosition end) noexcept {
    begin = std::max(begin, judged_);
    if (end <= begin) return;
    judged_ = end;
    if (std::exchange(in_run_, false)) {
        // Never back over an earlier run: what is left of this one is its first sample's place.
        last_voiced_ = std::max(run_began_, last_voiced_ - std::min(last_voiced_, hang_over_));
    }
    if (!speaking_) evidence_ -= std::min(evidence_, end - begin);
}

void SpeechDetector::reset() noexcept {
    speaking_ = false;
    evidence_ = 0;
    in_run_ = false;
}

}  // namespace oavc::media
