#include "media/detail/doubler.hpp"

#include <cstring>

namespace oavc::media::detail {

namespace {

/// Eight floats. Two registers where the processor has only four to a register.
using Vector = float __attribute__((vector_size(32)));
constexpr std::size_t lanes = 8;

}  // namespace

Doubler::Doubler() : run_{run_baseline} {
    for (std::size_t phase = 0; phase < 2; ++phase) {
        for (std::size_t tap = 0; tap < taps; ++tap) {
            const double t = static_cast<double>(tap) - behind - static_cast<double>(phase) / 2;
            weights_[phase][tap] = static_cast<float>(low_pass(t));
        }
    }
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0) run_ = run_avx2;
#endif
}

/// `Blocks` vectors of sums for either phase at a time: as many as fit in registers.
template <std::size_t Blocks>
[[gnu::always_inline]] inline void Doubler::convolve(const float* line, float* window)
    const noexcept {
    constexpr std::size_t step = Blocks * lanes;
    static_assert(output / 2 % step == 0);
    for (std::size_t i = 0; i < output / 2; i += step) {
        Vector sums[2][Blocks]{};
        for (std::size_t tap = 0; tap < taps; ++tap) {
            for (std::size_t block = 0; block < Blocks; ++block) {
                Vector samples;
                std::memcpy(&samples, line + i + block * lanes + tap, sizeof samples);
                sums[0][block] += weights_[0][tap] * samples;
                sums[1][block] += weights_[1][tap] * samples;
            }
        }
        for (std::size_t block = 0; block < Blocks; ++block) {
            const auto& even = sums[0][block];
            const auto& odd = sums[1][block];
            const Vector first = __builtin_shufflevector(even, odd, 0, 8, 1, 9, 2, 10, 3, 11);
            const Vector second = __builtin_shufflevector(even, odd, 4, 12, 5, 13, 6, 14, 7, 15);
            float* const to = window + 2 * (i + block * lanes);
            std::memcpy(to, &first, sizeof first);
            std::memcpy(to + lanes, &second, sizeof second);
        }
    }
}

void Doubler::run_baseline(const Doubler& self, const float* line, float* window) noexcept {
    self.convolve<2>(line, window);
}

#if defined(__x86_64__)
[[gnu::target("avx2,fma")]] void Doubler::run_avx2(
    const Doubler& self, const float* line, float* window
) noexcept {
    self.convolve<4>(line, window);
}
#endif

void Doubler::run(std::span<const float, input> line, std::span<float, output> window)
    const noexcept {
    run_(*this, line.data(), window.data());
}

const Doubler& doubler() {
    static const Doubler made;
    return made;
}

}  // namespace oavc::media::detail
