#include "media/detail/silero_model.hpp"

#include "base/bytes.hpp"

#include <algorithm>
#include <bit>
#include <bitset>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace oavc::media::detail {

namespace {

constexpr std::uint32_t ggml_magic = 0x67676d6c;  // "ggml"
constexpr std::uint32_t type_f32 = 0;
constexpr std::uint32_t type_f16 = 1;
constexpr std::uint32_t max_name = 64;
constexpr float max_weight = 100;  // the real ones stay below 55; no layer's sums overflow

/// The file's fields, little-endian.
class FileReader {
public:
    explicit FileReader(std::span<const std::byte> file) noexcept
        : bytes_{file}, size_{file.size()} {}

    std::uint32_t u32() noexcept { return little_endian(bytes_.take(4)); }
    std::string_view text(std::size_t count) noexcept { return as_text(bytes_.take(count)); }
    std::span<const std::byte> take(std::size_t count) noexcept { return bytes_.take(count); }

    std::size_t offset() const noexcept { return size_ - bytes_.rest().size(); }
    bool at_end() const noexcept { return bytes_.rest().empty(); }
    bool truncated() const noexcept { return bytes_.truncated(); }

    static std::uint32_t little_endian(std::span<const std::byte> bytes) noexcept {
        std::uint32_t value = 0;
        for (std::size_t i = bytes.size(); i-- > 0;) {
            value = value << 8 | std::to_integer<std::uint32_t>(bytes[i]);
        }
        return value;
    }

private:
    ByteReader bytes_;
    std::size_t size_;
};

/// IEEE 754 binary16.
float from_half(std::uint32_t half) noexcept {
    const std::uint32_t exponent = half >> 10 & 0x1F;
    const std::uint32_t mantissa = half & 0x3FF;
    const float sign = (half & 0x8000) != 0 ? -1.0F : 1.0F;
    if (exponent == 0) return sign * std::ldexp(static_cast<float>(mantissa), -24);
    const std::uint32_t wide = exponent == 31 ? 0xFF : exponent + 112;
    return sign * std::bit_cast<float>(wide << 23 | mantissa << 13);
}

using Weights = std::span<const float>;

/// Tap `tap` of `taps` of a convolution, which the file stores as [output][input][tap].
template <class Matrix>
bool place(Matrix& matrix, Weights from, std::size_t tap = 0, std::size_t taps = 1) {
    for (std::size_t out = 0; out < matrix.outputs; ++out) {
        for (std::size_t in = 0; in < matrix.inputs; ++in) {
            matrix.at(in, out) = from[(out * matrix.inputs + in) * taps + tap];
        }
    }
    return true;
}

/// The taps from `first` on.
template <class Matrices>
bool place_taps(Matrices& matrices, Weights from, std::size_t first) {
    for (std::size_t i = 0; i < matrices.size(); ++i)
        place(matrices[i], from, first + i, 3);
    return true;
}

bool add(std::span<float> to, Weights from) {
    for (std::size_t i = 0; i < to.size(); ++i)
        to[i] += from[i];
    return true;
}

/// Folds the transform's basis at its middle; false when it is not (anti)symmetric there.
bool place_fourier(SileroModel& model, Weights from) {
    constexpr std::size_t length = SileroModel::fft;
    constexpr std::size_t middle = SileroModel::folded;
    for (std::size_t bin = 0; bin < SileroModel::bins; ++bin) {
        const auto cosine = from.subspan(bin * length, length);
        const auto sine = from.subspan((SileroModel::bins + bin) * length, length);
        if (cosine[0] != 0 || sine[0] != 0 || sine[middle] != 0) return false;
        for (std::size_t i = 1; i <= middle; ++i) {
            if (cosine[i] != cosine[length - i] || sine[i] != -sine[length - i]) return false;
            model.cosines.at(i - 1, bin) = cosine[i];
            model.sines.at(i - 1, bin) = sine[i];
        }
    }
    return true;
}

/// One tensor of the file: its name, its shape (fastest index first) and where it goes.
struct Tensor {
    std::string_view name;
    std::vector<std::uint32_t> shape;
    bool (*place)(SileroModel&, Weights);  ///< false: not weights that we can use
};

const std::vector<Tensor>& tensors() {
    using M = SileroModel;
    static const std::vector<Tensor> table{
        {"_model.stft.forward_basis_buffer", {256, 1, 258}, place_fourier},
        {"_model.encoder.0.reparam_conv.weight",
         {3, 129, 128},
         [](M& m, Weights w) { return place_taps(m.encoder0, w, 0); }},
        {"_model.encoder.0.reparam_conv.bias",
         {128},
         [](M& m, Weights w) { return add(m.encoder0_bias, w); }},
        {"_model.encoder.1.reparam_conv.weight",
         {3, 128, 64},
         [](M& m, Weights w) { return place_taps(m.encoder1, w, 0); }},
        {"_model.encoder.1.reparam_conv.bias",
         {64},
         [](M& m, Weights w) { return add(m.encoder1_bias, w); }},
        {"_model.encoder.2.reparam_conv.weight",
         {3, 64, 64},
         [](M& m, Weights w) { return place_taps(m.encoder2, w, 1); }},
        {"_model.encoder.2.reparam_conv.bias",
         {64},
         [](M& m, Weights w) { return add(m.encoder2_bias, w); }},
        {"_model.encoder.3.reparam_conv.weight",
         {3, 64, 128},
         [](M& m, Weights w) { return place(m.encoder3, w, 1, 3); }},
        {"_model.encoder.3.reparam_conv.bias",
         {128},
         [](M& m, Weights w) { return add(m.encoder3_bias, w); }},
        {"_model.decoder.rnn.weight_ih",
         {128, 512},
         [](M& m, Weights w) { return place(m.lstm_input, w); }},
        {"_model.decoder.rnn.weight_hh",
         {128, 512},
         [](M& m, Weights w) { return place(m.lstm_hidden, w); }},
        {"_model.decoder.rnn.bias_ih", {512}, [](M& m, Weights w) { return add(m.lstm_bias, w); }},
        {"_model.decoder.rnn.bias_hh", {512}, [](M& m, Weights w) { return add(m.lstm_bias, w); }},
        {"_model.decoder.decoder.2.weight",
         {128},
         [](M& m, Weights w) { return add(m.output, w); }},
        {"_model.decoder.decoder.2.bias",
         {},
         [](M& m, Weights w) {
             return add(std::span{&m.output_bias, 1}, w);
         }},
    };
    return table;
}

/// What precedes the tensors, after magic, name and version: whisper.cpp's `hparams`.
constexpr std::uint32_t expected_shape[] = {
    512, 64,      // samples per window, context
    4,            // convolutions
    129, 128, 3,  // each: inputs, outputs, taps
    128, 64,  3,  //
    64,  64,  3,  //
    64,  128, 3,  //
    128, 128,     // LSTM: inputs, hidden
    128, 1,       // last layer: inputs, outputs
};

ParseError error(SileroErrc code, const FileReader& in, std::string what) {
    return {code, in.offset(), std::move(what)};
}

ParseError truncated(const FileReader& in) {
    return error(SileroErrc::truncated, in, "the file ends too early");
}

}  // namespace

std::string_view describe(SileroErrc code) noexcept {
    switch (code) {
        case SileroErrc::truncated:
            return "the file ends inside a field";
        case SileroErrc::not_silero:
            return "not a ggml file of Silero's 16 kHz network";
        case SileroErrc::unsupported:
            return "not the network shape of Silero v6";
        case SileroErrc::bad_tensor:
            return "a tensor is unknown, repeated, missing or misshapen";
    }
    return "unknown";
}

Result<std::shared_ptr<const SileroModel>, ParseError> parse_silero(std::span<const std::byte> file
) {
    FileReader in{file};
    if (file.size() > max_silero_file) {
        return error(SileroErrc::not_silero, in, "far too long for a Silero model");
    }

    if (in.u32() != ggml_magic) return error(SileroErrc::not_silero, in, "no ggml file");
    const auto kind_size = in.u32();
    if (kind_size > max_name) return error(SileroErrc::not_silero, in, "no name of a network");
    const auto kind = in.text(kind_size);
    for (int part = 0; part < 3; ++part)
        in.u32();  // major, minor, patch: the shape decides
    if (in.truncated()) return truncated(in);
    if (kind != "silero-16k") {
        return error(SileroErrc::not_silero, in, "a ggml file, but not of Silero for 16 kHz");
    }
    for (const auto expected : expected_shape) {
        if (in.u32() != expected) {
            if (in.truncated()) return truncated(in);
            return error(SileroErrc::unsupported, in, "not the network shape of Silero v6");
        }
    }

    auto model = std::make_shared<SileroModel>();
    std::bitset<32> seen;
    std::vector<float> values;
    while (!in.at_end()) {
        const auto dimensions = in.u32();
        const auto name_size = in.u32();
        const auto type = in.u32();
        if (in.truncated()) return truncated(in);
        if (dimensions > 3 || name_size > max_name || (type != type_f32 && type != type_f16)) {
            return error(SileroErrc::bad_tensor, in, "a tensor's header makes no sense");
        }
        std::vector<std::uint32_t> shape(dimensions);
        for (auto& extent : shape)
            extent = in.u32();
        const auto name = in.text(name_size);
        if (in.truncated()) return truncated(in);

        const auto tensor = std::ranges::find(tensors(), name, &Tensor::name);
        const auto index = static_cast<std::size_t>(tensor - tensors().begin());
        if (tensor == tensors().end() || seen[index] || shape != tensor->shape) {
            return error(SileroErrc::bad_tensor, in, "a tensor is unknown, repeated or misshapen");
        }
        seen.set(index);

        std::size_t count = 1;
        for (const auto extent : shape)
            count *= extent;  // bounded: the shape is a known one
        const std::size_t size = type == type_f16 ? 2 : 4;
        const auto data = in.take(count * size);
        if (in.truncated()) return truncated(in);
        values.resize(count);
        for (std::size_t i = 0; i < count; ++i) {
            const auto bits = FileReader::little_endian(data.subspan(i * size, size));
            values[i] = type == type_f16 ? from_half(bits) : std::bit_cast<float>(bits);
        }
        if (!std::ranges::all_of(values, [](float v) { return std::abs(v) <= max_weight; })) {
            return error(SileroErrc::bad_tensor, in, "a weight is absurd or not a number");
        }
        if (!tensor->place(*model, values)) {
            return error(SileroErrc::unsupported, in, "the Fourier basis is not symmetric");
        }
    }
    if (seen.count() != tensors().size()) {
        return error(SileroErrc::bad_tensor, in, "tensors are missing");
    }
    return std::shared_ptr<const SileroModel>{std::move(model)};
}

}  // namespace oavc::media::detail
