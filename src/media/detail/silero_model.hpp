#pragma once

#include "base/error.hpp"
#include "base/result.hpp"

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

namespace oavc::media::detail {

/// A matrix [input][output] cut into strips of `Strip` outputs, each strip contiguous: a product
/// reads its weights strictly forwards and keeps one strip's sums in registers.
template <std::size_t Inputs, std::size_t Outputs, std::size_t Strip>
struct StripMatrix {
    static_assert(Outputs % Strip == 0);
    static constexpr std::size_t inputs = Inputs;
    static constexpr std::size_t outputs = Outputs;
    static constexpr std::size_t strip = Strip;

    alignas(64) std::array<float, Inputs * Outputs> values{};

    float& at(std::size_t input, std::size_t output) noexcept {
        return values[(output / Strip * Inputs + input) * Strip + output % Strip];
    }
    /// Weights of the strip that begins at `output` (a multiple of Strip), row by row.
    const float* strip_at(std::size_t output) const noexcept {
        return values.data() + output * Inputs;
    }
};

template <std::size_t Size>
struct alignas(64) Bias : std::array<float, Size> {};

/// The network of Silero VAD v6 for 16 kHz: a short-time Fourier transform by convolution, four
/// convolutions, one LSTM cell, one output. 1.2 MB, read-only, one copy for all calls.
/// Only what can touch a sample is kept: with one window at a time the outer taps of the last
/// two convolutions only ever meet padding.
struct SileroModel {
    static constexpr std::size_t window = 512;  ///< samples per decision: 32 ms
    static constexpr std::size_t padding = 64;  ///< reflected at both ends of a window
    static constexpr std::size_t fft = 256;     ///< samples per transform, every 128
    static constexpr std::size_t bins = 129;    ///< of its spectrum
    static constexpr std::size_t padded_bins = 144;
    static constexpr std::size_t steps = 4;     ///< transforms per window
    static constexpr std::size_t hidden = 128;  ///< of the LSTM cell
    static constexpr std::size_t folded = 128;  ///< samples of a transform, folded at its middle

    /// The transform's basis is symmetric about sample 128 (cosines) or antisymmetric (sines), and
    /// zero at sample 0: the sums and differences of mirrored samples need half the products.
    StripMatrix<folded, padded_bins, 24> cosines;  ///< row i: samples 1 + i and 255 − i
    StripMatrix<folded, padded_bins, 24> sines;
    std::array<StripMatrix<bins, 128, 16>, 3> encoder0;  ///< one matrix per tap
    std::array<StripMatrix<128, 64, 32>, 3> encoder1;
    std::array<StripMatrix<64, 64, 64>, 2> encoder2;  ///< taps 1 and 2
    StripMatrix<64, 128, 64> encoder3;                ///< tap 1
    Bias<128> encoder0_bias;
    Bias<64> encoder1_bias;
    Bias<64> encoder2_bias;
    Bias<128> encoder3_bias;
    StripMatrix<128, 4 * hidden, 64> lstm_input;  ///< gates: input, forget, cell, output
    StripMatrix<hidden, 4 * hidden, 64> lstm_hidden;
    Bias<4 * hidden> lstm_bias;  ///< of both products together
    Bias<hidden> output;
    float output_bias{0};
};

enum class SileroErrc {
    truncated = 1,  ///< the file ends inside a field
    not_silero,     ///< no ggml file of Silero's 16 kHz network
    unsupported,    ///< Silero, but not of the shape that we compute (v6)
    bad_tensor,     ///< unknown, repeated, missing, misshapen or absurd
};
std::string_view describe(SileroErrc code) noexcept;
OAVC_ERROR_CATEGORY(SileroErrc, "oavc.silero")

/// Longest file that is looked at. The real one has 885,098 bytes.
inline constexpr std::size_t max_silero_file = 4 << 20;

/// Parses the ggml file of Silero v6 (what whisper.cpp calls ggml-silero-v6.2.0.bin). Accepts the
/// whole file or nothing: every tensor once, of the expected shape, every weight finite and
/// small enough that no input makes a sum overflow.
Result<std::shared_ptr<const SileroModel>, ParseError> parse_silero(std::span<const std::byte> file
);

}  // namespace oavc::media::detail

OAVC_ERROR_CODE_ENUM(oavc::media::detail::SileroErrc)
