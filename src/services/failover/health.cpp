#include "services/failover/health.hpp"

#include "async/deadline.hpp"
#include "async/run_blocking.hpp"
#include "services/errors.hpp"
#include "services/failover/detail/choice.hpp"

#include <boost/system/system_error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace oavc::services {

namespace {

bool is_own(const Watched& watched) { return watched.provider->identity().where.empty(); }

}  // namespace

HealthMonitor::HealthMonitor(
    std::vector<Watched> providers, milliseconds interval, async::Shard& shard, log::Logger log
)
    : interval_{interval},
      shard_{shard},
      log_{std::move(log)},
      tasks_{
          shard.executor(),
          [this](std::exception_ptr) { log_.error("a health probe failed in a way of its own"); }},
      unknown_{providers.size()} {
    for (auto& provider : providers) {
        unknown_own_ += is_own(provider) ? 1 : 0;
        entries_.push_back({.watched = std::move(provider)});
    }
}

void HealthMonitor::start() {
    started_ = true;
    shard_.post([this] { tasks_.spawn(watch()); });
}

void HealthMonitor::stop() {
    if (!started_) return;
    started_ = false;
    shard_.post([this] { tasks_.cancel(); });
    async::run_blocking(shard_, tasks_.join());
}

bool HealthMonitor::wait_for_first_answers(Clock::duration limit) {
    std::unique_lock lock{mutex_};
    return first_answer_.wait_for(lock, limit, [this] { return unknown_ == 0; });
}

bool HealthMonitor::wait_for_own_engines(Clock::duration limit) {
    std::unique_lock lock{mutex_};
    return first_answer_.wait_for(lock, limit, [this] { return unknown_own_ == 0; });
}

asio::awaitable<void> HealthMonitor::watch() {
    for (std::size_t i = 0; i < entries_.size(); ++i)
        tasks_.spawn(probe(i));
    for (;;) {
        const bool go_on = co_await async::sleep_for(interval_);
        if (!go_on) co_return;
        const auto now = Clock::now();
        for (std::size_t i = 0; i < entries_.size(); ++i) {
            const auto& provider = *entries_[i].watched.provider;
            const auto seen = provider.last_seen();
            const bool idle = !seen || now - *seen >= interval_;
            if (!entries_[i].probing && (idle || !provider.snapshot().usable)) {
                tasks_.spawn(probe(i));
            }
        }
    }
}

asio::awaitable<void> HealthMonitor::probe(std::size_t index) {
    Entry& entry = entries_[index];
    Provider& provider = *entry.watched.provider;
    entry.probing = true;
    const auto began = Clock::now();
    error_code error;
    try {
        auto asking = entry.watched.probe(shard_);
        const auto answer = co_await async::with_deadline(std::move(asking), probe_limit);
        if (!answer) error = fault(answer.error());
    } catch (const boost::system::system_error& thrown) {
        error = fault(thrown.code());
    }
    if (tasks_.cancelled()) co_return;
    entry.probing = false;
    const auto now = Clock::now();
    const auto& who = provider.identity();
    if (error) {
        // A breaker that is open has said it already.
        const bool news = provider.snapshot().breaker == CircuitBreaker::State::closed;
        provider.on_probe_failed(error, now);
        if (entry.answered && news) {
            log_.warn(
                "a provider does not answer",
                log::kv("kind", to_string(who.kind)),
                log::kv("provider", who.name),
                log::kv("error", error)
            );
        }
    } else {
        provider.on_probe_answered(now - began, now);
        if (!entry.answered) {
            log_.info(
                "a provider answers again",
                log::kv("kind", to_string(who.kind)),
                log::kv("provider", who.name)
            );
        }
    }
    entry.answered = !error;
    if (entry.first_done) co_return;
    entry.first_done = true;
    const std::lock_guard lock{mutex_};
    --unknown_;
    if (is_own(entry.watched)) --unknown_own_;
    first_answer_.notify_all();
}

std::vector<Provider::Snapshot> HealthMonitor::snapshot() const {
    std::vector<Provider::Snapshot> all;
    for (const auto& entry : entries_)
        all.push_back(entry.watched.provider->snapshot());
    return all;
}

bool HealthMonitor::usable() const {
    constexpr std::size_t kinds = 3;
    std::array<bool, kinds> watched{};
    std::array<bool, kinds> usable{};
    for (const auto& provider : snapshot()) {
        const auto kind = static_cast<std::size_t>(provider.identity.kind);
        watched[kind] = true;
        usable[kind] = usable[kind] || provider.usable;
    }
    return watched == usable;
}

void HealthMonitor::publish() const {
    for (const auto& entry : entries_) {
        const auto& [provider, probe, counts] = entry.watched;
        provider->publish(counts ? counts() : std::vector<metrics::Count>{});
    }
}

std::string describe(const Provider::Snapshot& provider) {
    const auto& who = provider.identity;
    std::string text = fmt::format("{}  {}", to_string(who.kind), who.name);
    if (!who.where.empty()) text += " " + who.where;
    if (who.fallback) text += " (fallback)";
    if (!provider.known) return text + ": no answer yet";
    if (!provider.usable) return text + ": does not answer: " + provider.last_error;
    if (who.where.empty()) return text + ": ready, in this process";
    const auto took = provider.probe_time.value_or(Clock::duration{});
    return text + fmt::format(": answers ({:.0f} ms)", to_ms(took));
}

}  // namespace oavc::services
