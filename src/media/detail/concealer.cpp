#include "media/detail/concealer.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>

namespace oavc::media::detail {
namespace {

// Full loudness for 10 ms, for most losses are of one packet; nothing after 60 ms, for a sound
// that goes on unchanged is a buzz (G.711 Appendix I).
constexpr std::size_t steady = samples_in(milliseconds{10}, narrowband);
constexpr std::size_t faded = samples_in(milliseconds{60}, narrowband);

Sample round(float value) noexcept {
    return static_cast<Sample>(std::lrint(std::clamp(value, -32'768.0F, 32'767.0F)));
}

/// The lag at which `now` is most like what was before it, by the sum of magnitude differences.
std::size_t find_lag(
    std::span<const Sample> all, std::size_t compare, std::size_t from, std::size_t to
) noexcept {
    const auto now = all.last(compare);
    std::size_t best = to;
    auto least = std::numeric_limits<std::int64_t>::max();
    for (std::size_t lag = from; lag <= to; ++lag) {
        const auto before = all.subspan(all.size() - compare - lag, compare);
        std::int32_t sum = 0;  // at most 320 · 65'535
        for (std::size_t i = 0; i < compare; ++i)
            sum += std::abs(std::int32_t{now[i]} - before[i]);
        if (sum < least) {
            least = sum;
            best = lag;
        }
    }
    return best;
}

}  // namespace

void Concealer::reset(SampleRate rate) noexcept {
    OAVC_ASSERT(rate == narrowband || rate == wideband);
    scale_ = rate.hz / narrowband.hz;
    longest_ = samples_in(milliseconds{100}, rate);
    run_ = longest_;
    lag_ = 0;
    history_ = {};
}

/// The last period becomes a cycle whose end runs into its own beginning.
void Concealer::begin() noexcept {
    const std::span<const Sample> all = history();
    lag_ = find_lag(all, compared * scale_, shortest_lag * scale_, longest_lag * scale_);
    at_ = 0;
    const auto overlap = lag_ / 4;
    const auto last = all.last(lag_);
    const auto before = all.last(2 * lag_).first(lag_);
    for (std::size_t i = 0; i < lag_; ++i) {
        const auto into_overlap = i + overlap >= lag_ ? i + overlap - lag_ + 1 : 0;
        const float w = static_cast<float>(into_overlap) / static_cast<float>(overlap);
        cycle_[i] =
            round(static_cast<float>(last[i]) * (1 - w) + static_cast<float>(before[i]) * w);
    }
}

float Concealer::next() noexcept {
    const float sample = cycle_[at_];
    if (++at_ == lag_) at_ = 0;
    const auto age = run_ / scale_;
    if (age < steady) return sample;
    if (age >= faded) return 0;
    return sample * static_cast<float>(faded - age) / static_cast<float>(faded - steady);
}

void Concealer::on_real(std::span<Sample> samples) noexcept {
    if (samples.empty()) return;
    if (run_ > 0 && run_ < longest_) {
        const auto overlap = lag_ / 4;
        const auto blended = std::min(samples.size(), overlap);
        for (std::size_t i = 0; i < blended; ++i) {
            const float w = static_cast<float>(i + 1) / static_cast<float>(overlap + 1);
            samples[i] = round(static_cast<float>(samples[i]) * w + next() * (1 - w));
            ++run_;
        }
    }
    run_ = 0;
    const auto all = history();
    const auto last = samples.last(std::min(samples.size(), all.size()));
    std::shift_left(all.begin(), all.end(), static_cast<std::ptrdiff_t>(last.size()));
    std::ranges::copy(last, all.end() - static_cast<std::ptrdiff_t>(last.size()));
}

bool Concealer::fill(std::span<Sample> out) noexcept {
    const auto made = std::min(out.size(), longest_ - run_);
    if (made > 0 && run_ == 0) begin();
    const std::span<const Sample> all = history();
    const auto overlap = lag_ / 4;
    for (Sample& sample : out.first(made)) {
        const auto n = run_;
        float value = next();
        if (n < overlap) {  // out of the last real samples, mirrored
            const float w = static_cast<float>(n + 1) / static_cast<float>(overlap + 1);
            value = value * w + static_cast<float>(all[all.size() - 1 - n]) * (1 - w);
        }
        sample = round(value);
        ++run_;
    }
    std::ranges::fill(out.subspan(made), Sample{0});
    return made > 0;
}

}  // namespace oavc::media::detail
