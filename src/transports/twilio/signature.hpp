#pragma once

#include "transports/twilio/form.hpp"

#include <span>
#include <string>
#include <string_view>

namespace oavc::transports::twilio {

/// X-Twilio-Signature of a request: base64(HMAC-SHA1(token, url + each parameter's name and value
/// in byte order of the names)). `url` is signed as it stands. Repeated names: values once each,
/// sorted.
std::string sign(
    std::string_view token, std::string_view url, std::span<const FormField> parameters
);

/// What a request brought. `url` is the public one: scheme, host, path and query as Twilio was
/// configured (for a media socket: as the TwiML named it), not what a proxy made of it.
struct SignedRequest {
    std::string_view url;
    std::span<const FormField> parameters;  ///< of a form body; none for GET, JSON and sockets
    std::string_view signature;             ///< the header's value
};

/// True when one of `tokens` (empty ones are skipped) gives the signature. Compares in constant
/// time. Tried are the spellings of the URL that Twilio signs: without user info; with the port,
/// without it and with the scheme's; ' as such and as %27; ws, wss and bare hosts with and without
/// a last slash.
bool signature_valid(std::span<const std::string> tokens, const SignedRequest& request);

/// For JSON bodies: the URL's bodySHA256 parameter must be the body's hash, and the URL signed.
bool json_signature_valid(
    std::span<const std::string> tokens,
    std::string_view url,
    std::string_view body,
    std::string_view signature
);

}  // namespace oavc::transports::twilio
