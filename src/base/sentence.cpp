#include "base/sentence.hpp"

#include "base/utf8.hpp"

#include <algorithm>
#include <array>

namespace oavc {

namespace {

bool is_space(char c) noexcept { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

/// Abbreviations whose full stop ends no sentence. "vb." and "Dn." are Turkish.
bool ends_with_abbreviation(std::string_view text) noexcept {
    constexpr std::array<std::string_view, 11> known{
        "Mr.", "Mrs.", "Ms.", "Dr.", "St.", "e.g.", "i.e.", "etc.", "No.", "vb.", "Dn."};
    return std::any_of(known.begin(), known.end(), [&](std::string_view word) {
        if (!text.ends_with(word)) return false;
        return text.size() == word.size() || is_space(text[text.size() - word.size() - 1]);
    });
}

struct Block {
    char32_t first;
    char32_t last;
};

/// Blocks of Unicode, outside ASCII, in which nothing is pronounced; the rest are letters, digits,
/// and what stands with them.
constexpr std::array<Block, 13> no_words{{
    {0x80, 0xBF},        // controls, signs of Latin-1
    {0xD7, 0xD7},        // ×
    {0xF7, 0xF7},        // ÷
    {0x2000, 0x2BFF},    // punctuation, currencies, arrows, mathematics, dingbats
    {0x3000, 0x303F},    // punctuation of Chinese and Japanese
    {0xE000, 0xF8FF},    // private use
    {0xFE00, 0xFE6F},    // variation selectors, forms of punctuation
    {0xFEFF, 0xFF0F},    // byte order mark, wide punctuation …
    {0xFF1A, 0xFF20},    // …
    {0xFF3B, 0xFF40},    // …
    {0xFF5B, 0xFF65},    // …
    {0xFFE0, 0xFFFF},    // … and specials, bytes that are no UTF-8 among them
    {0x1F000, 0x1FBFF},  // emoji, symbols
}};

bool is_pronounced(char32_t code) noexcept {
    if (code < 0x80) {
        const auto letter = code | 0x20;
        return (code >= '0' && code <= '9') || (letter >= 'a' && letter <= 'z');
    }
    if (code >= 0xE0000) return false;  // tags, more selectors, private use
    return std::ranges::none_of(no_words, [code](const Block& block) {
        return code >= block.first && code <= block.last;
    });
}

}  // namespace

bool ends_sentence(std::string_view text, std::size_t at) noexcept {
    const char c = text[at];
    if (c == '\n') return at > 0;
    if (c != '.' && c != '!' && c != '?') return false;
    if (at + 1 == text.size() || !is_space(text[at + 1])) return false;
    return c != '.' || !ends_with_abbreviation(text.substr(0, at + 1));
}

std::size_t whole_sentences(std::string_view text) noexcept {
    for (std::size_t i = text.size(); i-- > 0;) {
        if (ends_sentence(text, i)) return text[i] == '\n' ? i + 1 : i + 2;
    }
    return 0;
}

bool has_words(std::string_view text) noexcept {
    while (!text.empty()) {
        const auto [code, size] = decode_utf8(text);
        if (is_pronounced(code)) return true;
        text.remove_prefix(size);
    }
    return false;
}

}  // namespace oavc
