#pragma once

// A Whisper model in whisper.cpp's file format: the real vocabulary size, window and layer types,
// but one small layer each and random weights. It loads, runs in milliseconds, and writes nonsense
// that depends on the audio alone.
//
//     test::write_tiny_whisper(path);

#include <bit>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace oavc::test {

/// Sizes of a model. `state` is a multiple of 64 (the width of a head).
struct WhisperSize {
    std::uint32_t state{64};
    std::uint32_t audio_layers{1};
    std::uint32_t text_layers{1};
    bool multilingual{true};
};

class WhisperFileWriter {
public:
    explicit WhisperFileWriter(WhisperSize size) : size_{size} {}

    std::string bytes() {
        header();
        filters();
        vocabulary();
        const auto d = size_.state;
        tensor("encoder.positional_embedding", {d, audio_context}, false);
        tensor("encoder.conv1.weight", {3, mels, d});
        tensor("encoder.conv1.bias", {1, d}, false);
        tensor("encoder.conv2.weight", {3, d, d});
        tensor("encoder.conv2.bias", {1, d}, false);
        norm("encoder.ln_post");
        for (std::uint32_t i = 0; i < size_.audio_layers; ++i)
            layer("encoder.blocks." + std::to_string(i), false);
        tensor("decoder.positional_embedding", {d, text_context}, false);
        tensor("decoder.token_embedding.weight", {d, vocabulary_size()});
        norm("decoder.ln", 16.0F);  // large: the model is sure of what it says, whatever it is
        for (std::uint32_t i = 0; i < size_.text_layers; ++i)
            layer("decoder.blocks." + std::to_string(i), true);
        return std::move(bytes_);
    }

private:
    static constexpr std::uint32_t audio_context = 1500;
    static constexpr std::uint32_t text_context = 448;
    static constexpr std::uint32_t mels = 80;
    // Exponents of f16: weights of this size, times 1 to 2.
    static constexpr std::uint16_t small = 11u << 10;  // 1/16
    static constexpr std::uint16_t large = 16u << 10;  // 2

    std::uint32_t vocabulary_size() const { return size_.multilingual ? 51'865 : 51'864; }

    void u32(std::uint32_t value) {
        for (int shift = 0; shift < 32; shift += 8)
            bytes_ += static_cast<char>(value >> shift & 0xFF);
    }
    void f32(float value) { u32(std::bit_cast<std::uint32_t>(value)); }

    void header() {
        const auto heads = size_.state / 64;
        constexpr std::uint32_t magic = 0x67676d6c;
        constexpr std::uint32_t f16 = 1;
        for (const auto value :
             {magic,
              vocabulary_size(),
              audio_context,
              size_.state,
              heads,
              size_.audio_layers,
              text_context,
              size_.state,
              heads,
              size_.text_layers,
              mels,
              f16}) {
            u32(value);
        }
    }
    void filters() {
        constexpr std::uint32_t bins = 201;
        u32(mels);
        u32(bins);
        for (std::uint32_t i = 0; i < mels * bins; ++i)
            f32(i % bins / 3 == i / bins ? 0.05F : 0.0F);  // bands of three bins
    }
    /// All printable ASCII characters, with and without a space before, since prompts are made of
    /// them and whisper.cpp looks up " -" and " '"; then words " w0", " w1", …
    void vocabulary() {
        constexpr std::uint32_t text_tokens = 50'256;
        std::vector<std::string> words;
        for (char c = '!'; c <= '~'; ++c) {
            words.push_back({c});
            words.push_back({' ', c});
        }
        words.push_back(" ");
        while (words.size() < text_tokens)
            words.push_back(" w" + std::to_string(words.size()));
        u32(text_tokens);
        for (const auto& word : words) {
            u32(static_cast<std::uint32_t>(word.size()));
            bytes_ += word;
        }
    }
    void norm(const std::string& name, float scale = 1.0F) {
        for (auto left = tensor_head(name + ".weight", {size_.state}, false); left > 0; --left)
            f32(scale);
        tensor(name + ".bias", {size_.state}, false);
    }
    /// `magnitude` of what it adds: large for the audio's, which is to decide what is said.
    void attention(const std::string& name, std::uint16_t magnitude) {
        const auto d = size_.state;
        norm(name + "_ln");
        tensor(name + ".query.weight", {d, d});
        tensor(name + ".query.bias", {d}, false);
        tensor(name + ".key.weight", {d, d});
        tensor(name + ".value.weight", {d, d}, true, magnitude);
        tensor(name + ".value.bias", {d}, false);
        tensor(name + ".out.weight", {d, d}, true, magnitude);
        tensor(name + ".out.bias", {d}, false);
    }
    void layer(const std::string& name, bool cross) {
        const auto d = size_.state;
        attention(name + ".attn", small);
        if (cross) attention(name + ".cross_attn", large);
        norm(name + ".mlp_ln");
        tensor(name + ".mlp.0.weight", {d, 4 * d});
        tensor(name + ".mlp.0.bias", {4 * d}, false);
        tensor(name + ".mlp.2.weight", {4 * d, d});
        tensor(name + ".mlp.2.bias", {d}, false);
    }

    std::size_t tensor_head(
        const std::string& name, std::initializer_list<std::uint32_t> shape, bool half
    ) {
        u32(static_cast<std::uint32_t>(shape.size()));
        u32(static_cast<std::uint32_t>(name.size()));
        u32(half ? 1 : 0);
        std::size_t count = 1;
        for (const auto extent : shape) {
            u32(extent);
            count *= extent;
        }
        bytes_ += name;
        return count;
    }
    void tensor(
        const std::string& name,
        std::initializer_list<std::uint32_t> shape,
        bool half = true,
        std::uint16_t magnitude = small
    ) {
        for (auto left = tensor_head(name, shape, half); left > 0; --left) {
            const auto random = static_cast<std::uint32_t>(random_());
            if (half) {
                const auto bits = (random & 0x83FFu) | magnitude;
                bytes_ += static_cast<char>(bits & 0xFF);
                bytes_ += static_cast<char>(bits >> 8);
            } else {
                u32((random << 8 & 0x807FFFFFu) | 123u << 23);  // ±1/16 … 1/8
            }
        }
    }

    const WhisperSize size_;
    std::string bytes_;
    std::mt19937 random_{1};
};

inline void write_tiny_whisper(const std::filesystem::path& path, WhisperSize size = {}) {
    std::ofstream{path, std::ios::binary} << WhisperFileWriter{size}.bytes();
}

}  // namespace oavc::test
