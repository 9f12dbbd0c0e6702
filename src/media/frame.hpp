#pragma once

#include "base/units.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace oavc::media {

/// Signed 16-bit PCM, mono, host byte order.
using Sample = std::int16_t;
using Samples = std::span<const Sample>;

/// What a transport delivers and accepts: s16 mono PCM, one frame per `ptime`.
struct AudioFormat {
    SampleRate rate{narrowband};
    milliseconds ptime{frame_time};

    constexpr std::size_t samples_per_frame() const noexcept { return samples_in(ptime, rate); }
    friend constexpr bool operator==(const AudioFormat&, const AudioFormat&) = default;
};

/// Borrowed PCM: valid for the length of the call it is passed to.
struct FrameView {
    Samples samples;
    SampleRate rate;

    constexpr microseconds duration() const noexcept { return duration_of(samples.size(), rate); }
};

/// The largest frame we handle: 20 ms at 48 kHz.
inline constexpr std::size_t max_frame_samples = 960;

}  // namespace oavc::media
