#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::services::whisper {

/// The text without white space around it, and without a last character that was cut in half: a
/// token may hold a part of one, and decoding may stop there.
std::string_view trimmed(std::string_view text) noexcept;

/// True for well-formed UTF-8 without control characters (RFC 3629).
bool is_clean_utf8(std::string_view text) noexcept;

/// Characters of UTF-8 text.
std::size_t count_characters(std::string_view text) noexcept;

/// What stands between white space, punctuation included. Views into `text`.
std::vector<std::string_view> split_at_spaces(std::string_view text);

/// One word as comparisons see it: lower case by either alphabet (I, İ, ı, i are one letter, so
/// Turkish and English casing match), no punctuation.
std::string folded(std::string_view word);

}  // namespace oavc::services::whisper
