#pragma once

#include <charconv>
#include <cstddef>
#include <optional>
#include <string_view>

namespace oavc::sip {

/// Space and tab: what SIP and SDP call white space.
constexpr bool is_blank(char c) noexcept { return c == ' ' || c == '\t'; }

constexpr std::string_view trim(std::string_view text) noexcept {
    while (!text.empty() && is_blank(text.front()))
        text.remove_prefix(1);
    while (!text.empty() && is_blank(text.back()))
        text.remove_suffix(1);
    return text;
}

constexpr char to_lower(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// ASCII only: header names, schemes, encodings.
constexpr bool equals_ignoring_case(std::string_view a, std::string_view b) noexcept {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (to_lower(a[i]) != to_lower(b[i])) return false;
    }
    return true;
}

/// Takes the text up to the next run of blanks off `rest`. Empty when nothing is left.
constexpr std::string_view next_word(std::string_view& rest) noexcept {
    rest = trim(rest);
    std::size_t size = 0;
    while (size < rest.size() && !is_blank(rest[size]))
        ++size;
    const auto word = rest.substr(0, size);
    rest.remove_prefix(size);
    return word;
}

/// A decimal number that fills the whole text and fits `T`.
template <class T>
std::optional<T> parse_number(std::string_view text) noexcept {
    T value{};
    const auto* const end = text.data() + text.size();
    const auto [stopped, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc{} || stopped != end || text.empty()) return std::nullopt;
    return value;
}

}  // namespace oavc::sip
