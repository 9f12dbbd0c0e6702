#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace oavc::caller {

/// The words of a sentence as a recogniser would write them: lower case, no punctuation, "it's" one
/// word, numbers up to 9999 spelled ("9" → "nine").
std::vector<std::string> words_of(std::string_view text);

/// Share of `reference` that `heard` got right: 1 − (substitutions + deletions + insertions) /
/// reference words, not below 0. 1 when both are empty; 0 when only the reference is.
double word_accuracy(std::string_view reference, std::string_view heard);

}  // namespace oavc::caller
