#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace oavc::sip {

/// The key in a body of INFO: "Signal=5…" (application/dtmf-relay) or the key alone
/// (application/dtmf). '0'–'9', '*', '#', 'A'–'D'; nothing if there is none.
std::optional<char> parse_info_digit(std::string_view media_type, std::string_view body) noexcept;

/// The body of an INFO that presses a key, application/dtmf-relay.
std::string write_info_digit(char digit, std::chrono::milliseconds duration);

/// The status of a message/sipfrag body: "SIP/2.0 200 OK" (RFC 3420); 0 when it has none.
int sipfrag_status(std::string_view body) noexcept;

/// A target as a URI, for Refer-To or a Request-URI: SIP and tel URIs stay what they are; a bare
/// number or user gets `host`. Nothing: no target at all.
std::optional<std::string> complete_target(std::string_view target, std::string_view host);

/// Percent-escapes all but unreserved characters: for a header within a URI (RFC 3261 §19.1.1).
std::string escape_uri_header(std::string_view text);

}  // namespace oavc::sip
