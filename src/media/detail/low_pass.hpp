#pragma once

#include <cstddef>

namespace oavc::media::detail {

/// How far the filter of our resamplers sees to either side, in samples of the slower rate: 3 ms
/// at 8 kHz.
inline constexpr std::size_t low_pass_reach = 24;

/// Its impulse response, `t` in samples of the slower rate: a sinc under a Kaiser window (β = 8),
/// 6 dB down at 0.917 of the slower rate's bandwidth; 0 from low_pass_reach on. At 8 kHz: flat to
/// 3.2 kHz, and from 4.1 kHz on 80 dB down.
double low_pass(double t);

}  // namespace oavc::media::detail
