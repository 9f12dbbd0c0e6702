#pragma once

#include "async/awaitable.hpp"
#include "async/shard.hpp"
#include "async/signal.hpp"
#include "async/task_group.hpp"
#include "net/http.hpp"
#include "net/tls_identity.hpp"
#include "observability/log.hpp"
#include "observability/otlp.hpp"
#include "observability/tracing_config.hpp"

#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <cstddef>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace oavc::api {

/// Where spans are posted: the endpoint with /v1/traces behind it, unless that is there already.
std::string traces_url(std::string endpoint);

/// "name=value,name2=value2" as OTEL_EXPORTER_OTLP_HEADERS has it. Pieces without a name are left
/// out.
net::HttpHeaders otlp_headers(std::string_view text);

/// Sends spans to a collector over OTLP/HTTP from a thread of its own: calls only put them into a
/// bounded queue (trace::ExportQueue), and a collector that is slow or away costs spans, never a
/// call's time. take() from any thread; start() and stop() from main.
class SpanExporter final : public trace::SpanSink {
public:
    SpanExporter(const trace::Config& config, trace::Resource resource, log::Logger log);
    SpanExporter(const SpanExporter&) = delete;
    SpanExporter& operator=(const SpanExporter&) = delete;
    ~SpanExporter();

    void start();  ///< throws as reload_certificates() does
    /// Sends what is left, for at most two seconds, and ends. Blocks.
    void stop();

    /// For connections to come. Throws std::runtime_error that names the file; the old ones go on.
    void reload_certificates();

    void take(trace::Span span) noexcept override;

    struct Stats : trace::ExportQueue::Stats {
        std::size_t waiting{0};
    };
    Stats stats() const;

private:
    asio::awaitable<void> run();
    asio::awaitable<bool> send(std::string body, Clock::duration limit);

    const std::string url_;
    const net::TlsIdentity tls_;
    const net::HttpHeaders headers_;
    const trace::Resource resource_;
    log::Logger log_;
    log::RateLimit complaints_{1min};
    mutable std::mutex mutex_;
    trace::ExportQueue queue_;
    async::Shard shard_{0};
    async::Signal wake_;
    asio::steady_timer give_up_;  ///< at the end: then nothing is waited for any more
    async::TaskGroup tasks_;
    std::atomic<bool> stopping_{false};
    bool running_{false};
};

}  // namespace oavc::api
