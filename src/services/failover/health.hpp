#pragma once

#include "async/awaitable.hpp"
#include "async/shard.hpp"
#include "async/task_group.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "observability/log.hpp"
#include "services/failover/provider.hpp"

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace oavc::services {

/// A provider and how it is asked whether it answers, and what it counts: SttService::probe and
/// counts, and their like.
struct Watched {
    std::shared_ptr<Provider> provider;
    std::function<asio::awaitable<Result<void>>(async::Shard&)> probe;
    std::function<std::vector<metrics::Count>()> counts{};
};

/// Asks the providers in the background whether they answer: all at start, later those that
/// nothing is known of: broken, never seen to work, or without a request for an interval. So a
/// recovered provider is in use again before its breaker's wait is over, and /health/ready tells
/// the truth while no calls come. Thread: its shard's, where not said otherwise.
class HealthMonitor {
public:
    /// A probe that takes longer has failed.
    static constexpr Clock::duration probe_limit = 3s;

    /// `shard` outlives us; so do the services behind `providers`.
    HealthMonitor(
        std::vector<Watched> providers, milliseconds interval, async::Shard& shard, log::Logger log
    );
    HealthMonitor(const HealthMonitor&) = delete;
    HealthMonitor& operator=(const HealthMonitor&) = delete;

    /// Begins. Thread: any.
    void start();
    /// Ends and waits for it. Thread: any but the shard's. Without start() nothing happens.
    void stop();

    /// Waits until every provider answered its first probe or failed it; false when `limit` passed
    /// before. Thread: any but the shard's.
    bool wait_for_first_answers(Clock::duration limit);
    /// The same for those inside this process: they load what they need, and then they are ready.
    bool wait_for_own_engines(Clock::duration limit);

    /// In the order of configuration. Thread: any.
    std::vector<Provider::Snapshot> snapshot() const;
    /// Of each kind that is watched some provider is usable. Thread: any.
    bool usable() const;
    /// Before metrics are read. Thread: any.
    void publish() const;

private:
    struct Entry {
        Watched watched;
        bool probing{false};
        bool answered{true};  ///< the latest probe, for the log
        bool first_done{false};
    };

    asio::awaitable<void> watch();
    asio::awaitable<void> probe(std::size_t index);

    const milliseconds interval_;
    async::Shard& shard_;
    log::Logger log_;
    std::vector<Entry> entries_;
    async::TaskGroup tasks_;
    bool started_{false};
    // Shared with who waits for the first answers.
    std::mutex mutex_;
    std::condition_variable first_answer_;
    std::size_t unknown_;         ///< providers whose first probe has not ended
    std::size_t unknown_own_{0};  ///< of these: inside this process
};

/// One line for a person: "stt  vosk ws://vosk:2700: answers (12 ms)".
std::string describe(const Provider::Snapshot& provider);

}  // namespace oavc::services
