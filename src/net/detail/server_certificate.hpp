#pragma once

#include "base/result.hpp"

#include <openssl/ssl.h>

#include <string>

namespace oavc::net::detail {

/// Lets `client` accept a server only whose certificate holds `host`, a name or an address
/// (RFC 6125 §6), and ask for that name (RFC 6066 §3). Before the handshake. Errors: OpenSSL's.
Result<void> expect_host(SSL* client, const std::string& host);

/// Why `client` did not shake hands: the CertificateErrc of one that it does not accept, which
/// says what to do, else `error` as it is.
error_code handshake_error(const SSL* client, const error_code& error) noexcept;

}  // namespace oavc::net::detail
