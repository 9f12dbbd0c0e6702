#include "services/stt/detail/letter_to_sound.hpp"

#include "services/detail/flite_library.hpp"

#include <flite/flite.h>

#include <mutex>

extern "C" cst_lexicon* cmu_lex_init(void);

namespace oavc::services {

std::string letter_to_sound(std::string_view word) {
    constexpr std::size_t longest = 40;
    std::string letters;
    for (const char c : word) {
        if (c == '\'') continue;
        if (c < 'a' || c > 'z') return {};
        letters += c;
    }
    if (letters.empty() || letters.size() > longest) return {};

    const std::lock_guard lock{flite_setup()};
    const auto* const lexicon = cmu_lex_init();
    auto* const phones = lex_lookup(lexicon, letters.c_str(), nullptr, nullptr);
    std::string text;
    for (const auto* phone = phones; phone != nullptr; phone = val_cdr(phone)) {
        std::string name;
        for (const char* c = val_string(val_car(phone)); *c != '\0'; ++c) {
            if (*c >= 'a' && *c <= 'z') name += static_cast<char>(*c - 'a' + 'A');  // no stress
        }
        if (name == "AX") name = "AH";  // Flite's schwa
        if (name == "PAU" || name.empty()) continue;
        if (!text.empty()) text += ' ';
        text += name;
    }
    delete_val(phones);
    return text;
}

}  // namespace oavc::services
