#pragma once

#include <string>
#include <string_view>

namespace oavc::transports::opensips {

/// The same text with every byte that is no UTF-8 replaced by U+FFFD, and control characters, which
/// JSON does not allow as such, by spaces. OpenSIPS copies the bytes of SIP messages as they came.
std::string repaired_json(std::string_view text);

/// Appends `text` as a JSON string in quotes. Takes any bytes: what is no UTF-8 becomes U+FFFD;
/// NUL, which ends a string in OpenSIPS, is left out.
void append_json_string(std::string& out, std::string_view text);

}  // namespace oavc::transports::opensips
