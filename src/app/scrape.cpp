#include "app/scrape.hpp"

#include "observability/log_fields.hpp"

#include <algorithm>
#include <chrono>

namespace oavc::app {

namespace {

std::vector<double> lag_seconds() {
    std::vector<double> bounds;
    for (const auto bound : async::LagMeter::bounds)
        bounds.push_back(std::chrono::duration<double>(bound).count());
    return bounds;
}

}  // namespace

Scrape::Scrape(metrics::Registry& registry, Sources sources)
    : registry_{registry}, sources_{sources}, process_{registry} {
    registry.gauge("oavc_build_info", "1; what runs.", {{"version", OAVC_VERSION}}).set(1);
    calls_active_ = registry.gauge("oavc_calls_active", "Calls that run now.");
    calls_capacity_ =
        registry.gauge("oavc_calls_capacity", "Calls that may run at once: [limits] max_calls.");
    calls_capacity_ratio_ = registry.gauge(
        "oavc_calls_capacity_ratio", "Calls that run, of those that may: what to scale on."
    );
    draining_ = registry.gauge("oavc_draining", "1: no new calls are taken; running ones go on.");
    calls_total_ = registry.counter("oavc_calls_total", "Calls that were admitted.");
    for (const auto refusal : transports::refusals) {
        calls_refused_[static_cast<std::size_t>(refusal)] = registry.counter(
            "oavc_calls_refused_total",
            "Calls that were refused, by reason.",
            {{"reason", std::string{to_string(refusal)}}}
        );
    }
    tick_lag_ = registry.histogram(
        "oavc_tick_lag_seconds",
        "How late the shards' timers run, looked at ten times a second. Above 0.02 callers hear "
        "it.",
        lag_seconds()
    );
    shard_lag_ = registry.gauge(
        "oavc_shard_lag_seconds",
        "How late the latest shard is, averaged over a second; [limits] max_lag refuses calls by "
        "it."
    );
    workers_waiting_ = registry.gauge("oavc_worker_jobs_waiting", "Jobs that wait for a worker.");
    workers_refused_ = registry.counter(
        "oavc_worker_jobs_refused_total", "Jobs that found [limits] worker_queue full."
    );
    http_open_ = registry.gauge("oavc_http_connections", "HTTP and WebSocket connections now.");
    using Stats = net::HttpServer::Stats;
    const auto http = [&](const char* event, std::uint64_t Stats::*field) {
        http_.emplace_back(
            registry.counter(
                "oavc_http_events_total",
                "The HTTP server: connections, requests, and what was turned away.",
                {{"event", event}}
            ),
            field
        );
    };
    http("accepted", &Stats::accepted);
    http("refused", &Stats::refused);
    http("refused_source", &Stats::refused_source);
    http("slow_readers", &Stats::slow_readers);
    http("requests", &Stats::requests);
    http("bad_requests", &Stats::bad_requests);
    http("websockets", &Stats::websockets);
    http("tls_handshakes", &Stats::tls_handshakes);
    http("tls_bad_certificates", &Stats::tls_bad_certificates);
    http("tls_plain_http", &Stats::tls_plain_http);
    http("tls_failed", &Stats::tls_failed);
    http("tls_busy", &Stats::tls_busy);
    for (const auto outcome : api::Access::outcomes) {
        api_refused_[static_cast<std::size_t>(outcome)] = registry.counter(
            "oavc_api_refused_total",
            "Requests to the control API that were refused, by reason.",
            {{"reason", std::string{to_string(outcome)}}}
        );
    }
    watchers_ = registry.gauge("oavc_event_watchers", "Clients that watch events as they happen.");
    watchers_refused_ = registry.counter(
        "oavc_event_watchers_refused_total", "Clients that found too many watching already."
    );
    watchers_dropped_ = registry.counter(
        "oavc_event_watchers_dropped_total", "Watchers that were let go because they were too slow."
    );
    const auto lines = [&](const char* severity, log::Level level) {
        log_lines_.emplace_back(
            registry.counter("oavc_log_lines_total", "Lines logged.", {{"severity", severity}}),
            level
        );
    };
    spans_waiting_ =
        registry.gauge("oavc_trace_spans_waiting", "Spans that wait to be sent to the collector.");
    const auto spans = [&](const char* outcome, std::uint64_t trace::ExportQueue::Stats::*field) {
        spans_.emplace_back(
            registry.counter(
                "oavc_trace_spans_total",
                "Spans of traces by what became of them.",
                {{"outcome", outcome}}
            ),
            field
        );
    };
    using Spans = trace::ExportQueue::Stats;
    spans("exported", &Spans::exported);
    spans("dropped", &Spans::dropped);
    spans("rejected", &Spans::rejected);
    spans("failed", &Spans::failed);
    lines("info", log::Level::info);
    lines("warning", log::Level::warn);
    lines("error", log::Level::error);
}

void Scrape::read_calls() {
    const auto places = sources_.manager.admission();
    const auto active = static_cast<double>(places.active);
    const auto capacity = static_cast<double>(places.capacity);
    calls_active_.set(active);
    calls_capacity_.set(capacity);
    calls_capacity_ratio_.set(capacity > 0 ? active / capacity : 1);
    draining_.set(sources_.manager.draining() ? 1 : 0);
    calls_total_.advance_to(static_cast<double>(places.admitted));
    for (std::size_t i = 0; i < calls_refused_.size(); ++i)
        calls_refused_[i].advance_to(static_cast<double>(places.refused[i]));
}

void Scrape::read_lag() {
    const auto late = sources_.pulse.late();
    std::vector<double> fresh;
    for (std::size_t i = 0; i < late.beats.size(); ++i)
        fresh.push_back(static_cast<double>(late.beats[i] - told_.beats[i]));
    tick_lag_.add(fresh, std::chrono::duration<double>(late.sum - told_.sum).count());
    told_ = late;
    const auto worst = sources_.pulse.worst_lag(Clock::now());
    shard_lag_.set(std::chrono::duration<double>(worst).count());
}

void Scrape::read_queues() {
    workers_waiting_.set(static_cast<double>(sources_.workers.waiting()));
    workers_refused_.advance_to(static_cast<double>(sources_.workers.refused()));
    const auto http = sources_.http.stats();
    http_open_.set(static_cast<double>(http.open));
    for (const auto& [counter, field] : http_)
        counter.advance_to(static_cast<double>(http.*field));
    for (const auto& [counter, level] : log_lines_)
        counter.advance_to(static_cast<double>(log::lines(level)));
    if (sources_.spans == nullptr) return;
    const auto spans = sources_.spans->stats();
    spans_waiting_.set(static_cast<double>(spans.waiting));
    for (const auto& [counter, field] : spans_)
        counter.advance_to(static_cast<double>(spans.*field));
}

void Scrape::read_api() {
    for (const auto outcome : api::Access::outcomes) {
        const auto refused = sources_.access.refused(outcome);
        api_refused_[static_cast<std::size_t>(outcome)].advance_to(static_cast<double>(refused));
    }
    const auto feed = sources_.feed.stats();
    watchers_.set(static_cast<double>(feed.watchers));
    watchers_refused_.advance_to(static_cast<double>(feed.refused));
    watchers_dropped_.advance_to(static_cast<double>(feed.dropped));
}

void Scrape::tell_carrier(std::string_view via, const std::vector<metrics::Count>& counts) {
    for (const auto& count : counts) {
        registry_
            .counter(
                "oavc_carrier_events_total",
                "What a carrier's side counts: messages, and what was wrong with them.",
                {{"via", std::string{via}}, {"event", std::string{count.what}}}
            )
            .advance_to(count.value);
    }
}

std::string Scrape::text() {
    const std::lock_guard lock{mutex_};
    read_calls();
    read_lag();
    read_queues();
    read_api();
    sources_.engines.current()->health.publish();
    process_.update();
    return registry_.text();
}

}  // namespace oavc::app
