#pragma once

#include "media/frame.hpp"

#include <algorithm>
#include <cmath>

namespace oavc::media {

/// What digital silence measures: below anything 16 bits can hold.
inline constexpr double silence_dbfs = -100.0;

/// RMS level against full scale (a full-scale square wave is 0, a sine -3.01). Empty: silence.
inline double rms_dbfs(Samples samples) noexcept {
    if (samples.empty()) return silence_dbfs;
    std::int64_t energy = 0;
    for (const Sample s : samples)
        energy += std::int32_t{s} * s;
    if (energy == 0) return silence_dbfs;
    const auto mean = static_cast<double>(energy) / static_cast<double>(samples.size());
    return std::max(silence_dbfs, 10.0 * std::log10(mean / (32'768.0 * 32'768.0)));
}

/// Loudness 0 … 1 for the volume strategy of interruption: linear in decibels, 0 at -60 dBFS and
/// below, 1 at -6 dBFS and above; 0.6 is -27.6 dBFS.
inline double volume(double dbfs) noexcept { return std::clamp((dbfs + 60.0) / 54.0, 0.0, 1.0); }
inline double volume(Samples samples) noexcept { return volume(rms_dbfs(samples)); }

/// The energy gate that all latencies on the wire are measured with: a frame louder than this is
/// voiced. 10 dB over the quantisation noise of G.711 and comfort noise, 10 dB under quiet speech.
inline constexpr double voiced_dbfs = -50.0;
inline bool is_voiced(Samples samples) noexcept { return rms_dbfs(samples) > voiced_dbfs; }

}  // namespace oavc::media
