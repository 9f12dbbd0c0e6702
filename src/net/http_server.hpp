#pragma once

#include "async/shard_pool.hpp"
#include "base/time.hpp"
#include "net/http.hpp"
#include "net/tls_identity.hpp"
#include "net/websocket.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace oavc::net {

/// A request's answer may need time (a coroutine) but not another connection's. Handlers live as
/// long as the server. GET handlers answer HEAD too; the room leaves the body out.
using HttpHandler = std::function<asio::awaitable<HttpResponse>(async::Shard&, HttpRequest)>;

/// An answer that goes on as things happen, until its handler returns. Thread: the connection's
/// shard.
class LongAnswer {
public:
    /// Sends the head; `response.body` is the first part. Once, first. False: return.
    virtual asio::awaitable<bool> begin(HttpResponse response) = 0;
    /// False: the client is gone, or took longer than `request_timeout` to take this; return.
    virtual asio::awaitable<bool> write(std::string part) = 0;

protected:
    ~LongAnswer() = default;
};

/// Answers at length; or, before begin(), returns an ordinary answer. HEAD gets the head. The
/// connection ends with the answer (RFC 9112 §6.3, rule 8), so that parts need no framing.
using HttpLongHandler = std::function<
    asio::awaitable<std::optional<HttpResponse>>(async::Shard&, HttpRequest, LongAnswer&)>;

/// Runs one WebSocket connection from handshake to end. The request is the handshake's.
using WebSocketHandler =
    std::function<asio::awaitable<void>(async::Shard&, HttpRequest, std::unique_ptr<WebSocket>)>;

/// Looks at a handshake before 101 is sent: nothing accepts it, a response refuses it.
using WebSocketGate = std::function<std::optional<HttpResponse>(const HttpRequest&)>;

/// A second port of an HttpServer, of TLS. What is served is the same.
struct HttpsOptions {
    std::string host{"0.0.0.0"};
    std::uint16_t port{0};  ///< 0: any free one, see HttpServer::tls_port()
    TlsIdentity identity;
    Clock::duration handshake_timeout{10s};  ///< to say something; again for the rest
    Clock::duration handshake_gap{2ms};      ///< between the beginnings of two on one shard
};

/// HTTP/1.1 and WebSocket server on one port, and on another with TLS 1.2 or newer. Connections are
/// dealt to the shards of the pool and live there. Limits: 64 KiB of headers, `max_body`, 15 s per
/// request, 60 s idle keep-alive, `max_connections` in all and `max_connections_per_source` of one
/// IPv4 address or IPv6 /64 (beyond them new ones are closed at once, counted). TLS handshakes of a
/// shard begin 2 ms apart, so that a crowd of them leaves time for calls: one is up to a
/// millisecond of computing. A client's turn comes after its first message, so that who says
/// nothing takes nobody's. Who would have to wait for 2 s is sent away.
class HttpServer {
public:
    struct Options {
        std::string host{"0.0.0.0"};
        std::uint16_t port{0};  ///< 0: any free one, see port()
        std::size_t max_body{1 << 20};
        std::size_t max_connections{10'000};
        std::size_t max_connections_per_source{0};  ///< 0: no limit of its own
        Clock::duration request_timeout{15s};  ///< to read one request; again for its handler (503)
        Clock::duration idle_timeout{60s};     ///< between requests of one connection
        WsLimits websocket;

        std::optional<HttpsOptions> tls;  ///< nothing: not served
    };

    /// Cumulative but for `open`.
    struct Stats {
        std::size_t open{0};  ///< connections now
        std::uint64_t accepted{0};
        std::uint64_t refused{0};         ///< closed at once: max_connections
        std::uint64_t refused_source{0};  ///< closed at once: max_connections_per_source
        std::uint64_t requests{0};        ///< well-formed ones
        std::uint64_t bad_requests{0};    ///< garbage, too large, too slow
        std::uint64_t slow_readers{0};    ///< long answers that were not taken in time
        std::uint64_t websockets{0};      ///< upgrades done

        // Of TLS connections, in the order in which they end.
        std::uint64_t tls_busy{0};              ///< closed at once: too many handshakes waiting
        std::uint64_t tls_plain_http{0};        ///< spoke plain HTTP: told so
        std::uint64_t tls_bad_certificates{0};  ///< of clients: none, or not one that we believe
        std::uint64_t tls_failed{0};            ///< other handshakes: too old, too slow, garbage
        std::uint64_t tls_handshakes{0};        ///< that came to their end
    };

    HttpServer(async::ShardPool& shards, Options options);
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;
    ~HttpServer();

    /// Exact paths; register before start(). Unknown path: 404; known path, other method: 405.
    void handle(std::string method, std::string path, HttpHandler handler);
    /// Every path that begins with `prefix` (which ends with '/').
    void handle_prefix(std::string method, std::string prefix, HttpHandler handler);
    void handle_long(std::string method, std::string path, HttpLongHandler handler);
    /// Connections live on the shard that they happen to be dealt to, or all on number `shard`: for
    /// paths that lead to something which lives there.
    void handle_websocket(
        std::string path,
        WebSocketGate gate,
        WebSocketHandler handler,
        std::optional<std::size_t> shard = {}
    );

    /// Binds and listens, exclusively: throws std::runtime_error
    /// "TCP 0.0.0.0:8088 is in use by another process: …" with what to do, also about certificates.
    void start();
    std::uint16_t port() const noexcept;
    std::uint16_t tls_port() const noexcept;  ///< 0: none

    /// Reads the certificates again, for connections to come. Throws std::runtime_error that names
    /// the file; the old ones go on then. Nothing without TLS. Thread: main.
    void reload_certificates();

    /// Method and path of every handler but those of WebSockets; a path that ends with '/' stands
    /// for all that begin with it. For tests of what is documented.
    std::vector<std::pair<std::string, std::string>> routes() const;

    /// Closes the acceptor, cancels every connection and waits for them. Thread: none of the
    /// shards'.
    void stop();

    Stats stats() const noexcept;  ///< Thread: any.

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace oavc::net
