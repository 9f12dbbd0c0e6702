#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace oavc::net {

/// The parts of an absolute URL that a connection needs (RFC 3986). Owns its text.
struct Url {
    std::string scheme;     ///< lower case: http, https, ws, wss, tcp, tls
    std::string userinfo;   ///< "user:pass" as written, or empty
    std::string host;       ///< name or address, IPv6 without brackets
    std::uint16_t port{0};  ///< the scheme's when not written; tcp and tls have none
    std::string target;     ///< path and query, still encoded, "/" at least; no fragment

    bool secure() const noexcept { return scheme == "https" || scheme == "wss"; }
    /// As the Host header has it: brackets where due, port only when it is not the scheme's.
    std::string authority() const;
};

/// Errors: NetErrc::bad_url. Control characters and spaces are refused, so that a URL cannot
/// smuggle a second request.
Result<Url> parse_url(std::string_view text);

}  // namespace oavc::net
