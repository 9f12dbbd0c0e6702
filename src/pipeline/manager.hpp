#pragma once

#include "async/pulse.hpp"
#include "async/shard_pool.hpp"
#include "base/time.hpp"
#include "media/vad.hpp"
#include "observability/log.hpp"
#include "pipeline/admission.hpp"
#include "pipeline/call_command.hpp"
#include "pipeline/config.hpp"
#include "pipeline/events.hpp"
#include "pipeline/phrase_cache.hpp"
#include "services/llm/llm.hpp"
#include "services/stt/stt.hpp"
#include "services/tts/tts.hpp"
#include "transports/listener.hpp"

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace oavc::pipeline {

class Recordings;
class Session;
class Telemetry;

/// What every call is built from. Borrowed: they outlive the calls that began with them.
struct Services {
    services::SttService& stt;
    services::LlmService& llm;
    services::TtsService& tts;
    const media::VadFactory& vad;
    services::TtsService* emergency_tts{nullptr};  ///< says what must be said when `tts` is down
    Recordings* recordings{nullptr};               ///< null: no call is recorded
};

/// Orchestrates calls: admits them, makes one Session for each, and ends them in an orderly way.
/// Thread: any; each Session lives on its call's shard.
class PipelineManager final : public transports::CallHandler, public CallCommands {
public:
    /// `observers` get every call's events; borrowed, thread-safe. `pulse` tells how late audio is;
    /// borrowed. Null: it never is. `telemetry`: borrowed; null: nothing is measured.
    PipelineManager(
        Config config,
        Services services,
        async::ShardPool& shards,
        std::vector<CallObserver*> observers,
        log::Logger log,
        const async::Pulse* pulse = nullptr,
        const Telemetry* telemetry = nullptr
    );
    PipelineManager(const PipelineManager&) = delete;
    PipelineManager& operator=(const PipelineManager&) = delete;
    ~PipelineManager();

    Result<transports::AdmissionSlot, transports::Refusal> admit(const transports::CallOffer& offer
    ) noexcept override;
    asio::awaitable<void> run_call(
        async::Shard& shard,
        std::unique_ptr<transports::Transport> transport,
        transports::AdmissionSlot slot
    ) override;

    asio::awaitable<Result<void>> command(async::Shard& here, std::string call, CallCommand command)
        override;

    /// Makes the agents' fixed sentences ready (PhraseCache). Ends when all are; cancellable.
    asio::awaitable<void> make_phrases(async::Shard& shard);

    /// From now on new calls are made from these; running ones keep what they began with. `owner`
    /// is held as long as one of these calls runs, and may be let go on any thread. Throws
    /// std::regex_error on an agent's pattern that is none.
    void adopt(Config config, Services services, std::shared_ptr<const void> owner);

    /// Admits nobody from now on. Running calls go on.
    void begin_drain() noexcept { admission_.begin_drain(); }
    bool draining() const noexcept { return admission_.draining(); }

    /// Makes every running call say its goodbye and hang up.
    void say_goodbye();

    /// Why a new call would be refused now.
    std::optional<transports::Refusal> closed() const noexcept { return admission_.closed(lag()); }
    Admission::Stats admission() const noexcept { return admission_.stats(); }
    std::size_t active_calls() const noexcept { return admission_.stats().active; }

private:
    struct ShardSessions;
    struct Plan;

    Clock::duration lag() const noexcept;
    std::shared_ptr<Plan> plan() const;

    // Given to us.
    async::ShardPool& shards_;
    std::vector<CallObserver*> observers_;
    log::Logger log_;
    const async::Pulse* const pulse_;
    const Telemetry* const telemetry_;
    // Owned.
    Admission admission_;
    // One list of running sessions per shard, touched only on that shard.
    std::vector<std::unique_ptr<ShardSessions>> sessions_;
    /// What new calls are made from; shared with the calls that began with it.
    std::shared_ptr<Plan> plan_;
    mutable std::mutex plan_mutex_;
    /// On which shard a call runs, by its session's id and by the carrier's.
    std::mutex where_mutex_;
    std::map<std::string, std::size_t, std::less<>> where_;
};

}  // namespace oavc::pipeline
