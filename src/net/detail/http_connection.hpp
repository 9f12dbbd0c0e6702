#pragma once

#include "async/awaitable.hpp"
#include "net/connection_places.hpp"
#include "net/detail/http_serving.hpp"

#include <boost/asio/ip/tcp.hpp>

namespace oavc::net::detail {

/// One connection of a server from its first byte to its last: requests, answers, WebSockets.
/// Thread: the lane's shard.
asio::awaitable<void> serve_http(
    HttpServing& server,
    HttpLane& lane,
    asio::ip::tcp::socket socket,
    asio::ip::tcp::endpoint peer,
    ConnectionPlaces::Place place
);

/// As serve_http, once the TLS handshake has been made, for which the client's first message waits
/// until the lane has time.
asio::awaitable<void> serve_https(
    HttpServing& server,
    HttpLane& lane,
    asio::ip::tcp::socket socket,
    asio::ip::tcp::endpoint peer,
    ConnectionPlaces::Place place
);

}  // namespace oavc::net::detail
