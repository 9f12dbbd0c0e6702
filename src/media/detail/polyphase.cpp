#include "media/detail/polyphase.hpp"

#include "base/assert.hpp"
#include "media/detail/low_pass.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>

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

/// Where every output has weights of its own.
OAVC_INLINE PolyphaseProgress convolve_phases(
    const PolyphaseFilter& filter,
    std::size_t phase,
    const float* line,
    std::size_t all,
    Sample* out
) noexcept {
    const std::size_t taps = filter.taps();
    const std::size_t whole = filter.down() / filter.up();
    const std::size_t part = filter.down() % filter.up();
    PolyphaseProgress done{0, 0, phase};
    while (done.inputs + taps <= all) {
        const float* weights[rows];
        const float* inputs[rows];
        std::size_t count = 0;
        for (; count < rows && done.inputs + taps <= all; ++count) {
            weights[count] = filter.row(done.phase);
            inputs[count] = line + done.inputs;
            done.inputs += whole;
            done.phase += part;
            if (done.phase < filter.up()) continue;
            done.phase -= filter.up();
            ++done.inputs;
        }
        std::fill(weights + count, weights + rows, weights[0]);
        std::fill(inputs + count, inputs + rows, inputs[0]);
        Vector sums[rows]{};
        for (std::size_t tap = 0; tap < taps; tap += lanes) {
            for (std::size_t row = 0; row < rows; ++row) {
                Vector weight;
                Vector values;
                std::memcpy(&weight, weights[row] + tap, sizeof weight);
                std::memcpy(&values, inputs[row] + tap, sizeof values);
                sums[row] += weight * values;
            }
        }
        Vector total;
        add_up(sums, total);
        const SampleVector samples = to_samples(total);
        for (std::size_t row = 0; row < count; ++row)
            out[done.outputs++] = samples[row];
    }
    return done;
}

OAVC_INLINE PolyphaseProgress run(
    const PolyphaseFilter& filter, std::size_t phase, Samples held, Samples block, Sample* out
) noexcept {
    const std::size_t all = held.size() + block.size();
    const std::size_t taps = filter.taps();
    if (all < taps) return {0, 0, phase};
    constexpr std::size_t beyond = (rows - 1) * PolyphaseFilter::max_ratio;
    std::array<float, PolyphaseFilter::max_taps + polyphase_block + beyond> line;
    float* const end = append(append(line.data(), held), block);
    std::fill_n(end, beyond, 0.0F);

    const std::size_t up = filter.up();
    const std::size_t down = filter.down();
    if (up > 1 && down > 1) return convolve_phases(filter, phase, line.data(), all, out);
    const std::size_t places = (all - taps) / down + 1;
    if (down == 1) {  // whose lengths the compiler then knows
        for (std::size_t row = 0; row < up; ++row)
            convolve(line.data(), 1, filter.row(row), 2 * low_pass_reach, out + row, up, places);
    } else {
        convolve(line.data(), down, filter.row(0), taps, out, 1, places);
    }
    return {places * up, places * down, 0};
}

#if defined(__x86_64__)
[[gnu::target("avx2,fma")]] PolyphaseProgress polyphase_kernel_avx2(
    const PolyphaseFilter& filter, std::size_t phase, Samples held, Samples block, Sample* out
) noexcept {
    return run(filter, phase, held, block, out);
}
#endif

class PolyphaseResampler final : public ResamplerEngine {
public:
    PolyphaseResampler(const PolyphaseFilter& filter, PolyphaseKernel kernel)
        : filter_{filter}, kernel_{kernel}, held_(filter.taps() - 1) {
        reset();
    }

    std::size_t max_output(std::size_t samples) const noexcept override {
        const std::size_t inputs = std::max(samples, filter_.ahead());  // as many to flush
        return (inputs * filter_.up() + filter_.down() - 1) / filter_.down();
    }

    std::size_t process(Samples in, std::span<Sample> out) noexcept override {
        std::size_t written = 0;
        while (!in.empty()) {
            const auto block = in.first(std::min(in.size(), polyphase_block));
            in = in.subspan(block.size());
            const auto held = Samples{held_}.first(count_);
            const auto done = kernel_(filter_, phase_, held, block, out.data() + written);
            written += done.outputs;
            phase_ = done.phase;
            keep(block, done.inputs);
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
        phase_ = 0;
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
    std::size_t phase_{0};  ///< of the next output
};

/// Inputs to either side of an output: whole vectors of them.
std::size_t reach(std::size_t up, std::size_t down) {
    constexpr std::size_t step = lanes / 2;
    const std::size_t inputs = (low_pass_reach * std::max(up, down) + up - 1) / up;
    return (inputs + step - 1) / step * step;
}

}  // namespace

PolyphaseFilter::PolyphaseFilter(std::size_t up, std::size_t down)
    : up_{up}, down_{down}, taps_{2 * reach(up, down)}, weights_(up * taps_) {
    OAVC_ASSERT(is_possible(up, down));
    const double slower = std::max(1.0, static_cast<double>(down) / static_cast<double>(up));
    for (std::size_t phase = 0; phase < up; ++phase) {
        const double time = static_cast<double>(phase) / static_cast<double>(up);
        for (std::size_t tap = 0; tap < taps_; ++tap) {
            const double place = static_cast<double>(tap + 1) - static_cast<double>(ahead());
            weights_[phase * taps_ + tap] =
                static_cast<float>(low_pass((place - time) / slower) / slower);
        }
    }
}

bool PolyphaseFilter::is_possible(std::size_t up, std::size_t down) noexcept {
    static_assert(max_taps == 2 * low_pass_reach * max_ratio);
    return up > 0 && down > 0 && up <= max_ratio * down && down <= max_ratio * up &&
           up * 2 * reach(up, down) * sizeof(float) <= max_bytes;
}

const PolyphaseFilter& PolyphaseFilter::of(std::size_t up, std::size_t down) {
    static std::mutex mutex;
    static std::map<std::pair<std::size_t, std::size_t>, const PolyphaseFilter> made;
    const std::lock_guard lock{mutex};
    return made.try_emplace({up, down}, up, down).first->second;
}

PolyphaseKernel polyphase_kernel() noexcept {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0) {
        return polyphase_kernel_avx2;
    }
#endif
    return polyphase_kernel_baseline;
}

PolyphaseProgress polyphase_kernel_baseline(
    const PolyphaseFilter& filter, std::size_t phase, Samples held, Samples block, Sample* out
) noexcept {
    return run(filter, phase, held, block, out);
}

std::unique_ptr<ResamplerEngine> make_polyphase_resampler(
    const PolyphaseFilter& filter, PolyphaseKernel kernel
) {
    return std::make_unique<PolyphaseResampler>(filter, kernel);
}

}  // namespace oavc::media::detail
