#pragma once

#include <cstddef>
#include <string_view>

namespace oavc::turns {

/// Words separated by white space.
std::size_t count_words(std::string_view text) noexcept;

/// True when the text stops where nobody stops: "and", "my", "two" (more digits may follow), a
/// comma. Turkish and English words.
bool looks_unfinished(std::string_view text) noexcept;

/// True when the text ends like a sentence: ". ? !".
bool looks_finished(std::string_view text) noexcept;

/// True when every word is a back-channel ("uh-huh", "okay", "hı-hı", "evet"): the caller listens,
/// he does not want the floor (requirement P213). False for an empty text.
bool is_back_channel(std::string_view text) noexcept;

}  // namespace oavc::turns
