#pragma once

#include "async/awaitable.hpp"
#include "async/shard.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "net/http.hpp"
#include "net/websocket.hpp"

#include <memory>
#include <string>

namespace oavc::net {

struct HttpClientRequest {
    std::string method{"GET"};
    std::string url;  ///< http:// or https://
    HttpHeaders headers;
    std::string body;
};

/// One request on a connection of its own. TLS certificates are verified against the system's
/// store and the name. `limit` covers all of it. Redirects are not followed.
asio::awaitable<Result<HttpResponse>> http_request(
    async::Shard& shard,
    HttpClientRequest request,
    Clock::duration limit
);

/// Connects to ws:// or wss://. `headers` are added to the handshake.
asio::awaitable<Result<std::unique_ptr<WebSocket>>> websocket_connect(
    async::Shard& shard,
    std::string url,
    HttpHeaders headers,
    Clock::duration limit,
    WsLimits limits
);

}  // namespace oavc::net
