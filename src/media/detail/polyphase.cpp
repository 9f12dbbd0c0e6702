#include "media/detail/polyphase.hpp"

#include "base/assert.hpp"
#include "media/detail/low_pass.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <mutex>

// Inlined into one function per instruction set.
#define OAVC_INLINE [[gnu::always_inline]] inline

namespace oavc::media::detail {

namespace {

/// Eight floats. Two registers where the processor has only four to a register.
using Vector = float __attribute__((vector_size(32)));
using IntVector = std::int32_t __attribute__((vector_size(32)));
using SampleVector = Sample __attribute__((vector_size(16)));
constexpr std::size_t lanes = 8;

/// Outputs that are made at a time: each weight is loaded once for all of them.
constexpr std::size_t rows = lanes;

/// total[i] = sum of sums[i]
OAVC_INLINE void add_up(const Vector (&sums)[rows], Vector& total) noexcept {
    Vector pairs[rows / 2];
    for (std::size_t i = 0; i < rows / 2; ++i) {
        const Vector& a = sums[2 * i];
        const Vector& b = sums[2 * i + 1];
        pairs[i] = __builtin_shufflevector(a, b, 0, 8, 2, 10, 4, 12, 6, 14) +
                   __builtin_shufflevector(a, b, 1, 9, 3, 11, 5, 13, 7, 15);
    }
    Vector fours[2];
    for (std::size_t i = 0; i < 2; ++i) {
        const Vector& a = pairs[2 * i];
        const Vector& b = pairs[2 * i + 1];
        fours[i] = __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13) +
                   __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15);
    }
    total = __builtin_shufflevector(fours[0], fours[1], 0, 1, 2, 3, 8, 9, 10, 11) +
            __builtin_shufflevector(fours[0], fours[1], 4, 5, 6, 7, 12, 13, 14, 15);
}

/// Rounded, and held to 16 bits.
OAVC_INLINE SampleVector to_samples(const Vector& sums) noexcept {
    const Vector most = Vector{} + 32'767.0F;
    const Vector least = Vector{} - 32'768.0F;
    Vector values = sums > most ? most : sums;
    values = values < least ? least : values;
    // A sum whose last bit is worth 1: it is rounded, and its lower 16 bits are the sample.
    values += static_cast<float>(3 << 22);
    IntVector bits;
    std::memcpy(&bits, &values, sizeof bits);
    return __builtin_convertvector(bits, SampleVector);
}

/// out[n · stride] = Σ weights[i] · line[n · step + i] for `count` outputs. Reads the line as far
/// as if `count` were a multiple of `rows`.
OAVC_INLINE void convolve(
    const float* line,
    std::size_t step,
    const float* weights,
    std::size_t taps,
    Sample* out,
    std::size_t stride,
    std::size_t count
) noexcept {
    for (std::size_t done = 0; done < count; done += rows, line += rows * step) {
        Vector sums[rows]{};
        for (std::size_t tap = 0; tap < taps; tap += lanes) {
            Vector weight;
            std::memcpy(&weight, weights + tap, sizeof weight);
            for (std::size_t row = 0; row < rows; ++row) {
                Vector values;
                std::memcpy(&values, line + row * step + tap, sizeof values);
                sums[row] += weight * values;
            }
        }
        Vector total;
        add_up(sums, total);
        const SampleVector samples = to_samples(total);
        if (count - done >= rows) {
            for (std::size_t row = 0; row < rows; ++row, out += stride)
                *out = samples[row];
        } else {
            for (std::size_t row = 0; row < count - done; ++row, out += stride)
                *out = samples[row];
        }
    }
}

OAVC_INLINE float* append(float* to, Samples samples) noexcept {
    for (std::size_t i = 0; i < samples.size(); ++i)
        to[i] = samples[i];
    return to + samples.size();
}

OAVC_INLINE std::size_t run(
    const PolyphaseFilter& filter, Samples held, Samples block, Sample* out
) noexcept {
    const std::size_t all = held.size() + block.size();
    const std::size_t taps = filter.taps();
    if (all < taps) return 0;
    constexpr std::size_t beyond = (rows - 1) * PolyphaseFilter::max_ratio;
    std::array<float, PolyphaseFilter::max_taps + polyphase_block + beyond> line;
    float* const end = append(append(line.data(), held), block);
    std::fill_n(end, beyond, 0.0F);

    const std::size_t places = (all - taps) / filter.down() + 1;
    if (filter.down() == 1) {  // whose lengths the compiler then knows
        for (std::size_t phase = 0; phase < filter.up(); ++phase) {
            const float* const weights = filter.row(phase);
            convolve(line.data(), 1, weights, 2 * low_pass_reach, out + phase, filter.up(), places);
        }
    } else {
        convolve(line.data(), filter.down(), filter.row(0), taps, out, 1, places);
    }
    return places;
}

#if defined(__x86_64__)
[[gnu::target("avx2,fma")]] std::size_t polyphase_kernel_avx2(
    const PolyphaseFilter& filter, Samples held, Samples block, Sample* out
) noexcept {
    return run(filter, held, block, out);
}
#endif

class PolyphaseResampler final : public ResamplerEngine {
public:
    PolyphaseResampler(const PolyphaseFilter& filter, PolyphaseKernel kernel)
        : filter_{filter}, kernel_{kernel}, held_(filter.taps() - 1) {
        reset();
    }

    std::size_t max_output(std::size_t samples) const noexcept override {
        const std::size_t places = (samples + filter_.down() - 1) / filter_.down();
        return std::max(places, low_pass_reach) * filter_.up();
    }

    std::size_t process(Samples in, std::span<Sample> out) noexcept override {
        std::size_t written = 0;
        while (!in.empty()) {
            const auto block = in.first(std::min(in.size(), polyphase_block));
            in = in.subspan(block.size());
            const auto places =
                kernel_(filter_, Samples{held_}.first(count_), block, out.data() + written);
            written += places * filter_.up();
            keep(block, places * filter_.down());
        }
        return written;
    }

    /// So much silence that the last input gets its outputs, and the silence none.
    std::size_t flush(std::span<Sample> out) noexcept override {
        static constexpr std::array<Sample, PolyphaseFilter::max_taps / 2> silence{};
        const auto written = process(Samples{silence}.first(filter_.ahead()), out);
        reset();
        return written;
    }

    void reset() noexcept override {
        count_ = filter_.taps() - 1 - filter_.ahead();
        std::fill_n(held_.begin(), count_, Sample{0});
    }

private:
    /// What follows the first `used` of the samples held and `block`: less than the filter's taps.
    void keep(Samples block, std::size_t used) noexcept {
        const std::size_t left = count_ + block.size() - used;
        const auto fresh = block.last(std::min(left, block.size()));
        const auto old = Samples{held_}.first(count_).last(left - fresh.size());
        const auto rest = std::ranges::copy(old, held_.begin()).out;
        std::ranges::copy(fresh, rest);
        count_ = left;
    }

    const PolyphaseFilter& filter_;
    PolyphaseKernel kernel_;
    std::vector<Sample> held_;  ///< inputs that outputs to come need; `count_` of them
    std::size_t count_{0};
};

}  // namespace

PolyphaseFilter::PolyphaseFilter(std::size_t up, std::size_t down)
    : up_{up}, down_{down}, taps_{2 * low_pass_reach * down}, weights_(up * taps_) {
    OAVC_ASSERT((up == 1 || down == 1) && up <= max_ratio && down <= max_ratio);
    static_assert(max_taps == 2 * low_pass_reach * max_ratio);
    const auto slower = static_cast<double>(down);
    for (std::size_t phase = 0; phase < up; ++phase) {
        const double time = static_cast<double>(phase) / static_cast<double>(up);
        for (std::size_t tap = 0; tap < taps_; ++tap) {
            const double place = static_cast<double>(tap + 1) - static_cast<double>(ahead());
            weights_[phase * taps_ + tap] =
                static_cast<float>(low_pass((place - time) / slower) / slower);
        }
    }
}

const PolyphaseFilter& PolyphaseFilter::of(std::size_t up, std::size_t down) {
    struct Slot {
        std::once_flag once;
        std::unique_ptr<const PolyphaseFilter> filter;
    };
    static std::array<std::array<Slot, max_ratio + 1>, 2> slots;
    OAVC_ASSERT(up <= max_ratio && down <= max_ratio);
    Slot& slot = up > 1 ? slots[0][up] : slots[1][down];
    std::call_once(slot.once, [&] {
        slot.filter = std::make_unique<const PolyphaseFilter>(up, down);
    });
    return *slot.filter;
}

PolyphaseKernel polyphase_kernel() noexcept {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0) {
        return polyphase_kernel_avx2;
    }
#endif
    return polyphase_kernel_baseline;
}

std::size_t polyphase_kernel_baseline(
    const PolyphaseFilter& filter, Samples held, Samples block, Sample* out
) noexcept {
    return run(filter, held, block, out);
}

std::unique_ptr<ResamplerEngine> make_polyphase_resampler(
    const PolyphaseFilter& filter, PolyphaseKernel kernel
) {
    return std::make_unique<PolyphaseResampler>(filter, kernel);
}

}  // namespace oavc::media::detail
