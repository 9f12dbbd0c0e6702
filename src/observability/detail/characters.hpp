#pragma once

#include <cstddef>
#include <string_view>

/// What the characters of a text are to numbers and words within it.
namespace oavc::privacy::detail {

struct Character {
    char32_t code;
    std::size_t size;
};

/// The character at `at`. Broken UTF-8 (RFC 3629 §4) is a replacement character of one byte.
Character character_at(std::string_view text, std::size_t at) noexcept;

/// 0 … 9 in the scripts that recognisers and keyboards write; -1 for anything else.
int digit_of(char32_t code) noexcept;

/// What may stand between two digits of one number.
bool is_joiner(char32_t code) noexcept;

bool is_ascii_letter(char32_t code) noexcept;
bool is_letter(char32_t code) noexcept;
bool is_alphanumeric(char c) noexcept;  ///< of ASCII

}  // namespace oavc::privacy::detail
