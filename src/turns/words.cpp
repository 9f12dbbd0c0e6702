#include "turns/words.hpp"

#include <algorithm>
#include <array>

namespace oavc::turns {

namespace {

constexpr std::string_view white = " \t\r\n";

std::string_view next_word(std::string_view& rest) noexcept {
    const auto begin = rest.find_first_not_of(white);
    if (begin == std::string_view::npos) {
        rest = {};
        return {};
    }
    rest.remove_prefix(begin);
    const auto word = rest.substr(0, rest.find_first_of(white));
    rest.remove_prefix(word.size());
    return word;
}

std::string_view without_punctuation(std::string_view word) noexcept {
    constexpr std::string_view marks = ".,;:!?\"'…";
    while (!word.empty() && marks.find(word.back()) != std::string_view::npos)
        word.remove_suffix(1);
    while (!word.empty() && marks.find(word.front()) != std::string_view::npos) {
        word.remove_prefix(1);
    }
    return word;
}

/// ASCII letters only: recognisers write lower case, and the Turkish letters of our lists do too.
bool same_word(std::string_view a, std::string_view b) noexcept {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
        const auto lower = [](char c) {
            return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
        };
        return lower(x) == lower(y);
    });
}

template <std::size_t N>
bool is_one_of(std::string_view word, const std::array<std::string_view, N>& list) noexcept {
    return std::any_of(list.begin(), list.end(), [&](auto entry) {
        return same_word(word, entry);
    });
}

constexpr std::array<std::string_view, 58> open_words{
    // English: a phrase has to follow, or more digits may.
    "and",
    "but",
    "or",
    "because",
    "so",
    "if",
    "that",
    "which",
    "the",
    "a",
    "an",
    "my",
    "your",
    "to",
    "for",
    "of",
    "in",
    "on",
    "at",
    "with",
    "from",
    "is",
    "are",
    "was",
    "i",
    "um",
    "uh",
    "about",
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    // Turkish.
    "ve",
    "ama",
    "çünkü",
    "için",
    "ile",
    "bir",
    "şey",
    "yani",
    "fakat",
    "eğer",
    "sıfır",
    "iki",
    "üç",
    "dört",
    "beş",
    "altı",
    "yedi",
    "sekiz",
    "dokuz",
    "benim",
};

constexpr std::array<std::string_view, 27> back_channels{
    "uh-huh",
    "uhhuh",
    "mm-hmm",
    "mhm",
    "hmm",
    "mm",
    "yeah",
    "yes",
    "yep",
    "ok",
    "okay",
    "right",
    "sure",
    "aha",
    "i",
    "see",
    "got",
    "it",
    // Turkish.
    "hı-hı",
    "hıhı",
    "hı",
    "evet",
    "tamam",
    "peki",
    "olur",
    "aynen",
    "hım",
};

}  // namespace

std::size_t count_words(std::string_view text) noexcept {
    std::size_t count = 0;
    while (!next_word(text).empty())
        ++count;
    return count;
}

bool looks_unfinished(std::string_view text) noexcept {
    std::string_view last;
    for (auto word = next_word(text); !word.empty(); word = next_word(text))
        last = word;
    if (last.empty()) return false;
    if (last.back() == ',') return true;
    if (last.back() == '.' || last.back() == '?' || last.back() == '!') return false;
    return is_one_of(without_punctuation(last), open_words);
}

bool looks_finished(std::string_view text) noexcept {
    const auto end = text.find_last_not_of(white);
    return end != std::string_view::npos &&
           (text[end] == '.' || text[end] == '?' || text[end] == '!');
}

bool is_back_channel(std::string_view text) noexcept {
    bool any = false;
    for (auto word = next_word(text); !word.empty(); word = next_word(text)) {
        if (!is_one_of(without_punctuation(word), back_channels)) return false;
        any = true;
    }
    return any;
}

}  // namespace oavc::turns
