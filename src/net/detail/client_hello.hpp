#pragma once

#include <openssl/ssl.h>

namespace oavc::net::detail {

/// Handshakes of this server's stop once what the client says first is there as a whole, before
/// anything is computed for it: who says nothing costs nobody's time. async_handshake() fails then;
/// after go_on() another one goes on with it.
void stop_at_client_hello(SSL_CTX* server);
bool is_stopped_at_client_hello(const SSL* connection) noexcept;
void go_on_from_client_hello(SSL* connection) noexcept;

}  // namespace oavc::net::detail
