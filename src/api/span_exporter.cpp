#include "api/span_exporter.hpp"

#include "api/control_api.hpp"
#include "async/run_blocking.hpp"
#include "net/http_client.hpp"
#include "net/tls.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <new>
#include <span>
#include <stdexcept>
#include <utility>

namespace oavc::api {

namespace {

/// OTLP's own default.
constexpr Clock::duration answer_limit = 10s;
/// What a process that ends still gives its spans.
constexpr Clock::duration farewell = 2s;

trace::Verdict not_reached(const error_code& error) {
    return {trace::Verdict::Kind::retry, 0, error.message()};
}

std::string_view trimmed(std::string_view text) noexcept {
    const auto begin = text.find_first_not_of(" \t");
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

}  // namespace

std::string traces_url(std::string endpoint) {
    constexpr std::string_view path{"/v1/traces"};
    while (endpoint.ends_with('/'))
        endpoint.pop_back();
    if (!endpoint.ends_with(path)) endpoint += path;
    return endpoint;
}

net::HttpHeaders otlp_headers(std::string_view text) {
    net::HttpHeaders headers;
    while (!text.empty()) {
        const auto piece = text.substr(0, text.find(','));
        text.remove_prefix(std::min(text.size(), piece.size() + 1));
        const auto equals = piece.find('=');
        if (equals == std::string_view::npos) continue;
        const auto name = trimmed(piece.substr(0, equals));
        if (name.empty()) continue;
        headers.insert_or_assign(
            std::string{name}, percent_decoded(trimmed(piece.substr(equals + 1)))
        );
    }
    return headers;
}

SpanExporter::SpanExporter(const trace::Config& config, trace::Resource resource, log::Logger log)
    : url_{traces_url(config.endpoint)},
      tls_{config.certificate_file, config.key_file, config.ca_file},
      headers_{otlp_headers(config.headers)},
      resource_{std::move(resource)},
      log_{std::move(log)},
      wake_{shard_.executor()},
      give_up_{shard_.executor()},
      tasks_{shard_.executor(), [this](std::exception_ptr) {
                 log_.error("exporting traces failed in a way of its own: no more are sent");
             }} {}

SpanExporter::~SpanExporter() { stop(); }

void SpanExporter::reload_certificates() {
    if (!url_.starts_with("https://")) return;
    try {
        net::load_client_identity(shard_, tls_);
    } catch (const std::runtime_error& error) {
        throw std::runtime_error{fmt::format("[tracing] {}", error.what())};
    }
}

void SpanExporter::start() {
    reload_certificates();
    shard_.start();
    running_ = true;
    shard_.post([this] { tasks_.spawn(run()); });
}

void SpanExporter::stop() {
    if (!std::exchange(running_, false)) return;
    stopping_ = true;
    shard_.post([this] {
        give_up_.expires_after(farewell);
        give_up_.async_wait([this](const error_code& error) {
            if (!error) tasks_.cancel();
        });
        wake_.notify();
    });
    async::run_blocking(shard_, tasks_.join());
    shard_.post([this] { give_up_.cancel(); });
    shard_.drain_and_join();
}

void SpanExporter::take(trace::Span span) noexcept {
    bool wake = false;
    try {
        const std::lock_guard lock{mutex_};
        const bool first = queue_.waiting() == 0;
        const bool taken = queue_.push(std::move(span), Clock::now());
        wake = taken && (first || queue_.full());
    } catch (const std::bad_alloc&) {
        return;
    }
    if (wake) shard_.post([this] { wake_.notify(); });
}

SpanExporter::Stats SpanExporter::stats() const {
    const std::lock_guard lock{mutex_};
    return {queue_.stats(), queue_.waiting()};
}

asio::awaitable<void> SpanExporter::run() {
    while (!stopping_) {
        std::span<const trace::Span> batch;
        TimePoint deadline;
        {
            const std::lock_guard lock{mutex_};
            batch = queue_.next(Clock::now());
            deadline = queue_.next_deadline();
        }
        if (batch.empty()) {
            const bool go_on = co_await wake_.wait_until(deadline);
            if (!go_on) co_return;
            continue;
        }
        std::string body = trace::otlp_json(resource_, batch);
        const bool accepted = co_await send(std::move(body), answer_limit);
        static_cast<void>(accepted);  // the queue knows when to try again
    }
    for (;;) {  // give_up_ ends what takes too long
        std::span<const trace::Span> batch;
        {
            const std::lock_guard lock{mutex_};
            batch = queue_.flush();
        }
        if (batch.empty()) co_return;
        std::string body = trace::otlp_json(resource_, batch);
        const bool accepted = co_await send(std::move(body), farewell);
        if (!accepted) co_return;
    }
}

/// False: the collector did not take it.
asio::awaitable<bool> SpanExporter::send(std::string body, Clock::duration limit) {
    net::HttpClientRequest request;
    request.method = "POST";
    request.url = url_;
    request.tls = tls_;
    request.headers = headers_;
    request.headers.insert_or_assign("Content-Type", "application/json");
    request.body = std::move(body);
    request.max_body = 64u << 10;
    const auto answer = co_await net::http_request(shard_, std::move(request), limit);
    trace::Verdict verdict;
    std::optional<Clock::duration> retry_after;
    if (answer) {
        verdict = trace::judge_answer(answer->status, answer->body);
        const auto header = answer->headers.find("Retry-After");
        if (header != answer->headers.end()) retry_after = trace::parse_retry_after(header->second);
    } else {
        verdict = not_reached(answer.error());
    }
    const bool accepted = verdict.kind == trace::Verdict::Kind::accepted;
    const bool trouble = !accepted || verdict.rejected > 0;
    const auto now = Clock::now();
    trace::ExportQueue::Stats stats;
    {
        const std::lock_guard lock{mutex_};
        queue_.on_answer(verdict, retry_after, now);
        stats = queue_.stats();
    }
    if (!trouble || !complaints_.allow(now)) co_return accepted;
    log_.warn(
        "the collector does not take traces: calls go on without",
        log::kv("url", url_),
        log::kv("reason", verdict.why),
        log::kv("lost_spans", stats.dropped + stats.failed + stats.rejected)
    );
    co_return accepted;
}

}  // namespace oavc::api
