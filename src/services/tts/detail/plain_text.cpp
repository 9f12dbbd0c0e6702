#include "services/tts/detail/plain_text.hpp"

#include <algorithm>
#include <cstdint>

namespace oavc::services {

namespace {

struct Decoded {
    char32_t code;     ///< U+FFFD: not UTF-8
    std::size_t size;  ///< bytes, at least 1
};

Decoded decode(std::string_view text) noexcept {
    constexpr char32_t broken = 0xFFFD;
    const auto lead = static_cast<unsigned char>(text[0]);
    if (lead < 0x80) return {lead, 1};
    std::size_t size = 0;
    char32_t code = 0;
    if (lead >= 0xC2 && lead <= 0xDF) {
        size = 2;
        code = lead & 0x1Fu;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
        size = 3;
        code = lead & 0x0Fu;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
        size = 4;
        code = lead & 0x07u;
    } else {
        return {broken, 1};
    }
    if (text.size() < size) return {broken, 1};
    for (std::size_t i = 1; i < size; ++i) {
        const auto next = static_cast<unsigned char>(text[i]);
        if ((next & 0xC0u) != 0x80) return {broken, 1};
        code = code << 6 | (next & 0x3Fu);
    }
    const bool overlong = (size == 3 && code < 0x800) || (size == 4 && code < 0x10000);
    const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
    if (overlong || surrogate || code > 0x10FFFF) return {broken, 1};
    return {code, size};
}

/// U+00C0 … U+017F without their accents; a space where there is no base letter.
constexpr std::string_view latin_bases =
    "AAAAAAACEEEEIIIIDNOOOOO OUUUUY saaaaaaaceeeeiiiidnooooo ouuuuy y"   // U+00C0 …
    "AaAaAaCcCcCcCcDdDdEeEeEeEeEeGgGgGgGgHhHhIiIiIiIiIiIiJjKkkLlLlLlL"   // U+0100 …
    "lLlNnNnNnnNnOoOoOoOoRrRrRrSsSsSsSsTtTtTtUuUuUuUuUuUuWwYyYZzZzZzs";  // U+0140 …
static_assert(latin_bases.size() == 0x180 - 0xC0);

char to_ascii(char32_t code) noexcept {
    if (code < 0x80) return code >= ' ' && code < 0x7F ? static_cast<char>(code) : ' ';
    if (code >= 0xC0 && code < 0x180) return latin_bases[code - 0xC0];
    switch (code) {
        case 0x2018:
        case 0x2019:
            return '\'';
        case 0x201C:
        case 0x201D:
            return '"';
        case 0x2010:
        case 0x2011:
        case 0x2012:
            return '-';
        case 0x2013:
        case 0x2014:
            return ',';
        case 0x2026:
            return '.';
        default:
            return ' ';
    }
}

}  // namespace

std::string to_plain_ascii(std::string_view text) {
    std::string plain;
    while (!text.empty() && plain.size() < longest_speech) {
        const auto [code, size] = decode(text);
        plain += to_ascii(code);
        text.remove_prefix(size);
    }
    return plain;
}

std::string to_plain_utf8(std::string_view text) {
    std::string plain;
    while (!text.empty()) {
        const auto [code, size] = decode(text);
        if (plain.size() + size > longest_speech) break;
        const bool control = code < ' ' || (code >= 0x7F && code < 0xA0) || code == 0xFFFD;
        if (control) {
            plain += ' ';
        } else {
            plain += text.substr(0, size);
        }
        text.remove_prefix(size);
    }
    return plain;
}

bool has_something_to_say(std::string_view text) noexcept {
    return std::any_of(text.begin(), text.end(), [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte >= 0x80 || (byte >= '0' && byte <= '9') ||
               ((byte | 0x20u) >= 'a' && (byte | 0x20u) <= 'z');
    });
}

}  // namespace oavc::services
