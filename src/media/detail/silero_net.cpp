#include "media/detail/silero_net.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

// The whole pass is inlined into one function per instruction set: the callee of each helper below
// is compiled anew for each, and no two object files hold different versions of one function.
#define OAVC_INLINE [[gnu::always_inline]] inline

namespace oavc::media::detail {

namespace {

using Model = SileroModel;

/// Eight floats. Two registers where the processor has only four to a register.
using Vector = float __attribute__((vector_size(32)));
using IntVector = std::int32_t __attribute__((vector_size(32)));
constexpr std::size_t lanes = 8;

OAVC_INLINE void load(Vector& to, const float* from) { std::memcpy(&to, from, sizeof to); }
OAVC_INLINE void store(float* to, const Vector& from) { std::memcpy(to, &from, sizeof from); }

/// How many vectors of sums one product keeps: as many as fit in registers beside the weights.
struct Avx2 {
    static constexpr std::size_t sums = 12;
};
struct Baseline {
    static constexpr std::size_t sums = 4;
};

/// `Count` rows of input, each meeting the same weights.
template <std::size_t Count>
using Rows = std::array<const float*, Count>;

template <std::size_t Count, std::size_t Vectors>
using Sums = Vector[Count][Vectors];

/// Which rows of input a tap meets: the others are padding, zeros that need no products.
struct Met {
    std::size_t first;
    std::size_t end;
};

/// sums[row][…] += Σ rows[row][i] · weights[i][…] over one strip of a matrix, of which the
/// `Vectors · lanes` columns from `weights` on and the first `Inputs` rows are taken.
template <std::size_t Strip, std::size_t Inputs, Met Which, std::size_t Count, std::size_t Vectors>
OAVC_INLINE void accumulate(
    Sums<Count, Vectors>& sums, const float* weights, const Rows<Count>& rows
) {
    for (std::size_t i = 0; i < Inputs; ++i, weights += Strip) {
        Vector weight[Vectors];
        for (std::size_t v = 0; v < Vectors; ++v)
            load(weight[v], weights + v * lanes);
        for (std::size_t row = Which.first; row < Which.end; ++row) {
            for (std::size_t v = 0; v < Vectors; ++v)
                sums[row][v] += rows[row][i] * weight[v];
        }
    }
}

template <std::size_t Count, std::size_t Taps>
constexpr std::array<Met, Taps> all_rows() {
    std::array<Met, Taps> met{};
    met.fill({0, Count});
    return met;
}

/// One layer: outputs[row] = bias + Σ over taps of rows[tap][row] · matrices[tap].
template <
    class Processor,
    class Matrix,
    std::size_t Taps,
    std::size_t Count,
    std::array<Met, Taps> Where = all_rows<Count, Taps>()>
OAVC_INLINE void multiply(
    const std::array<const Matrix*, Taps>& matrices,
    const float* bias,
    const std::array<Rows<Count>, Taps>& rows,
    const std::array<float*, Count>& outputs
) {
    constexpr std::size_t in_strip = Matrix::strip / lanes;
    constexpr std::size_t wanted = std::max<std::size_t>(Processor::sums / Count, 1);
    constexpr std::size_t vectors = wanted >= in_strip ? in_strip : std::bit_floor(wanted);
    static_assert(in_strip % vectors == 0);

    for (std::size_t out = 0; out < Matrix::outputs; out += vectors * lanes) {
        Sums<Count, vectors> sums;
        for (std::size_t row = 0; row < Count; ++row) {
            for (std::size_t v = 0; v < vectors; ++v) {
                if (bias == nullptr) {
                    sums[row][v] = Vector{};
                } else {
                    load(sums[row][v], bias + out + v * lanes);
                }
            }
        }
        const std::size_t in_its_strip = out % Matrix::strip;
        const auto add = [&]<std::size_t Tap>() __attribute__((always_inline)) {
            const float* const weights = matrices[Tap]->strip_at(out - in_its_strip) + in_its_strip;
            accumulate<Matrix::strip, Matrix::inputs, Where[Tap], Count, vectors>(
                sums, weights, rows[Tap]
            );
        };
        [&]<std::size_t... Tap>(std::index_sequence<Tap...>) __attribute__((always_inline)) {
            (add.template operator()<Tap>(), ...);
        }
        (std::make_index_sequence<Taps>{});
        for (std::size_t row = 0; row < Count; ++row) {
            for (std::size_t v = 0; v < vectors; ++v) {
                store(outputs[row] + out + v * lanes, sums[row][v]);
            }
        }
    }
}

/// Rounds to the eleven significant bits of a half-precision number, ties to even. whisper.cpp's
/// convolutions see their inputs through such numbers; so do ours, to decide as it does.
OAVC_INLINE float round_to_half(float value) {
    auto bits = std::bit_cast<std::uint32_t>(value);
    bits += 0xFFF + (bits >> 13 & 1);
    return std::bit_cast<float>(bits & ~std::uint32_t{0x1FFF});
}

OAVC_INLINE void relu_to_half(float* values, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        values[i] = round_to_half(values[i] > 0 ? values[i] : 0);
    }
}

/// e^x to 2 ulp for |x| < 87; beyond, as at ±87. Cephes' range reduction and polynomial.
OAVC_INLINE void exponential(Vector& x) {
    const Vector limit = Vector{} + 87.0F;
    x = x > limit ? limit : x;
    x = x < -limit ? -limit : x;
    const Vector magic = Vector{} + 12'582'912.0F;  // 1.5 · 2^23: adding it rounds to an integer
    const Vector n = (x * 1.44269504F + magic) - magic;
    const Vector r = (x - n * 0.693359375F) - n * -2.12194440e-4F;
    Vector p = r * 1.9875691500e-4F + 1.3981999507e-3F;
    p = p * r + 8.3334519073e-3F;
    p = p * r + 4.1665795894e-2F;
    p = p * r + 1.6666665459e-1F;
    p = p * r + 5.0000001201e-1F;
    p = p * (r * r) + r + 1.0F;
    const IntVector power = (__builtin_convertvector(n, IntVector) + 127) << 23;
    Vector scale;
    std::memcpy(&scale, &power, sizeof scale);
    x = p * scale;
}

OAVC_INLINE void sigmoid(Vector& x) {
    x = -x;
    exponential(x);
    x = 1.0F / (1.0F + x);
}

OAVC_INLINE void hyperbolic_tangent(Vector& x) {
    x = -2.0F * x;
    exponential(x);
    x = 2.0F / (1.0F + x) - 1.0F;
}

/// The window reflected at both ends, as the transform's input.
OAVC_INLINE void pad(float (&padded)[Model::window + 2 * Model::padding], SileroWindow window) {
    constexpr std::size_t edge = Model::padding;
    constexpr std::size_t last = Model::window - 1;
    for (std::size_t i = 0; i < Model::window; ++i)
        padded[edge + i] = round_to_half(window[i]);
    for (std::size_t i = 1; i <= edge; ++i) {
        padded[edge - i] = padded[edge + i];
        padded[edge + last + i] = padded[edge + last - i];
    }
}

/// The magnitudes of the four steps' spectra.
template <class Processor>
OAVC_INLINE void spectrum(
    const Model& model, SileroWindow window, float (&magnitudes)[Model::steps][Model::padded_bins]
) {
    alignas(64) float padded[Model::window + 2 * Model::padding];
    pad(padded, window);
    alignas(64) float even[Model::steps][Model::folded];
    alignas(64) float odd[Model::steps][Model::folded];
    for (std::size_t step = 0; step < Model::steps; ++step) {
        const float* const samples = padded + step * (Model::fft / 2);
        for (std::size_t i = 1; i <= Model::folded; ++i) {
            even[step][i - 1] = samples[i] + samples[Model::fft - i];
            odd[step][i - 1] = samples[i] - samples[Model::fft - i];
        }
        even[step][Model::folded - 1] = samples[Model::folded];  // the middle has no mirror image
    }
    alignas(64) float real[Model::steps][Model::padded_bins];
    alignas(64) float imaginary[Model::steps][Model::padded_bins];
    using Matrix = decltype(model.cosines);
    multiply<Processor, std::remove_cvref_t<Matrix>, 1, 4>(
        {&model.cosines},
        nullptr,
        {{{even[0], even[1], even[2], even[3]}}},
        {real[0], real[1], real[2], real[3]}
    );
    multiply<Processor, std::remove_cvref_t<Matrix>, 1, 4>(
        {&model.sines},
        nullptr,
        {{{odd[0], odd[1], odd[2], odd[3]}}},
        {imaginary[0], imaginary[1], imaginary[2], imaginary[3]}
    );
    for (std::size_t step = 0; step < Model::steps; ++step) {
        const float* const re = real[step];
        const float* const im = imaginary[step];
        float* const out = magnitudes[step];
        for (std::size_t i = 0; i < Model::padded_bins; ++i) {
            out[i] = round_to_half(std::sqrt(re[i] * re[i] + im[i] * im[i]));
        }
    }
}

/// The four convolutions: 4 steps → 4 → 2 → 1 → 1, the last without its rounding.
template <class Processor>
OAVC_INLINE void encode(const Model& model, SileroWindow window, float (&features)[Model::hidden]) {
    alignas(64) float m[Model::steps][Model::padded_bins];
    spectrum<Processor>(model, window, m);

    // A convolution's padding, a row of zeros at either end, is nullptr here and never met.
    alignas(64) float a[4][128];
    const auto& w0 = model.encoder0;
    using Matrix0 = typename std::remove_cvref_t<decltype(w0)>::value_type;
    constexpr std::array<Met, 3> met0{{{1, 4}, {0, 4}, {0, 3}}};
    multiply<Processor, Matrix0, 3, 4, met0>(
        {&w0[0], &w0[1], &w0[2]},
        model.encoder0_bias.data(),
        {{{nullptr, m[0], m[1], m[2]}, {m[0], m[1], m[2], m[3]}, {m[1], m[2], m[3], nullptr}}},
        {a[0], a[1], a[2], a[3]}
    );
    relu_to_half(a[0], 4 * 128);

    alignas(64) float b[2][64];
    const auto& w1 = model.encoder1;
    using Matrix1 = typename std::remove_cvref_t<decltype(w1)>::value_type;
    constexpr std::array<Met, 3> met1{{{1, 2}, {0, 2}, {0, 2}}};
    multiply<Processor, Matrix1, 3, 2, met1>(
        {&w1[0], &w1[1], &w1[2]},
        model.encoder1_bias.data(),
        {{{nullptr, a[1]}, {a[0], a[2]}, {a[1], a[3]}}},
        {b[0], b[1]}
    );
    relu_to_half(b[0], 2 * 64);

    alignas(64) float c[64];
    const auto& w2 = model.encoder2;
    multiply<Processor, typename std::remove_cvref_t<decltype(w2)>::value_type, 2, 1>(
        {&w2[0], &w2[1]}, model.encoder2_bias.data(), {{{b[0]}, {b[1]}}}, {c}
    );
    relu_to_half(c, 64);

    multiply<Processor, decltype(model.encoder3), 1, 1>(
        {&model.encoder3}, model.encoder3_bias.data(), {{{c}}}, {features}
    );
    for (float& feature : features)
        feature = feature > 0 ? feature : 0;
}

template <class Processor>
OAVC_INLINE float forward(const Model& model, SileroState& state, SileroWindow window) {
    alignas(64) float features[Model::hidden];
    encode<Processor>(model, window, features);

    constexpr std::size_t hidden = Model::hidden;
    alignas(64) float gates[4 * hidden];
    multiply<Processor, decltype(model.lstm_input), 2, 1>(
        {&model.lstm_input, &model.lstm_hidden},
        model.lstm_bias.data(),
        {{{features}, {state.hidden.data()}}},
        {gates}
    );
    for (std::size_t i = 0; i < hidden; i += lanes) {
        Vector input;
        Vector forget;
        Vector proposal;
        Vector output;
        Vector cell;
        load(input, gates + i);
        load(forget, gates + hidden + i);
        load(proposal, gates + 2 * hidden + i);
        load(output, gates + 3 * hidden + i);
        load(cell, state.cell.data() + i);
        sigmoid(input);
        sigmoid(forget);
        hyperbolic_tangent(proposal);
        sigmoid(output);
        cell = forget * cell + input * proposal;
        store(state.cell.data() + i, cell);
        hyperbolic_tangent(cell);
        store(state.hidden.data() + i, output * cell);
    }

    float sum = model.output_bias;
    for (std::size_t i = 0; i < hidden; ++i) {
        const float h = state.hidden[i];
        sum += round_to_half(h > 0 ? h : 0) * model.output[i];
    }
    return 1.0F / (1.0F + std::exp(-sum));
}

#if defined(__x86_64__)
[[gnu::target("avx2,fma")]] float forward_avx2(
    const Model& model, SileroState& state, SileroWindow window
) noexcept {
    return forward<Avx2>(model, state, window);
}
#endif

}  // namespace

float silero_net_baseline(
    const SileroModel& model, SileroState& state, SileroWindow window
) noexcept {
    return forward<Baseline>(model, state, window);
}

SileroNet silero_net() noexcept {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0) {
        return forward_avx2;
    }
#endif
    return silero_net_baseline;
}

}  // namespace oavc::media::detail
