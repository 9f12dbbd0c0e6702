#include "services/stt/whisper/text.hpp"

#include "services/detail/words.hpp"

#include <algorithm>
#include <cstdint>

namespace oavc::services::whisper {

namespace {

constexpr std::string_view white{" \t\r\n\v\f"};

bool continues(char c) noexcept { return (static_cast<unsigned char>(c) & 0xC0u) == 0x80; }

/// Bytes of the character that `lead` begins; 0: it begins none.
std::size_t size_of(unsigned char lead) noexcept {
    if (lead < 0x80) return 1;
    if (lead >= 0xC2 && lead <= 0xDF) return 2;
    if (lead >= 0xE0 && lead <= 0xEF) return 3;
    return lead >= 0xF0 && lead <= 0xF4 ? 4 : 0;
}

}  // namespace

std::string_view trimmed(std::string_view text) noexcept {
    // A cut character has a lead byte among the last three that promises more than is there.
    for (std::size_t back = 1; back <= std::min<std::size_t>(3, text.size()); ++back) {
        const char c = text[text.size() - back];
        if (continues(c)) continue;
        if (size_of(static_cast<unsigned char>(c)) > back) text.remove_suffix(back);
        break;
    }
    return services::trimmed(text);
}

bool is_clean_utf8(std::string_view text) noexcept {
    while (!text.empty()) {
        const auto lead = static_cast<unsigned char>(text[0]);
        const auto size = size_of(lead);
        if (size == 0 || size > text.size()) return false;
        std::uint32_t code = size == 1 ? lead : lead & (0xFFu >> (size + 1));
        for (std::size_t i = 1; i < size; ++i) {
            if (!continues(text[i])) return false;
            code = code << 6 | (static_cast<unsigned char>(text[i]) & 0x3Fu);
        }
        const bool overlong = (size == 3 && code < 0x800) || (size == 4 && code < 0x10000);
        const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
        const bool control = (code < ' ' && code != '\n') || (code >= 0x7F && code < 0xA0);
        if (overlong || surrogate || control || code > 0x10FFFF) return false;
        text.remove_prefix(size);
    }
    return true;
}

std::size_t count_characters(std::string_view text) noexcept {
    return static_cast<std::size_t>(std::ranges::count_if(text, [](char c) {
        return !continues(c);
    }));
}

std::vector<std::string_view> split_at_spaces(std::string_view text) {
    std::vector<std::string_view> words;
    for (;;) {
        const auto begin = text.find_first_not_of(white);
        if (begin == std::string_view::npos) return words;
        text.remove_prefix(begin);
        const auto end = std::min(text.find_first_of(white), text.size());
        words.push_back(text.substr(0, end));
        text.remove_prefix(end);
    }
}

std::string folded(std::string_view word) { return join_words(words_of(word)); }

}  // namespace oavc::services::whisper
