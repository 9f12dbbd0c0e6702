#pragma once

#include "net/detail/socket_poller.hpp"
#include "net/detail/ssl_handle.hpp"
#include "net/detail/websocket_link.hpp"

#include <memory>

namespace oavc::net::detail {

/// Takes over a connected TCP socket and the TLS on it, whose handshake is done. OpenSSL reads and
/// writes the socket itself: nothing is copied or allocated for a message that is not for a plain
/// one.
std::unique_ptr<WebSocketLink> link_tls(
    int socket, SslHandle tls, std::shared_ptr<SocketPoller> poller
);

}  // namespace oavc::net::detail
