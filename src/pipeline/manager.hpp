#pragma once

#include "async/shard_pool.hpp"
#include "base/time.hpp"
#include "media/vad.hpp"
#include "observability/log.hpp"
#include "pipeline/call_command.hpp"
#include "pipeline/config.hpp"
#include "pipeline/events.hpp"
#include "pipeline/phrase_cache.hpp"
#include "services/llm/llm.hpp"
#include "services/stt/stt.hpp"
#include "services/tts/tts.hpp"
#include "transports/listener.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace oavc::pipeline {

class Session;

/// What every call is built from. Borrowed: the composition root outlives the manager.
struct Services {
    services::SttService& stt;
    services::LlmService& llm;
    services::TtsService& tts;
    const media::VadFactory& vad;
    services::TtsService* emergency_tts{nullptr};  ///< says what must be said when `tts` is down
};

/// Orchestrates calls: admits them, makes one Session for each, and ends them in an orderly way.
/// Thread: any; each Session lives on its call's shard.
class PipelineManager final : public transports::CallHandler,
                              public CallCommands,
                              private transports::AdmissionSlot::Owner {
public:
    /// `observers` get every call's events; borrowed, thread-safe.
    PipelineManager(
        Config config,
        Services services,
        async::ShardPool& shards,
        std::vector<CallObserver*> observers,
        log::Logger log
    );
    PipelineManager(const PipelineManager&) = delete;
    PipelineManager& operator=(const PipelineManager&) = delete;
    ~PipelineManager();

    transports::AdmissionSlot admit() noexcept override;
    asio::awaitable<void> run_call(
        async::Shard& shard,
        std::unique_ptr<transports::Transport> transport,
        transports::AdmissionSlot slot
    ) override;

    asio::awaitable<Result<void>> command(async::Shard& here, std::string call, CallCommand command)
        override;

    /// Makes the agents' fixed sentences ready (PhraseCache). Ends when all are; cancellable.
    asio::awaitable<void> make_phrases(async::Shard& shard);

    /// Admits nobody from now on. Running calls go on.
    void begin_drain() noexcept { draining_.store(true, std::memory_order_relaxed); }
    bool draining() const noexcept { return draining_.load(std::memory_order_relaxed); }

    /// Makes every running call say its goodbye and hang up.
    void say_goodbye();

    std::size_t active_calls() const noexcept { return active_.load(std::memory_order_relaxed); }
    std::uint64_t total_calls() const noexcept { return total_.load(std::memory_order_relaxed); }
    std::uint64_t refused_calls() const noexcept {
        return refused_.load(std::memory_order_relaxed);
    }
    std::size_t max_calls() const noexcept { return config_.limits.max_calls; }

private:
    void release_slot() noexcept override;
    const AgentConfig& agent_for(const transports::CallInfo& call) const;

    struct ShardSessions;

    // Given to us.
    const Config config_;
    Services services_;
    async::ShardPool& shards_;
    std::vector<CallObserver*> observers_;
    log::Logger log_;
    // Owned.
    PhraseCache phrases_;
    // One list of running sessions per shard, touched only on that shard.
    std::vector<std::unique_ptr<ShardSessions>> sessions_;
    struct Agents;
    std::unique_ptr<Agents> agents_;
    /// On which shard a call runs, by its session's id and by the carrier's.
    std::mutex where_mutex_;
    std::map<std::string, std::size_t, std::less<>> where_;
    // State.
    std::atomic<std::size_t> active_{0};
    std::atomic<std::uint64_t> total_{0};
    std::atomic<std::uint64_t> refused_{0};
    std::atomic<bool> draining_{false};
};

}  // namespace oavc::pipeline
