#include "observability/detail/words.hpp"

#include "observability/detail/characters.hpp"

#include <algorithm>
#include <array>

namespace oavc::privacy::detail {

namespace {

using enum Meaning;

// clang-format off
constexpr Word words[] = {
    {"zero", unit, 0}, {"one", unit, 1}, {"two", unit, 2}, {"three", unit, 3}, {"four", unit, 4},
    {"five", unit, 5}, {"six", unit, 6}, {"seven", unit, 7}, {"eight", unit, 8}, {"nine", unit, 9},
    {"niner", unit, 9}, {"nought", unit, 0}, {"nil", unit, 0},
    {"ten", teen, 10}, {"eleven", teen, 11}, {"twelve", teen, 12}, {"thirteen", teen, 13},
    {"fourteen", teen, 14}, {"fifteen", teen, 15}, {"sixteen", teen, 16}, {"seventeen", teen, 17},
    {"eighteen", teen, 18}, {"nineteen", teen, 19},
    {"twenty", tens, 20}, {"thirty", tens, 30}, {"forty", tens, 40}, {"fourty", tens, 40},
    {"fifty", tens, 50}, {"sixty", tens, 60}, {"seventy", tens, 70}, {"eighty", tens, 80},
    {"ninety", tens, 90}, {"hundred", hundred, 100},
    {"double", times, 2}, {"triple", times, 3}, {"treble", times, 3},
    {"oh", only_amid, 0}, {"o", only_amid, 0},
    {"uh", filler}, {"um", filler}, {"er", filler}, {"erm", filler}, {"hmm", filler},
    {"dash", filler}, {"hyphen", filler}, {"space", filler}, {"slash", filler},

    {"sifir", unit, 0, true}, {"bir", unit, 1, true}, {"iki", unit, 2, true},
    {"uc", unit, 3, true}, {"dort", unit, 4, true}, {"bes", unit, 5, true},
    {"alti", unit, 6, true}, {"yedi", unit, 7, true}, {"sekiz", unit, 8, true},
    {"dokuz", unit, 9, true},
    {"on", on, 10, true}, {"yirmi", tens, 20, true}, {"otuz", tens, 30, true},
    {"kirk", tens, 40, true}, {"elli", tens, 50, true}, {"altmis", tens, 60, true},
    {"yetmis", tens, 70, true}, {"seksen", tens, 80, true}, {"doksan", tens, 90, true},
    {"yuz", hundred, 100, true}, {"cift", times, 2, true},
    {"ee", filler}, {"eee", filler}, {"ii", filler}, {"iii", filler}, {"sey", filler},
    {"tire", filler}, {"bosluk", filler}, {"taksim", filler},

    {"at", at}, {"et", at}, {"dot", dot}, {"nokta", dot},
    {"gmail", mail_host}, {"hotmail", mail_host}, {"outlook", mail_host}, {"yahoo", mail_host},
    {"icloud", mail_host}, {"protonmail", mail_host},
};
// clang-format on
constexpr std::size_t longest_word = 16;

/// Lower case, Turkish letters without their marks: recognisers differ in both.
char folded(char32_t code) noexcept {
    switch (code) {
        case U'\u00E7':  // ç
        case U'\u00C7':
            return 'c';
        case U'\u011F':  // ğ
        case U'\u011E':
            return 'g';
        case U'\u0131':  // ı
        case U'\u0130':
            return 'i';
        case U'\u00F6':  // ö
        case U'\u00D6':
            return 'o';
        case U'\u015F':  // ş
        case U'\u015E':
            return 's';
        case U'\u00FC':  // ü
        case U'\u00DC':
            return 'u';
        default:
            if (code >= U'A' && code <= U'Z') return static_cast<char>(code + 32);
            return code < 0x80 ? static_cast<char>(code) : '?';
    }
}

}  // namespace

const Word* find_word(std::string_view text) noexcept {
    std::array<char, longest_word> buffer{};
    std::size_t size = 0;
    for (std::size_t i = 0; i < text.size();) {
        const auto character = character_at(text, i);
        i += character.size;
        // Marks of their own: "u" and a diaeresis, "i" and the dot that İ leaves behind.
        if (character.code >= 0x0300 && character.code <= 0x036F) continue;
        if (size == buffer.size()) return nullptr;
        buffer[size++] = folded(character.code);
    }
    const std::string_view word{buffer.data(), size};
    const auto* const found = std::find_if(std::begin(words), std::end(words), [&](const Word& w) {
        return w.folded == word;
    });
    return found == std::end(words) ? nullptr : found;
}

}  // namespace oavc::privacy::detail
