#pragma once

#include "net/detail/websocket_link.hpp"
#include "net/websocket.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <memory>

namespace oavc::net::detail {

/// The server's end of a WebSocket whose handshake is done. No coroutine, timer or allocation per
/// message while receive() runs.
std::unique_ptr<WebSocket> make_server_websocket(
    boost::asio::any_io_executor executor,
    std::unique_ptr<WebSocketLink> link,
    const WsLimits& limits
);

}  // namespace oavc::net::detail
