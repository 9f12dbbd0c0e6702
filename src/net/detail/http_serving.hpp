#pragma once

#include "async/shard.hpp"
#include "async/task_group.hpp"
#include "base/time.hpp"
#include "net/connection_places.hpp"
#include "net/detail/http_routes.hpp"
#include "net/detail/socket_poller.hpp"
#include "net/http_server.hpp"
#include "net/tls.hpp"
#include "observability/log.hpp"

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <string_view>
#include <vector>

namespace oavc::net::detail {

/// HttpServer::Stats as its shards count them.
class HttpCounters {
public:
    using Counter = std::atomic<std::uint64_t>;

    Counter accepted{0};
    Counter refused{0};
    Counter refused_source{0};
    Counter requests{0};
    Counter bad_requests{0};
    Counter slow_readers{0};
    Counter websockets{0};
    Counter tls_busy{0};
    Counter tls_plain_http{0};
    Counter tls_bad_certificates{0};
    Counter tls_failed{0};
    Counter tls_handshakes{0};

    HttpServer::Stats read() const noexcept;  ///< all but `open`
};

inline void count(HttpCounters::Counter& counter) noexcept {
    counter.fetch_add(1, std::memory_order_relaxed);
}

/// One shard's connections.
struct HttpLane {
    async::Shard& shard;
    async::TaskGroup tasks;
    std::shared_ptr<SocketPoller> poller;     ///< of its WebSockets
    std::shared_ptr<const TlsContext> tls{};  ///< of connections to come; null: none
    TimePoint next_handshake{};               ///< when another may begin
    log::RateLimit complaints{std::chrono::seconds{10}};
};

/// What the connections of one server share: it outlives them.
struct HttpServing {
    const HttpServer::Options options;
    HttpRoutes routes;  ///< fixed before start
    ConnectionPlaces places{options.max_connections, options.max_connections_per_source};
    HttpCounters counters;
    std::vector<std::unique_ptr<HttpLane>> lanes;  ///< one per shard, fixed
    log::Logger log;

    /// What escaped a handler or a connection: our bug, and nobody else's end.
    void log_exception(const std::exception_ptr& error, std::string_view where) const;
};

}  // namespace oavc::net::detail
