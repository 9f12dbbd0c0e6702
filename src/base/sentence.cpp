#include "base/sentence.hpp"

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

}  // namespace oavc
