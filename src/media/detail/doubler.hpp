#pragma once

#include "media/detail/low_pass.hpp"
#include "media/detail/silero_model.hpp"

#include <array>
#include <cstddef>
#include <span>

namespace oavc::media::detail {

/// From 8 to 16 kHz, one window of Silero's at a time, in the numbers that the network takes: what
/// Resampler does to a stream. Immutable: any thread.
class Doubler {
public:
    static constexpr std::size_t taps = 2 * low_pass_reach;  ///< 6 ms at 8 kHz
    static constexpr std::size_t behind = taps / 2 - 1;
    static constexpr std::size_t ahead = taps / 2;
    static constexpr std::size_t output = SileroModel::window;
    static constexpr std::size_t input = behind + output / 2 + ahead;

    Doubler();

    /// `line`: half a window's samples with `behind` more before and `ahead` more after them.
    void run(std::span<const float, input> line, std::span<float, output> window) const noexcept;

private:
    /// Weights of a sample's neighbours for the value at its time, and half a sample later.
    std::array<std::array<float, taps>, 2> weights_;
    void (*run_)(const Doubler&, const float* line, float* window) noexcept;

    template <std::size_t Blocks>
    void convolve(const float* line, float* window) const noexcept;
    static void run_baseline(const Doubler& self, const float* line, float* window) noexcept;
#if defined(__x86_64__)
    static void run_avx2(const Doubler& self, const float* line, float* window) noexcept;
#endif
};

/// Made once.
const Doubler& doubler();

}  // namespace oavc::media::detail
