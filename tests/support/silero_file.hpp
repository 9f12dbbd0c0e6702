#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::test {

/// Writes ggml files of the shape that Silero v6 has, with weights of one's own: so that the
/// loader is tested without the real file.
class SileroFileWriter {
public:
    SileroFileWriter& u32(std::uint32_t value) {
        for (int shift = 0; shift < 32; shift += 8) {
            bytes_.push_back(static_cast<std::byte>(value >> shift & 0xFF));
        }
        return *this;
    }
    SileroFileWriter& text(std::string_view text) {
        for (const char c : text)
            bytes_.push_back(static_cast<std::byte>(c));
        return *this;
    }
    SileroFileWriter& header(std::string_view kind = "silero-16k", std::uint32_t window = 512) {
        u32(0x67676d6c).u32(static_cast<std::uint32_t>(kind.size())).text(kind);
        for (const std::uint32_t value :
             {6u, 2u,  0u,  window, 64u, 4u,   129u, 128u, 3u,   128u, 64u,
              3u, 64u, 64u, 3u,     64u, 128u, 3u,   128u, 128u, 128u, 1u}) {
            u32(value);
        }
        return *this;
    }
    /// `half`: as f16 numbers around 0.1 in magnitude; else f32.
    SileroFileWriter& tensor(
        std::string_view name,
        std::initializer_list<std::uint32_t> shape,
        bool half,
        std::uint32_t first_weight = 0
    ) {
        u32(static_cast<std::uint32_t>(shape.size()));
        u32(static_cast<std::uint32_t>(name.size())).u32(half ? 1 : 0);
        std::size_t count = 1;
        for (const auto extent : shape) {
            u32(extent);
            count *= extent;
        }
        text(name);
        for (std::size_t i = 0; i < count; ++i) {
            const auto random = static_cast<std::uint32_t>(random_());
            if (half) {  // ±2^-4 … 2^-3
                const std::uint32_t bits = (random & 0x83FF) | 11u << 10;
                bytes_.push_back(static_cast<std::byte>(bits & 0xFF));
                bytes_.push_back(static_cast<std::byte>(bits >> 8));
            } else {
                const bool special = i == 0 && first_weight != 0;
                u32(special ? first_weight : (random & 0x807FFFFF) | 123u << 23);
            }
        }
        return *this;
    }
    /// Every tensor but `except`.
    SileroFileWriter& tensors(std::string_view except = {}) {
        const auto add = [&](std::string_view name, auto shape, bool half) {
            if (name != except) tensor(name, shape, half);
        };
        using Shape = std::initializer_list<std::uint32_t>;
        add("_model.encoder.0.reparam_conv.weight", Shape{3, 129, 128}, true);
        add("_model.encoder.0.reparam_conv.bias", Shape{128}, false);
        add("_model.encoder.1.reparam_conv.weight", Shape{3, 128, 64}, true);
        add("_model.encoder.1.reparam_conv.bias", Shape{64}, false);
        add("_model.encoder.2.reparam_conv.weight", Shape{3, 64, 64}, true);
        add("_model.encoder.2.reparam_conv.bias", Shape{64}, false);
        add("_model.encoder.3.reparam_conv.weight", Shape{3, 64, 128}, true);
        add("_model.encoder.3.reparam_conv.bias", Shape{128}, false);
        add("_model.decoder.rnn.weight_ih", Shape{128, 512}, false);
        add("_model.decoder.rnn.weight_hh", Shape{128, 512}, false);
        add("_model.decoder.rnn.bias_ih", Shape{512}, false);
        add("_model.decoder.rnn.bias_hh", Shape{512}, false);
        add("_model.decoder.decoder.2.weight", Shape{128}, true);
        add("_model.decoder.decoder.2.bias", Shape{}, false);
        if (except != "_model.stft.forward_basis_buffer") fourier();
        return *this;
    }
    /// A basis that is symmetric for the first 129 outputs and antisymmetric for the others, but
    /// for the `spoilt` weight.
    SileroFileWriter& fourier(std::size_t spoilt = SIZE_MAX) {
        u32(3).u32(32).u32(1).u32(256).u32(1).u32(258).text("_model.stft.forward_basis_buffer");
        for (std::size_t out = 0; out < 258; ++out) {
            std::array<std::uint32_t, 256> weights{};
            const std::uint32_t mirrored_sign = out < 129 ? 0 : 0x8000;
            for (std::size_t i = 1; i < 128; ++i) {
                weights[i] = (static_cast<std::uint32_t>(random_()) & 0x83FF) | 8u << 10;
                weights[256 - i] = weights[i] ^ mirrored_sign;
            }
            if (out < 129) weights[128] = 8u << 10;
            if (spoilt / 256 == out) weights[spoilt % 256] ^= 0x0200;
            for (const auto bits : weights) {
                bytes_.push_back(static_cast<std::byte>(bits & 0xFF));
                bytes_.push_back(static_cast<std::byte>(bits >> 8));
            }
        }
        return *this;
    }
    const std::vector<std::byte>& bytes() const noexcept { return bytes_; }

private:
    std::vector<std::byte> bytes_;
    std::minstd_rand random_{1};
};

inline std::vector<std::byte> silero_file() {
    return SileroFileWriter{}.header().tensors().bytes();
}

}  // namespace oavc::test
