#pragma once

#include <string>
#include <string_view>

namespace oavc::services {

/// Primary subtag of a BCP 47 tag in lower case: "tr-TR" → "tr". `_` separates too.
std::string primary_language(std::string_view tag);

/// What a recogniser is told of the language: the same, and empty for "auto" as for none.
std::string known_language(std::string_view tag);

}  // namespace oavc::services
