#pragma once

#include "media/detail/resampler_engine.hpp"
#include "media/frame.hpp"

#include <cstddef>
#include <memory>
#include <vector>

namespace oavc::media::detail {

/// Weights of low_pass() for a rate `up` times or a `down`-th of the input's; one of them is 1.
/// A row for each of the `up` outputs between two inputs, which meets the `taps()` inputs around
/// it. Immutable: any thread.
class PolyphaseFilter {
public:
    static constexpr std::size_t max_ratio = 6;  ///< 48 kHz and 8 kHz
    static constexpr std::size_t max_taps = 288;

    /// Made at first use, shared by all calls. Ratios of 1 … max_ratio (OAVC_ASSERT).
    static const PolyphaseFilter& of(std::size_t up, std::size_t down);

    PolyphaseFilter(std::size_t up, std::size_t down);

    std::size_t up() const noexcept { return up_; }
    std::size_t down() const noexcept { return down_; }
    /// Inputs that an output waits for, beyond the one at its own time.
    std::size_t ahead() const noexcept { return taps_ / 2; }
    std::size_t taps() const noexcept { return taps_; }
    const float* row(std::size_t phase) const noexcept { return &weights_[phase * taps_]; }

private:
    std::size_t up_;
    std::size_t down_;
    std::size_t taps_;
    std::vector<float> weights_;
};

/// Makes what it can of `held` followed by `block`; returns at how many places it did, each of
/// which gave `up` samples and lies `down` inputs after the one before. `held`: less than taps();
/// `block`: at most polyphase_block. Sums are taken in the same order for every output.
using PolyphaseKernel = std::size_t (*)(
    const PolyphaseFilter& filter, Samples held, Samples block, Sample* out
) noexcept;
inline constexpr std::size_t polyphase_block = 320;

/// For the processor at hand: AVX2 and FMA where it has them.
PolyphaseKernel polyphase_kernel() noexcept;

/// For any processor of the architecture. Its sums are not fused: samples may differ by 1.
std::size_t polyphase_kernel_baseline(
    const PolyphaseFilter& filter, Samples held, Samples block, Sample* out
) noexcept;

/// A stream of its own over a shared filter, which outlives it: some 200 bytes for 8 to 16 kHz.
std::unique_ptr<ResamplerEngine> make_polyphase_resampler(
    const PolyphaseFilter& filter, PolyphaseKernel kernel = polyphase_kernel()
);

}  // namespace oavc::media::detail
