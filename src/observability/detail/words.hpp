#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

/// The words that numbers and e-mail addresses are spoken with, in English and Turkish.
namespace oavc::privacy::detail {

enum class Meaning : std::uint8_t {
    nothing,
    unit,       ///< "seven"
    teen,       ///< "seventeen"
    tens,       ///< "seventy": a unit may follow
    hundred,    ///< of the unit before it, or of one
    times,      ///< "double": of the unit after it
    only_amid,  ///< "oh": a zero amid digits, else an exclamation
    on,         ///< ten in Turkish, a preposition in English
    filler,     ///< "uh": a number goes on behind it
    at,
    dot,
    mail_host,  ///< "gmail": also said without its ending
};

struct Word {
    std::string_view folded;
    Meaning meaning;
    int value{0};
    bool turkish{false};
};

/// In whichever case and with whichever marks a recogniser wrote it; null: none that we know.
const Word* find_word(std::string_view text) noexcept;

}  // namespace oavc::privacy::detail
