#include "base/base64.hpp"

#include <array>
#include <cstdint>

namespace oavc::base64 {

namespace {

constexpr std::string_view alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

struct Pair {
    char first;
    char second;
};

constexpr auto encode_table = [] {
    std::array<Pair, 4096> table{};
    for (std::size_t i = 0; i < table.size(); ++i)
        table[i] = {alphabet[i >> 6], alphabet[i & 63]};
    return table;
}();

constexpr std::uint32_t invalid = 0xFF000000;

/// Place 0 to 3 of a character in its group: its bits where they belong in 24, or `invalid`.
constexpr auto decode_tables = [] {
    std::array<std::array<std::uint32_t, 256>, 4> tables{};
    for (std::size_t place = 0; place < 4; ++place) {
        for (auto& entry : tables[place])
            entry = invalid;
        for (std::uint32_t i = 0; i < 64; ++i) {
            tables[place][static_cast<unsigned char>(alphabet[i])] = i << (18 - 6 * place);
        }
    }
    return tables;
}();

std::uint32_t group(const char* in) noexcept {
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < 4; ++i)
        bits |= decode_tables[i][static_cast<unsigned char>(in[i])];
    return bits;
}

std::uint32_t octet(std::byte b) noexcept { return std::to_integer<std::uint32_t>(b); }

}  // namespace

std::size_t encode(std::span<const std::byte> in, char* out) noexcept {
    char* const begin = out;
    std::size_t i = 0;
    for (; i + 3 <= in.size(); i += 3) {
        const std::uint32_t bits = octet(in[i]) << 16 | octet(in[i + 1]) << 8 | octet(in[i + 2]);
        const Pair high = encode_table[bits >> 12];
        const Pair low = encode_table[bits & 0xFFF];
        *out++ = high.first;
        *out++ = high.second;
        *out++ = low.first;
        *out++ = low.second;
    }
    if (i < in.size()) {
        const bool two = in.size() - i == 2;
        const std::uint32_t bits = octet(in[i]) << 16 | (two ? octet(in[i + 1]) << 8 : 0);
        const Pair high = encode_table[bits >> 12];
        *out++ = high.first;
        *out++ = high.second;
        *out++ = two ? encode_table[bits & 0xFFF].first : '=';
        *out++ = '=';
    }
    return static_cast<std::size_t>(out - begin);
}

std::string encode(std::span<const std::byte> in) {
    std::string text(encoded_size(in.size()), '\0');
    encode(in, text.data());
    return text;
}

std::string encode_url(std::span<const std::byte> in) {
    std::string text = encode(in);
    while (text.ends_with('='))
        text.pop_back();
    for (char& c : text)
        c = c == '+' ? '-' : c == '/' ? '_' : c;
    return text;
}

std::optional<std::size_t> decode(std::string_view in, std::span<std::byte> out) noexcept {
    if (in.size() % 4 == 0) {  // only complete groups carry padding
        if (in.ends_with('=')) in.remove_suffix(1);
        if (in.ends_with('=')) in.remove_suffix(1);
    }
    const std::size_t rest = in.size() % 4;
    if (rest == 1) return std::nullopt;
    const std::size_t whole = in.size() / 4;
    const std::size_t size = whole * 3 + (rest == 0 ? 0 : rest - 1);
    if (size > out.size()) return std::nullopt;
    std::byte* to = out.data();
    std::uint32_t seen = 0;
    for (std::size_t i = 0; i < whole; ++i) {
        const std::uint32_t bits = group(in.data() + 4 * i);
        seen |= bits;
        *to++ = static_cast<std::byte>(bits >> 16 & 0xFF);
        *to++ = static_cast<std::byte>(bits >> 8 & 0xFF);
        *to++ = static_cast<std::byte>(bits & 0xFF);
    }
    if (rest != 0) {
        char last[4] = {'A', 'A', 'A', 'A'};
        for (std::size_t i = 0; i < rest; ++i)
            last[i] = in[4 * whole + i];
        const std::uint32_t bits = group(last);
        seen |= bits;
        *to++ = static_cast<std::byte>(bits >> 16 & 0xFF);
        if (rest == 3) *to++ = static_cast<std::byte>(bits >> 8 & 0xFF);
    }
    if ((seen & invalid) != 0) return std::nullopt;
    return size;
}

}  // namespace oavc::base64
