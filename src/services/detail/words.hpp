#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace oavc::services {

/// The words of a text as a recogniser would say them: lower case, no punctuation; an apostrophe
/// stays inside a word ("what's"). Lower-cases ASCII, Latin-1 and the Turkish letters of UTF-8;
/// İ, I, i and ı all become "i", so that casing by either alphabet matches. Other bytes are kept.
std::vector<std::string> words_of(std::string_view text);

/// Without the white space around it.
std::string_view trimmed(std::string_view text) noexcept;

/// Words with one space between them.
std::string join_words(const std::vector<std::string>& words);

}  // namespace oavc::services
