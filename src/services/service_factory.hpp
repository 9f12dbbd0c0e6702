#pragma once

#include "async/worker_pool.hpp"
#include "observability/metrics.hpp"
#include "services/config.hpp"
#include "services/failover/health.hpp"
#include "services/llm/dialogue.hpp"
#include "services/llm/llm.hpp"
#include "services/stt/stt.hpp"
#include "services/tts/tts.hpp"

#include <memory>
#include <string_view>
#include <vector>

namespace oavc::services {

/// Makes services by provider id (services/providers.hpp). A new provider is one line here. All of
/// it throws std::runtime_error with a sentence for the operator: unknown provider, missing model
/// or dialogue. `workers` and `metrics` outlive what is made.
class ServiceFactory {
public:
    ServiceFactory(Config config, async::WorkerPool& workers, metrics::Registry* metrics = nullptr);

    // What calls use: the configured provider and its fallback behind one interface, with deadlines
    // and circuit breakers (services/failover). Each once.
    std::unique_ptr<SttService> make_stt();
    std::unique_ptr<LlmService> make_llm();
    std::unique_ptr<TtsService> make_tts();
    /// The providers of those, for the health monitor.
    const std::vector<Watched>& watched() const noexcept { return watched_; }

    // One provider, bare.
    std::unique_ptr<SttService> make_stt(std::string_view provider);
    std::unique_ptr<LlmService> make_llm(std::string_view provider);
    std::unique_ptr<TtsService> make_tts(std::string_view provider);

    /// What speaks when the configured voice is down: embedded, any language. Null: not installed.
    std::unique_ptr<TtsService> make_emergency_tts();

private:
    /// The scripted dialogue, read once: what the model answers and what the recogniser expects.
    std::shared_ptr<const Dialogue> dialogue();

    template <class Service>
    Candidate<Service> candidate(
        ServiceKind kind, const std::string& name, bool fallback, std::unique_ptr<Service> service
    );

    Config config_;
    async::WorkerPool& workers_;
    metrics::Registry* metrics_;
    std::vector<Watched> watched_;
    std::shared_ptr<const Dialogue> dialogue_;
};

}  // namespace oavc::services
