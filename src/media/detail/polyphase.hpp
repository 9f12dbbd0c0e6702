#pragma once

#include "media/detail/resampler_engine.hpp"
#include "media/frame.hpp"

#include <cstddef>
#include <memory>
#include <vector>

namespace oavc::media::detail {

/// Weights of low_pass() for `up` outputs in the time of `down` inputs, which have no divisor in
/// common. A row for each of the `up` places that an output can have between two inputs; it meets
/// the `taps()` inputs around it. Immutable: any thread.
class PolyphaseFilter {
public:
    static constexpr std::size_t max_ratio = 6;  ///< 48 kHz and 8 kHz
    static constexpr std::size_t max_taps = 288;
    static constexpr std::size_t max_bytes = 256 * 1024;  ///< what caches hold

    /// Whether one rate is at most max_ratio times the other, and the weights are few enough: those
    /// from 22.05 kHz to 8 kHz are 85 KiB.
    static bool is_possible(std::size_t up, std::size_t down) noexcept;

    /// Made at first use, which takes 1 to 2 ms where both are above 1, and shared by all calls.
    /// Only what is_possible() (OAVC_ASSERT).
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

/// How far a stream came: the first output to come lies `phase` rows behind the input that is
/// `inputs` further than where it began.
struct PolyphaseProgress {
    std::size_t outputs{0};
    std::size_t inputs{0};
    std::size_t phase{0};
};

/// Makes what outputs it can of `held` followed by `block`, beginning `phase` rows behind the
/// first. `held`: less than taps(); `block`: at most polyphase_block. Sums are taken in the same
/// order for every output.
using PolyphaseKernel = PolyphaseProgress (*)(
    const PolyphaseFilter& filter, std::size_t phase, Samples held, Samples block, Sample* out
) noexcept;
inline constexpr std::size_t polyphase_block = 320;

/// For the processor at hand: AVX2 and FMA where it has them.
PolyphaseKernel polyphase_kernel() noexcept;

/// For any processor of the architecture. Its sums are not fused: samples may differ by 1.
PolyphaseProgress polyphase_kernel_baseline(
    const PolyphaseFilter& filter, std::size_t phase, Samples held, Samples block, Sample* out
) noexcept;

/// A stream of its own over a shared filter, which outlives it: some 200 bytes for 8 to 16 kHz.
std::unique_ptr<ResamplerEngine> make_polyphase_resampler(
    const PolyphaseFilter& filter, PolyphaseKernel kernel = polyphase_kernel()
);

}  // namespace oavc::media::detail
