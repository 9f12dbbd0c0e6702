#pragma once

#include "base/error.hpp"
#include "base/time.hpp"
#include "observability/log.hpp"
#include "observability/metrics.hpp"
#include "services/failover/circuit_breaker.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::services {

enum class ServiceKind { stt, llm, tts };
std::string_view to_string(ServiceKind kind) noexcept;

class Provider;

/// One request to one provider. It ends with failed(), or with its destruction: as a success when
/// the provider had responded, as abandoned when not. Thread: any, one at a time.
class Attempt {
public:
    Attempt(Attempt&& other) noexcept;
    Attempt& operator=(Attempt&&) = delete;
    ~Attempt();

    /// The first token, audio or final transcript came, so long after the request.
    void responded(Clock::duration latency);
    /// It responded, but how fast says nothing.
    void responded() noexcept { responded_ = true; }
    void failed(const error_code& error, TimePoint now);
    /// It was no request after all: nothing is counted.
    void withdraw();
    /// Another was faster: counts as a failure, or a provider that hangs would never be found out.
    /// `waited` is the least that its response would have taken.
    void overtaken(Clock::duration waited, TimePoint now);

private:
    friend class Provider;
    Attempt(Provider& provider, CircuitBreaker::Permit permit) noexcept
        : provider_{&provider}, permit_{permit} {}

    Provider* provider_;  ///< null: ended
    CircuitBreaker::Permit permit_;
    bool responded_{false};
};

/// What is known of one provider of one kind, by all its calls on all shards: breaker, latencies,
/// the last error, counters. It outlives them. Thread: any.
class Provider {
public:
    struct Identity {
        ServiceKind kind{ServiceKind::stt};
        std::string name;      ///< provider id
        bool fallback{false};  ///< asked when the first one fails
        std::string where;     ///< address without secrets; empty: inside this process
    };
    /// What a health report tells.
    struct Snapshot {
        Identity identity;
        CircuitBreaker::State breaker{CircuitBreaker::State::closed};
        /// Neither broken nor silent to the latest probe; false as long as nothing is known.
        bool usable{false};
        bool known{false};  ///< a probe has ended, or a request
        std::string last_error;
        std::optional<TimePoint> last_ok;
        std::optional<Clock::duration> probe_time;  ///< of the latest probe that was answered
        std::uint64_t succeeded{0};
        std::uint64_t failed{0};
        std::uint64_t abandoned{0};
    };

    Provider(Identity identity, const BreakerConfig& breaker, metrics::Registry* metrics = nullptr);
    Provider(const Provider&) = delete;
    Provider& operator=(const Provider&) = delete;

    const Identity& identity() const noexcept { return identity_; }

    /// Nothing: the breaker forbids it.
    std::optional<Attempt> begin(TimePoint now);

    /// begin() would allow a request.
    bool available(TimePoint now) const { return breaker_.available(now); }

    /// 95th percentile of the first responses; nothing until enough are known.
    std::optional<Clock::duration> p95() const { return latencies_.p95(); }

    void count_failover() const noexcept { failovers_.add(); }
    void count_hedge(bool won) const noexcept { (won ? hedges_won_ : hedges_lost_).add(); }

    // Health probes.
    void on_probe_answered(Clock::duration took, TimePoint now);
    void on_probe_failed(const error_code& error, TimePoint now);
    /// When it was last seen to work or to fail.
    std::optional<TimePoint> last_seen() const;

    Snapshot snapshot() const;
    /// Brings the metrics up to date, before they are read: the gauges, and what the service counts
    /// itself (SttService::counts and its like), always in the same order. One thread at a time.
    void publish(const std::vector<metrics::Count>& counts);

private:
    friend class Attempt;
    void on_success(CircuitBreaker::Permit permit);
    void on_failure(CircuitBreaker::Permit permit, const error_code& error, TimePoint now);
    void on_abandoned(CircuitBreaker::Permit permit);

    const Identity identity_;
    CircuitBreaker breaker_;
    Latencies latencies_;
    log::Logger log_;
    // Of the health report.
    mutable std::mutex mutex_;
    log::RateLimit complaints_{10s};  ///< of all calls together
    std::string last_error_;
    bool probe_failed_{false};  ///< and nothing worked since
    std::optional<TimePoint> last_ok_;
    std::optional<TimePoint> last_failure_;
    std::optional<Clock::duration> probe_time_;
    std::atomic<std::uint64_t> succeeded_{0};
    std::atomic<std::uint64_t> failed_{0};
    std::atomic<std::uint64_t> abandoned_{0};
    // Metrics.
    metrics::Registry* const registry_;  ///< null: none
    std::vector<double> told_;           ///< what the service had counted at the last publish()
    metrics::Counter requests_ok_;
    metrics::Counter requests_failed_;
    metrics::Counter requests_timed_out_;
    metrics::Counter requests_abandoned_;
    metrics::Counter failovers_;
    metrics::Counter hedges_won_;
    metrics::Counter hedges_lost_;
    metrics::Counter opened_;
    metrics::Histogram latency_;
    std::array<metrics::Gauge, 3> breaker_state_;
    metrics::Gauge usable_;
};

/// A service and what is known of its provider.
template <class Service>
struct Candidate {
    std::unique_ptr<Service> service;
    std::shared_ptr<Provider> provider;  ///< shared with the health monitor
};

}  // namespace oavc::services
