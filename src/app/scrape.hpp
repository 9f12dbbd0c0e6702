#pragma once

#include "api/access.hpp"
#include "api/event_feed.hpp"
#include "api/span_exporter.hpp"
#include "app/engines.hpp"
#include "async/pulse.hpp"
#include "async/worker_pool.hpp"
#include "net/http_server.hpp"
#include "observability/log.hpp"
#include "observability/metrics.hpp"
#include "observability/process_metrics.hpp"
#include "pipeline/manager.hpp"
#include "transports/listener.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace oavc::app {

/// What /metrics answers. Most metrics are counted where things happen; what is only read when
/// somebody asks (queue depths, counters that rooms keep themselves) is brought up to date here.
/// Thread: any; one scrape at a time. Never waits for a shard: a stuck one must not hide itself.
class Scrape {
public:
    /// All outlive us.
    struct Sources {
        const pipeline::PipelineManager& manager;
        const async::WorkerPool& workers;
        const EngineRoom& engines;
        const net::HttpServer& http;
        const api::Access& access;
        const api::EventFeed& feed;
        const async::Pulse& pulse;
        const api::SpanExporter* spans;  ///< null: no tracing
    };

    Scrape(metrics::Registry& registry, Sources sources);

    /// What a carrier has counted (Listener::counts). One thread.
    void tell_carrier(std::string_view via, const std::vector<metrics::Count>& counts);

    /// Prometheus text format (metrics::Registry::content_type).
    std::string text();

private:
    void read_calls();
    void read_lag();
    void read_queues();
    void read_api();

    metrics::Registry& registry_;
    const Sources sources_;
    std::mutex mutex_;
    metrics::ProcessMetrics process_;
    metrics::Gauge calls_active_;
    metrics::Gauge calls_capacity_;
    metrics::Gauge calls_capacity_ratio_;
    metrics::Gauge draining_;
    metrics::Counter calls_total_;
    std::array<metrics::Counter, std::size(transports::refusals)> calls_refused_;  ///< by Refusal
    metrics::Histogram tick_lag_;
    metrics::Gauge shard_lag_;
    metrics::Gauge workers_waiting_;
    metrics::Counter workers_refused_;
    metrics::Gauge http_open_;
    std::vector<std::pair<metrics::Counter, std::uint64_t net::HttpServer::Stats::*>> http_;
    std::array<metrics::Counter, std::size(api::Access::outcomes)> api_refused_;  ///< by Outcome
    metrics::Gauge watchers_;
    metrics::Counter watchers_refused_;
    metrics::Counter watchers_dropped_;
    std::vector<std::pair<metrics::Counter, log::Level>> log_lines_;
    metrics::Gauge spans_waiting_;
    std::vector<std::pair<metrics::Counter, std::uint64_t trace::ExportQueue::Stats::*>> spans_;
    async::LagMeter::Late told_;  ///< at the last scrape
};

}  // namespace oavc::app
