#pragma once

#include "async/awaitable.hpp"
#include "async/shard.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "net/errors.hpp"
#include "net/http.hpp"
#include "net/tls_identity.hpp"
#include "net/websocket.hpp"

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace oavc::net {

struct HttpClientRequest {
    std::string method{"GET"};
    std::string url;  ///< http:// or https://
    HttpHeaders headers;
    std::string body;
    TlsIdentity tls;                  ///< of https: whom to believe, and what to show
    std::size_t max_body{16u << 20};  ///< of the response, when it is collected

    /// Downloads: gets the body piece by piece instead of HttpResponse::body; `head` carries status
    /// and headers. False stops (NetErrc::stopped_by_sink). No size limit applies.
    std::function<bool(const HttpResponse& head, std::string_view piece)> on_body;
    Clock::duration stall_limit{30s};  ///< with on_body: longest wait for the next piece
};

/// One request on a connection of its own. TLS certificates must be of whom `tls` believes, and of
/// the name. `limit` covers all of it. Redirects are not followed. Errors: NetErrc::bad_url,
/// asio::error (host_not_found, connection_refused, timed_out …), OpenSSL's.
asio::awaitable<Result<HttpResponse>> http_request(
    async::Shard& shard, HttpClientRequest request, Clock::duration limit
);

/// Connects to ws:// or wss://. `headers` are added to the handshake. A server that answers
/// anything but 101 gives an error of http_status_category(). `tls` as in HttpClientRequest.
asio::awaitable<Result<std::unique_ptr<WebSocket>>> websocket_connect(
    async::Shard& shard,
    std::string url,
    HttpHeaders headers,
    Clock::duration limit,
    WsLimits limits,
    TlsIdentity tls = {}
);

}  // namespace oavc::net
