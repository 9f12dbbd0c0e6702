#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace oavc::services {

/// Longer sentences are cut here: about five minutes of speech.
inline constexpr std::size_t longest_speech = 4'000;

/// UTF-8 as printable ASCII on one line for an engine that knows nothing else: accents are dropped
/// (ğ → g, é → e), typographic quotes and dashes become plain, everything else a space. At most
/// `longest_speech` bytes.
std::string to_plain_ascii(std::string_view text);

/// UTF-8 on one line without control characters, at most `longest_speech` bytes, cut between
/// characters; bytes that are not UTF-8 become spaces.
std::string to_plain_utf8(std::string_view text);

}  // namespace oavc::services
