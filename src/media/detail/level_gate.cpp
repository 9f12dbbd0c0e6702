#include "media/detail/level_gate.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <cstring>

namespace oavc::media::detail {

namespace {

/// Four floats: one register on any processor.
using Vector = float __attribute__((vector_size(16)));
constexpr std::size_t lanes = 4;

/// -78 dBFS: what is hardly louder is nobody's voice. G.711's smallest step is at -72.
constexpr float faintest = 16;
/// 3 dB. Steady noise, whose power over 20 ms varies by a few tenths of a decibel, stays below.
constexpr float margin = 2;
/// Of a frame in the mean that the floor is taken from: some 60 ms.
constexpr float weight = 0.3F;

float sum(const Vector& v) noexcept { return v[0] + v[1] + v[2] + v[3]; }

}  // namespace

LevelGate::Powers LevelGate::measure(Samples frame) noexcept {
    constexpr std::size_t most = samples_in(frame_time, wideband);
    OAVC_ASSERT(frame.size() >= most_lag && frame.size() <= most);
    OAVC_ASSERT(frame.size() % lanes == 0);
    const std::size_t lag = frame.size() / 40;  // of 20 ms: half a millisecond
    std::array<float, most_lag + most> signal;
    for (std::size_t i = 0; i < most_lag; ++i)
        signal[i] = before_[i];
    for (std::size_t i = 0; i < frame.size(); ++i)
        signal[most_lag + i] = frame[i];
    std::ranges::copy(frame.last(most_lag), before_.begin());

    Vector voice{};
    Vector first{};
    Vector second{};
    for (std::size_t i = most_lag; i < most_lag + frame.size(); i += lanes) {
        const auto at = [&](std::size_t back) {
            Vector samples;
            std::memcpy(&samples, &signal[i - back], sizeof samples);
            return samples;
        };
        const Vector now = at(0);
        const Vector one_ago = at(1);
        const Vector swing = now - at(lag);
        const Vector difference = now - one_ago;
        const Vector bend = difference - (one_ago - at(2));
        voice += swing * swing;
        first += difference * difference;
        second += bend * bend;
    }
    const auto count = static_cast<float>(frame.size());
    return {sum(voice) / count, sum(first) / count, sum(second) / count};
}

bool LevelGate::Floor::above(float power) noexcept {
    float floor = begun_ ? current_ : 0;  // nothing known yet: whatever is audible is above
    for (std::size_t i = 0; i < full_; ++i)
        floor = std::min(floor, least_[i]);

    mean_ = begun_ ? mean_ + weight * (power - mean_) : power;
    current_ = begun_ ? std::min(current_, mean_) : mean_;
    begun_ = true;
    if (++frames_ == frames_per_slot) {
        frames_ = 0;
        least_[next_] = current_;
        next_ = (next_ + 1) % slots;
        full_ = std::min(full_ + 1, slots);
        current_ = mean_;
    }
    return power > margin * std::max(floor, faintest);
}

bool LevelGate::open(Samples frame) noexcept {
    const auto powers = measure(frame);
    bool open = false;
    for (std::size_t band = 0; band < bands; ++band) {
        if (floors_[band].above(powers[band])) open = true;  // each of them learns
    }
    return open;
}

}  // namespace oavc::media::detail
