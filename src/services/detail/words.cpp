#include "services/detail/words.hpp"

#include <array>
#include <cstddef>
#include <utility>

namespace oavc::services {

namespace {

/// A two-byte UTF-8 letter and its folded form.
struct Fold {
    char lead;
    char upper;
    const char* folded;
};

constexpr std::array<Fold, 4> turkish{{
    {'\xC4', '\x9E', "\xC4\x9F"},  // Ğ ğ
    {'\xC4', '\xB0', "i"},         // İ
    {'\xC4', '\xB1', "i"},         // ı
    {'\xC5', '\x9E', "\xC5\x9F"},  // Ş ş
}};

/// Appends the letter at `at` folded; returns how many bytes it took. 0: no part of a word.
std::size_t fold_letter(std::string_view text, std::size_t at, std::string& out) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte < 0x80) {
        if (byte >= 'A' && byte <= 'Z') {
            out += static_cast<char>(byte + ('a' - 'A'));
        } else if ((byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9')) {
            out += static_cast<char>(byte);
        } else {
            return 0;
        }
        return 1;
    }
    if (at + 1 < text.size()) {
        const char next = text[at + 1];
        for (const auto& fold : turkish) {
            if (text[at] == fold.lead && next == fold.upper) {
                out += fold.folded;
                return 2;
            }
        }
        // Latin-1 capitals À … Þ, the sign × excepted.
        const auto second = static_cast<unsigned char>(next);
        if (byte == 0xC3 && second >= 0x80 && second <= 0x9E && second != 0x97) {
            out += text[at];
            out += static_cast<char>(second + 0x20);
            return 2;
        }
    }
    // The general punctuation block (“ ” ’ … –): ’ is an apostrophe, the others separate words.
    if (text.substr(at, 2) == "\xE2\x80") return 0;
    out += text[at];
    return 1;
}

/// Bytes of an apostrophe at `at`: ' or ’. 0: none.
std::size_t apostrophe(std::string_view text, std::size_t at) {
    if (text[at] == '\'') return 1;
    return text.substr(at, 3) == "\xE2\x80\x99" ? 3 : 0;
}

}  // namespace

std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> words;
    std::string word;
    const auto finish = [&] {
        while (!word.empty() && word.back() == '\'')
            word.pop_back();
        if (!word.empty()) words.push_back(std::move(word));
        word.clear();
    };
    for (std::size_t i = 0; i < text.size();) {
        if (const auto size = apostrophe(text, i)) {
            if (!word.empty()) word += '\'';
            i += size;
        } else if (const auto taken = fold_letter(text, i, word)) {
            i += taken;
        } else {
            finish();
            i += text.substr(i, 2) == "\xE2\x80" ? 3 : 1;
        }
    }
    finish();
    return words;
}

std::string_view trimmed(std::string_view text) noexcept {
    constexpr std::string_view white{" \t\r\n\v\f"};
    const auto begin = text.find_first_not_of(white);
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(white) - begin + 1);
}

std::string join_words(const std::vector<std::string>& words) {
    std::string text;
    for (const auto& word : words) {
        if (!text.empty()) text += ' ';
        text += word;
    }
    return text;
}

}  // namespace oavc::services
