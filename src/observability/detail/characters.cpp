#include "observability/detail/characters.hpp"

namespace oavc::privacy::detail {

Character character_at(std::string_view text, std::size_t at) noexcept {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
    const unsigned lead = byte(0);
    if (lead < 0x80) return {lead, 1};
    const std::size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC2 ? 2 : 1;
    if (size == 1 || lead > 0xF4 || at + size > text.size()) return {0xFFFD, 1};
    char32_t code = lead & (0xFFU >> (size + 1));
    for (std::size_t i = 1; i < size; ++i) {
        if ((byte(i) & 0xC0U) != 0x80U) return {0xFFFD, 1};
        code = (code << 6U) | (byte(i) & 0x3FU);
    }
    return {code, size};
}

int digit_of(char32_t code) noexcept {
    for (const char32_t zero : {U'0', U'\u0660', U'\u06F0', U'\u0966', U'\uFF10'}) {
        if (code >= zero && code <= zero + 9) return static_cast<int>(code - zero);
    }
    return -1;
}

bool is_joiner(char32_t code) noexcept {
    switch (code) {
        case U' ':
        case U'\t':
        case U'\r':
        case U'\n':
        case U'-':
        case U'.':
        case U',':
        case U';':
        case U'/':
        case U'_':
        case U'(':
        case U')':
        case U'+':
        case U'?':  // a caller who asks whether he was understood
        case U'!':
        case U'\u00A0':  // no-break space
        case U'\u00AD':  // soft hyphen
        case U'\u00B7':  // middle dot
        case U'\u2026':  // …
        case U'\u202F':  // narrow no-break space
        case U'\u2212':  // minus
        case U'\u3000':  // ideographic space
        case U'\uFEFF':  // zero width no-break space
            return true;
        default:
            return code >= U'\u2000' && code <= U'\u2015';  // spaces, joiners, dashes
    }
}

bool is_ascii_letter(char32_t code) noexcept {
    return (code >= U'a' && code <= U'z') || (code >= U'A' && code <= U'Z');
}

bool is_letter(char32_t code) noexcept {
    if (code < 0x80) return is_ascii_letter(code);
    return !is_joiner(code) && digit_of(code) < 0 && !(code >= U'\u2016' && code <= U'\u206F');
}

bool is_alphanumeric(char c) noexcept {
    return is_ascii_letter(static_cast<unsigned char>(c)) || (c >= '0' && c <= '9');
}

}  // namespace oavc::privacy::detail
