#include "caller/words.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <numeric>

namespace oavc::caller {
namespace {

constexpr std::array<std::string_view, 20> small_numbers{
    "zero",     "one",     "two",     "three",     "four",     "five",     "six",
    "seven",    "eight",   "nine",    "ten",       "eleven",   "twelve",   "thirteen",
    "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
};
constexpr std::array<std::string_view, 10> tens{
    "",
    "",
    "twenty",
    "thirty",
    "forty",
    "fifty",
    "sixty",
    "seventy",
    "eighty",
    "ninety",
};

void spell(unsigned number, std::vector<std::string>& words) {
    if (number >= 1000) {
        spell(number / 1000, words);
        words.emplace_back("thousand");
        number %= 1000;
        if (number == 0) return;
    }
    if (number >= 100) {
        spell(number / 100, words);
        words.emplace_back("hundred");
        number %= 100;
        if (number == 0) return;
    }
    if (number < 20) {
        words.emplace_back(small_numbers[number]);
        return;
    }
    words.emplace_back(tens[number / 10]);
    if (number % 10 != 0) words.emplace_back(small_numbers[number % 10]);
}

void take(std::string& word, std::vector<std::string>& words) {
    while (!word.empty() && word.back() == '\'')
        word.pop_back();
    if (word.empty()) return;
    const bool number = word.size() <= 4 && std::all_of(word.begin(), word.end(), [](char c) {
                            return c >= '0' && c <= '9';
                        });
    if (number) {
        unsigned value = 0;
        for (const char digit : word)
            value = value * 10 + static_cast<unsigned>(digit - '0');
        spell(value, words);
    } else {
        words.push_back(word);
    }
    word.clear();
}

}  // namespace

std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> words;
    std::string word;
    for (const char c : text) {
        if (c >= 'A' && c <= 'Z') {
            word += static_cast<char>(c - 'A' + 'a');
        } else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || static_cast<unsigned char>(c) >= 0x80) {
            word += c;
        } else if (c == '\'' && !word.empty()) {
            word += c;
        } else {
            take(word, words);
        }
    }
    take(word, words);
    return words;
}

double word_accuracy(std::string_view reference, std::string_view heard) {
    const auto expected = words_of(reference);
    const auto got = words_of(heard);
    if (expected.empty()) return got.empty() ? 1.0 : 0.0;
    // Levenshtein distance over words, one row at a time.
    std::vector<std::size_t> row(got.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= expected.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= got.size(); ++j) {
            const std::size_t substituted = diagonal + (expected[i - 1] == got[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({substituted, row[j] + 1, row[j - 1] + 1});
        }
    }
    const auto errors = static_cast<double>(row.back());
    return std::max(0.0, 1.0 - errors / static_cast<double>(expected.size()));
}

}  // namespace oavc::caller
