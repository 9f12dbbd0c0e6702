#pragma once

#include "net/detail/plain_or_tls.hpp"

#include <boost/beast/websocket/ssl.hpp>
#include <boost/beast/websocket/teardown.hpp>

#include <utility>

namespace oavc::net::detail {

/// Ends the layers below a WebSocket after its close handshake; Beast finds it by name.
template <class Handler>
void async_teardown(beast::role_type role, PlainOrTlsStream& stream, Handler&& handler) {
    if (auto* tls = stream.tls()) {
        tls->async_shutdown(std::forward<Handler>(handler));
    } else {
        beast::websocket::async_teardown(
            role, stream.next_layer().socket(), std::forward<Handler>(handler)
        );
    }
}

}  // namespace oavc::net::detail
