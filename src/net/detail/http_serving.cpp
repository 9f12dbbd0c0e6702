#include "net/detail/http_serving.hpp"

namespace oavc::net::detail {

HttpServer::Stats HttpCounters::read() const noexcept {
    const auto now = [](const Counter& counter) { return counter.load(std::memory_order_relaxed); };
    HttpServer::Stats stats;
    stats.accepted = now(accepted);
    stats.refused = now(refused);
    stats.refused_source = now(refused_source);
    stats.requests = now(requests);
    stats.bad_requests = now(bad_requests);
    stats.slow_readers = now(slow_readers);
    stats.websockets = now(websockets);
    stats.tls_busy = now(tls_busy);
    stats.tls_plain_http = now(tls_plain_http);
    stats.tls_bad_certificates = now(tls_bad_certificates);
    stats.tls_failed = now(tls_failed);
    stats.tls_handshakes = now(tls_handshakes);
    return stats;
}

void HttpServing::log_exception(const std::exception_ptr& error, std::string_view where) const {
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& e) {
        log.error("exception in HTTP server", log::kv("where", where), log::kv("what", e.what()));
    } catch (...) {
        log.error("exception in HTTP server", log::kv("where", where));
    }
}

}  // namespace oavc::net::detail
