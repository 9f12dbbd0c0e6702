#include "services/failover/provider.hpp"

#include "services/errors.hpp"

#include <utility>

namespace oavc::services {

std::string_view to_string(ServiceKind kind) noexcept {
    switch (kind) {
        case ServiceKind::stt:
            return "stt";
        case ServiceKind::llm:
            return "llm";
        case ServiceKind::tts:
            return "tts";
    }
    return "unknown";
}

namespace {

/// Metrics of what services count themselves.
struct Family {
    const char* name;
    const char* help;
    const char* label;
};

const Family& family_of(metrics::Count::Unit unit) noexcept {
    using Unit = metrics::Count::Unit;
    static constexpr Family events{
        "oavc_provider_events_total", "What happened within a provider's adapter.", "event"};
    static constexpr Family audio{
        "oavc_provider_audio_seconds_total", "The callers' audio, by what became of it.", "audio"};
    static constexpr Family work{
        "oavc_provider_work_seconds_total", "What an engine's time went into.", "work"};
    static constexpr Family bytes{
        "oavc_provider_bytes_total", "Bytes, by what became of them.", "bytes"};
    switch (unit) {
        case Unit::events:
            break;
        case Unit::audio_seconds:
            return audio;
        case Unit::work_seconds:
            return work;
        case Unit::bytes:
            return bytes;
    }
    return events;
}

}  // namespace

// ── Attempt ─────────────────────────────────────────────────────────────────────────────────────

Attempt::Attempt(Attempt&& other) noexcept
    : provider_{std::exchange(other.provider_, nullptr)},
      permit_{other.permit_},
      responded_{other.responded_} {}

Attempt::~Attempt() {
    if (provider_ == nullptr) return;
    if (responded_) {
        provider_->on_success(permit_);
    } else {
        provider_->on_abandoned(permit_);
    }
}

void Attempt::responded(Clock::duration latency) {
    responded_ = true;
    if (provider_ == nullptr) return;
    provider_->latencies_.add(latency);
    provider_->latency_.observe(std::chrono::duration<double>(latency).count());
}

void Attempt::failed(const error_code& error, TimePoint now) {
    if (provider_ != nullptr) std::exchange(provider_, nullptr)->on_failure(permit_, error, now);
}

void Attempt::withdraw() {
    if (provider_ != nullptr) std::exchange(provider_, nullptr)->breaker_.on_abandoned(permit_);
}

void Attempt::overtaken(Clock::duration waited, TimePoint now) {
    if (provider_ != nullptr) provider_->latencies_.add(waited);
    failed(make_error_code(ServiceErrc::timed_out), now);
}

// ── Provider ────────────────────────────────────────────────────────────────────────────────────

Provider::Provider(Identity identity, const BreakerConfig& breaker, metrics::Registry* registry)
    : identity_{std::move(identity)}, breaker_{breaker}, registry_{registry} {
    const std::string kind{to_string(identity_.kind)};
    log_ = log_.with({log::kv("kind", kind), log::kv("provider", identity_.name)});
    if (registry == nullptr) return;
    const auto requests = [&](const char* outcome) {
        return registry->counter(
            "oavc_provider_requests_total",
            "Requests to a provider by how they ended.",
            {{"kind", kind}, {"provider", identity_.name}, {"outcome", outcome}}
        );
    };
    requests_ok_ = requests("ok");
    requests_failed_ = requests("failed");
    requests_timed_out_ = requests("timed_out");
    requests_abandoned_ = requests("abandoned");
    failovers_ = registry->counter(
        "oavc_provider_failovers_total",
        "Turns that another provider took over after this one failed.",
        {{"kind", kind}, {"provider", identity_.name}}
    );
    const auto hedges = [&](const char* outcome) {
        return registry->counter(
            "oavc_provider_hedges_total",
            "Turns in which this provider was asked too because the first was late.",
            {{"kind", kind}, {"provider", identity_.name}, {"outcome", outcome}}
        );
    };
    if (identity_.kind != ServiceKind::stt) {  // a late transcript is not hedged
        hedges_won_ = hedges("won");
        hedges_lost_ = hedges("lost");
    }
    opened_ = registry->counter(
        "oavc_provider_breaker_opened_total",
        "How often the circuit breaker opened.",
        {{"kind", kind}, {"provider", identity_.name}}
    );
    latency_ = registry->histogram(
        "oavc_provider_latency_seconds",
        "Request to first token (llm) or audio (tts), end of speech to transcript (stt).",
        metrics::turn_seconds,
        {{"kind", kind}, {"provider", identity_.name}}
    );
    for (std::size_t i = 0; i < breaker_state_.size(); ++i) {
        breaker_state_[i] = registry->gauge(
            "oavc_provider_breaker_state",
            "1 for the state that the circuit breaker is in.",
            {{"kind", kind},
             {"provider", identity_.name},
             {"state", std::string{to_string(static_cast<CircuitBreaker::State>(i))}}}
        );
    }
    usable_ = registry->gauge(
        "oavc_provider_usable",
        "1 when the provider answers, as /health/ready has it.",
        {{"kind", kind}, {"provider", identity_.name}}
    );
}

std::optional<Attempt> Provider::begin(TimePoint now) {
    const auto permit = breaker_.try_begin(now);
    if (!permit) return std::nullopt;
    return Attempt{*this, *permit};
}

void Provider::on_success(CircuitBreaker::Permit permit) {
    ++succeeded_;
    requests_ok_.add();
    {
        const std::lock_guard lock{mutex_};
        last_ok_ = Clock::now();
        probe_failed_ = false;
    }
    if (breaker_.on_success(permit)) log_.info("a provider is in use again");
}

void Provider::on_failure(CircuitBreaker::Permit permit, const error_code& error, TimePoint now) {
    ++failed_;
    (error == ServiceErrc::timed_out ? requests_timed_out_ : requests_failed_).add();
    bool complain = false;
    std::uint64_t suppressed = 0;
    {
        const std::lock_guard lock{mutex_};
        last_error_ = error.message();
        last_failure_ = now;
        complain = complaints_.allow(now);
        suppressed = complaints_.suppressed();
    }
    if (breaker_.on_failure(permit, now)) {
        opened_.add();
        log_.warn(
            "a provider fails: it is left alone for a while",
            log::kv("error", error),
            log::kv("ms", breaker_.open_until() - now)
        );
    } else if (complain) {
        log_.warn(
            "a provider failed within a turn",
            log::kv("error", error),
            log::kv("not_logged_before", suppressed)
        );
    }
}

void Provider::on_abandoned(CircuitBreaker::Permit permit) {
    ++abandoned_;
    requests_abandoned_.add();
    breaker_.on_abandoned(permit);
}

void Provider::on_probe_answered(Clock::duration took, TimePoint now) {
    {
        const std::lock_guard lock{mutex_};
        last_ok_ = now;
        probe_time_ = took;
        probe_failed_ = false;
    }
    breaker_.on_probe_answered();
}

void Provider::on_probe_failed(const error_code& error, TimePoint now) {
    const auto permit = breaker_.try_begin(now);
    {
        const std::lock_guard lock{mutex_};
        last_error_ = error.message();
        last_failure_ = now;
        probe_failed_ = true;
    }
    // A provider that does not even answer a probe would fail a call's request too.
    if (permit && breaker_.on_failure(*permit, now)) opened_.add();
}

std::optional<TimePoint> Provider::last_seen() const {
    const std::lock_guard lock{mutex_};
    if (!last_ok_) return last_failure_;
    if (!last_failure_) return last_ok_;
    return std::max(*last_ok_, *last_failure_);
}

Provider::Snapshot Provider::snapshot() const {
    Snapshot seen;
    seen.identity = identity_;
    seen.breaker = breaker_.state();
    const std::lock_guard lock{mutex_};
    seen.known = last_ok_ || last_failure_;
    seen.usable = last_ok_ && !probe_failed_ && seen.breaker != CircuitBreaker::State::open;
    seen.last_error = last_error_;
    seen.last_ok = last_ok_;
    seen.probe_time = probe_time_;
    seen.succeeded = succeeded_;
    seen.failed = failed_;
    seen.abandoned = abandoned_;
    return seen;
}

void Provider::publish(const std::vector<metrics::Count>& counts) {
    if (registry_ == nullptr) return;
    const auto seen = snapshot();
    for (std::size_t i = 0; i < breaker_state_.size(); ++i) {
        breaker_state_[i].set(seen.breaker == static_cast<CircuitBreaker::State>(i) ? 1 : 0);
    }
    usable_.set(seen.usable ? 1 : 0);
    const std::string kind{to_string(identity_.kind)};
    told_.resize(counts.size());
    for (std::size_t i = 0; i < counts.size(); ++i) {
        const auto& count = counts[i];
        const Family& family = family_of(count.unit);
        const std::string what{count.what};
        registry_
            ->counter(
                family.name,
                family.help,
                {{"kind", kind}, {"provider", identity_.name}, {family.label, what}}
            )
            .add(count.value - told_[i]);
        told_[i] = count.value;
    }
}

}  // namespace oavc::services
