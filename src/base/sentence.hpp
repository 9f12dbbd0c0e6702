#pragma once

#include <cstddef>
#include <string_view>

namespace oavc {

/// True when a sentence ends with text[at]: a line feed, or one of . ! ? that white space follows,
/// unless it belongs to an abbreviation ("Dr."). The last byte of a text is none: what follows it
/// decides ("3.5", "?!", a closing quote).
bool ends_sentence(std::string_view text, std::size_t at) noexcept;

/// How much of `text` is whole sentences, their white space included.
std::size_t whole_sentences(std::string_view text) noexcept;

/// True for text (UTF-8) with something to pronounce: a letter or a digit of any script. Of marks,
/// symbols and emoji alone ("...", "—", "😊") no voice can be expected to make a sound.
bool has_words(std::string_view text) noexcept;

}  // namespace oavc
