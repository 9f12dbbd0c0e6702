#pragma once

#include "async/shard.hpp"
#include "async/worker_pool.hpp"
#include "config/config.hpp"
#include "media/vad.hpp"
#include "observability/log.hpp"
#include "observability/metrics.hpp"
#include "pipeline/manager.hpp"
#include "services/failover/health.hpp"
#include "services/service_factory.hpp"

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace oavc::app {

/// What calls listen, think and speak with, made from one configuration, and the monitor that knows
/// which of it answers. Calls keep what they began with. Destroyed off the shards while they run,
/// or after the monitor was stopped.
struct Engines {
    /// All outlive us. Throws std::runtime_error with a sentence for the operator.
    Engines(
        const config::Config& config,
        async::WorkerPool& workers,
        metrics::Registry& metrics,
        async::Shard& home,
        const log::Logger& log
    );
    Engines(const Engines&) = delete;
    Engines& operator=(const Engines&) = delete;
    ~Engines() { health.stop(); }

    pipeline::Services services() const noexcept {
        return {*stt, *llm, *tts, *vad, emergency_tts.get()};
    }

    const std::shared_ptr<const media::VadFactory> vad;  ///< shared with the calls' detectors
    services::ServiceFactory factory;
    const std::unique_ptr<services::SttService> stt;
    const std::unique_ptr<services::LlmService> llm;
    const std::unique_ptr<services::TtsService> tts;
    services::HealthMonitor health;
    const std::unique_ptr<services::TtsService> emergency_tts;
};

/// The engines of new calls, and those that older calls still use. Thread: any for `current`; main
/// for the rest.
class EngineRoom {
public:
    explicit EngineRoom(std::shared_ptr<Engines> first) : current_{std::move(first)} {}

    std::shared_ptr<Engines> current() const {
        const std::lock_guard lock{mutex_};
        return current_;
    }

    /// The old ones stay until no call uses them.
    void replace(std::shared_ptr<Engines> fresh) {
        const std::lock_guard lock{mutex_};
        retired_.push_back(std::exchange(current_, std::move(fresh)));
    }

    bool has_retired() const { return !retired_.empty(); }

    /// Destroys those that nobody uses any more: here, because a shard must not wait for it.
    void sweep() {
        std::erase_if(retired_, [](const auto& engines) { return engines.use_count() == 1; });
    }

    void stop_monitors() {
        current()->health.stop();
        for (const auto& engines : retired_)
            engines->health.stop();
    }

private:
    mutable std::mutex mutex_;
    std::shared_ptr<Engines> current_;
    std::vector<std::shared_ptr<Engines>> retired_;
};

}  // namespace oavc::app
