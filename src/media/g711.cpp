#include "media/g711.hpp"

#include <algorithm>
#include <array>
#include <bit>

namespace oavc::media::g711 {
namespace {

// Both laws work on sign and magnitude; a negative sample's magnitude is its one's complement, so
// that the steps left and right of zero are alike (G.191).
constexpr int magnitude(int value) noexcept { return value < 0 ? ~value : value; }

// `linear14`: -8192 … 8191. G.711 table 2a: 33 is the bias, segments double from 33 upwards.
constexpr std::uint8_t encode_ulaw14(int linear14) noexcept {
    const auto biased = static_cast<unsigned>(std::min(magnitude(linear14) + 33, 8191));
    const auto segment = static_cast<unsigned>(std::bit_width(biased >> 6));  // 33 … 63: 0
    const auto step = biased >> (segment + 1) & 0x0F;
    const auto sign = linear14 < 0 ? 0x80u : 0u;
    return static_cast<std::uint8_t>(~(sign | segment << 4 | step));
}

// `linear12`: -2048 … 2047. G.711 table 1a: the first two segments share a step size; even bits of
// the code are inverted on the line.
constexpr std::uint8_t encode_alaw12(int linear12) noexcept {
    const auto level = static_cast<unsigned>(magnitude(linear12));
    const auto segment = static_cast<unsigned>(std::bit_width(level >> 4));  // 0 … 15: 0
    const auto step = (segment == 0 ? level : level >> (segment - 1)) & 0x0F;
    const auto sign = linear12 < 0 ? 0u : 0x80u;
    return static_cast<std::uint8_t>((sign | segment << 4 | step) ^ 0x55u);
}

constexpr Sample decode_ulaw(std::uint8_t code) noexcept {
    const unsigned bits = static_cast<std::uint8_t>(~code);
    const unsigned segment = bits >> 4 & 0x07;
    const int linear14 = static_cast<int>(((bits & 0x0F) << 1 | 0x21) << segment) - 33;
    return static_cast<Sample>((bits & 0x80) != 0 ? -4 * linear14 : 4 * linear14);
}

constexpr Sample decode_alaw(std::uint8_t code) noexcept {
    const unsigned bits = code ^ 0x55u;
    const unsigned segment = bits >> 4 & 0x07;
    const unsigned step = (bits & 0x0F) << 4;
    const auto linear =
        static_cast<int>(segment == 0 ? step + 0x08 : (step + 0x108) << (segment - 1));
    return static_cast<Sample>((bits & 0x80) != 0 ? linear : -linear);
}

// Indexed by the upper bits of the sample as unsigned: 16 KiB and 4 KiB, small enough to stay in
// the first-level cache with the audio.
constexpr auto ulaw_codes = [] {
    std::array<std::uint8_t, 16'384> table{};
    for (int i = 0; i < 16'384; ++i) {
        table[static_cast<std::size_t>(i)] = encode_ulaw14(i < 8192 ? i : i - 16'384);
    }
    return table;
}();

constexpr auto alaw_codes = [] {
    std::array<std::uint8_t, 4'096> table{};
    for (int i = 0; i < 4'096; ++i) {
        table[static_cast<std::size_t>(i)] = encode_alaw12(i < 2048 ? i : i - 4'096);
    }
    return table;
}();

constexpr auto ulaw_samples = [] {
    std::array<Sample, 256> table{};
    for (unsigned i = 0; i < 256; ++i)
        table[i] = decode_ulaw(static_cast<std::uint8_t>(i));
    return table;
}();

constexpr auto alaw_samples = [] {
    std::array<Sample, 256> table{};
    for (unsigned i = 0; i < 256; ++i)
        table[i] = decode_alaw(static_cast<std::uint8_t>(i));
    return table;
}();

}  // namespace

std::uint8_t ulaw_encode(Sample sample) noexcept {
    return ulaw_codes[static_cast<std::uint16_t>(sample) >> 2];
}

std::uint8_t alaw_encode(Sample sample) noexcept {
    return alaw_codes[static_cast<std::uint16_t>(sample) >> 4];
}

Sample ulaw_decode(std::uint8_t code) noexcept { return ulaw_samples[code]; }
Sample alaw_decode(std::uint8_t code) noexcept { return alaw_samples[code]; }

std::size_t ulaw_encode(Samples in, std::span<std::byte> out) noexcept {
    const auto count = std::min(in.size(), out.size());
    for (std::size_t i = 0; i < count; ++i) {
        out[i] = std::byte{ulaw_codes[static_cast<std::uint16_t>(in[i]) >> 2]};
    }
    return count;
}

std::size_t alaw_encode(Samples in, std::span<std::byte> out) noexcept {
    const auto count = std::min(in.size(), out.size());
    for (std::size_t i = 0; i < count; ++i) {
        out[i] = std::byte{alaw_codes[static_cast<std::uint16_t>(in[i]) >> 4]};
    }
    return count;
}

std::size_t ulaw_decode(std::span<const std::byte> in, std::span<Sample> out) noexcept {
    const auto count = std::min(in.size(), out.size());
    for (std::size_t i = 0; i < count; ++i) {
        out[i] = ulaw_samples[std::to_integer<std::uint8_t>(in[i])];
    }
    return count;
}

std::size_t alaw_decode(std::span<const std::byte> in, std::span<Sample> out) noexcept {
    const auto count = std::min(in.size(), out.size());
    for (std::size_t i = 0; i < count; ++i) {
        out[i] = alaw_samples[std::to_integer<std::uint8_t>(in[i])];
    }
    return count;
}

}  // namespace oavc::media::g711
