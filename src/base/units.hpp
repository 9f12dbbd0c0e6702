#pragma once

#include "base/time.hpp"

#include <compare>
#include <cstddef>
#include <cstdint>

namespace oavc {

/// PCM samples per second. Not the RTP clock: G.722 samples at 16 kHz on an 8 kHz RTP clock
/// (RFC 3551 §4.5.2), so the two are different types.
struct SampleRate {
    std::uint32_t hz;
    friend constexpr auto operator<=>(const SampleRate&, const SampleRate&) = default;
};

inline constexpr SampleRate narrowband{8'000};
inline constexpr SampleRate wideband{16'000};

/// Samples per channel in `d`: samples_in(20ms, {8000}) == 160. `d` must be whole samples.
constexpr std::size_t samples_in(microseconds d, SampleRate rate) noexcept {
    return static_cast<std::size_t>(d.count()) * rate.hz / 1'000'000;
}
static_assert(samples_in(milliseconds{20}, narrowband) == 160);

/// Play time of `samples` samples of one channel, rounded down to the microsecond.
constexpr microseconds duration_of(std::size_t samples, SampleRate rate) noexcept {
    return microseconds{static_cast<std::int64_t>(samples * 1'000'000 / rate.hz)};
}
static_assert(duration_of(160, narrowband) == milliseconds{20});

/// One packet time of this system: what transports deliver and accept (RFC 3551 §4.2).
inline constexpr milliseconds frame_time{20};

}  // namespace oavc
