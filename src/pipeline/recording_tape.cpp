#include "pipeline/recording_tape.hpp"

#include <algorithm>

namespace oavc::pipeline {

namespace {

/// Beyond the time held back: what we sent ahead, and chunks that wait for the writer.
constexpr milliseconds slack = 4s;
/// Jitter of arrivals; a pause is longer.
constexpr milliseconds seam = 60ms;

}  // namespace

RecordingTape::RecordingTape(SampleRate rate, TimePoint began, milliseconds hold_back)
    : rate_{rate},
      began_{began},
      hold_back_{samples_in(hold_back, rate)},
      frames_{hold_back_ + samples_in(slack, rate)},
      ring_(frames_ * 2) {}

std::uint64_t RecordingTape::position(TimePoint at) const noexcept {
    if (at <= began_) return 0;
    return samples_in(std::chrono::duration_cast<microseconds>(at - began_), rate_);
}

void RecordingTape::put(Side side, media::Samples samples, TimePoint at_time) noexcept {
    const auto channel = static_cast<std::size_t>(side);
    auto& next = next_[channel];
    const auto wanted = position(at_time);
    if (wanted > next + samples_in(seam, rate_)) next = wanted;
    for (const auto sample : samples) {
        const auto frame = next++;
        if (muted_ || frame < taken_ || frame >= taken_ + frames_) continue;
        at(frame, channel) = sample;
    }
}

void RecordingTape::cut(TimePoint from) noexcept {
    constexpr auto us = static_cast<std::size_t>(Side::us);
    const auto first = std::max(position(from), taken_);
    for (auto frame = first; frame < next_[us] && frame < taken_ + frames_; ++frame)
        at(frame, us) = 0;
    next_[us] = std::min(next_[us], first);
}

void RecordingTape::erase(TimePoint from, TimePoint to) noexcept {
    const auto end = std::min(position(to), taken_ + frames_);
    for (auto frame = std::max(position(from), taken_); frame < end; ++frame) {
        at(frame, 0) = 0;
        at(frame, 1) = 0;
        ++erased_;
    }
}

bool RecordingTape::take(std::span<media::Sample> out, TimePoint now) noexcept {
    if (position(now) < taken_ + out.size() / 2 + hold_back_) return false;
    drain(out);
    return true;
}

std::size_t RecordingTape::left(TimePoint now) const noexcept {
    const auto end = std::max({position(now), next_[0], next_[1]});
    return end > taken_ ? static_cast<std::size_t>(std::min(end - taken_, frames_)) : 0;
}

void RecordingTape::drain(std::span<media::Sample> out) noexcept {
    for (std::size_t i = 0; i + 1 < out.size(); i += 2, ++taken_) {
        for (const std::size_t side : {0U, 1U}) {
            out[i + side] = at(taken_, side);
            at(taken_, side) = 0;
        }
    }
}

}  // namespace oavc::pipeline
