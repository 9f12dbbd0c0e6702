// Dialogue files: whatever parses must answer anything, and list what may be said, without fault.

#include "services/llm/dialogue.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input{reinterpret_cast<const char*>(data), size};  // NOLINT
    const auto dialogue = oavc::services::parse_dialogue(input);
    if (!dialogue) {
        if (dialogue.error().what.find("line ") == std::string::npos) std::abort();
        return 0;
    }
    for (const auto language : {"", "en-US", "tr"}) {
        const auto phrases = dialogue->phrases(language);
        if (dialogue->match(input, language).rule == nullptr) std::abort();
        for (std::size_t i = 0; i < phrases.size() && i < 8; ++i) {
            const auto match = dialogue->match(phrases[i], language);
            for (const auto& action : match.rule->actions) {
                for (const auto& text : action.texts) {
                    const auto filled = oavc::services::fill_in(text, match.captures, action.kind);
                    if (filled.size() > 100'000) std::abort();
                }
            }
        }
        dialogue->replies(language);
    }
    return 0;
}
