#pragma once

#include "media/frame.hpp"

#include <cstddef>

namespace oavc::media::detail {

/// The conversions of `count` samples, compiled for one instruction set. What one reads and what it
/// writes do not overlap.
struct G711Loops {
    using Encode = void (*)(const Sample* in, std::byte* out, std::size_t count) noexcept;
    using Decode = void (*)(const std::byte* in, Sample* out, std::size_t count) noexcept;

    Encode ulaw_encode;
    Encode alaw_encode;
    Decode ulaw_decode;
    Decode alaw_decode;
};

/// For the processor at hand: AVX2 where it has it.
const G711Loops& g711_loops() noexcept;

/// For any processor of the architecture; the same results.
extern const G711Loops g711_loops_baseline;

}  // namespace oavc::media::detail
