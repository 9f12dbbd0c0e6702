#include "services/tts/detail/plain_text.hpp"

#include "base/utf8.hpp"

#include <cstdint>

namespace oavc::services {

namespace {

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
        const auto [code, size] = decode_utf8(text);
        plain += to_ascii(code);
        text.remove_prefix(size);
    }
    return plain;
}

std::string to_plain_utf8(std::string_view text) {
    std::string plain;
    while (!text.empty()) {
        const auto [code, size] = decode_utf8(text);
        if (plain.size() + size > longest_speech) break;
        const bool control = code < ' ' || (code >= 0x7F && code < 0xA0) || code == broken_utf8;
        if (control) {
            plain += ' ';
        } else {
            plain += text.substr(0, size);
        }
        text.remove_prefix(size);
    }
    return plain;
}

}  // namespace oavc::services
