#pragma once

#include <openssl/ssl.h>

#include <memory>

namespace oavc::net::detail {

struct FreeSsl {
    void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
};
/// One connection's TLS, without a transport.
using SslHandle = std::unique_ptr<SSL, FreeSsl>;

}  // namespace oavc::net::detail
