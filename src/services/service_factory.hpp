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
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace oavc::services {

/// Makes services by provider id (services/providers.hpp). A new provider is one line in stt(),
/// llm() or tts(); where it is comes from its configuration's endpoint. All of it throws
/// std::runtime_error with a sentence for the operator: unknown provider, missing model or
/// dialogue. `workers` and `metrics` outlive what is made.
class ServiceFactory {
public:
    ServiceFactory(Config config, async::WorkerPool& workers, metrics::Registry* metrics = nullptr);

    // What calls use: the configured provider and its fallback behind one interface, with deadlines
    // and circuit breakers (services/failover), the voice with its sentence cache. Each once.
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
    template <class Service>
    struct Made {
        std::unique_ptr<Service> service;
        std::string where;  ///< Provider::Identity::where

        template <class Interface>
        operator Made<Interface>() && {
            return {std::move(service), std::move(where)};
        }
    };

    /// The scripted dialogue, read once: what the model answers and what the recogniser expects.
    std::shared_ptr<const Dialogue> dialogue();

    template <class Service>
    std::vector<Candidate<Service>> chain(
        ServiceKind kind,
        const std::string& first,
        const std::string& fallback,
        Made<Service> (ServiceFactory::*make)(std::string_view)
    );
    /// Where it is: at its configuration's endpoint, or in this process when that has none.
    template <class Engine, class Own, class... More>
    static Made<Engine> made(const Own& config, More&&... more);
    Made<SttService> stt(std::string_view provider);
    Made<LlmService> llm(std::string_view provider);
    Made<TtsService> tts(std::string_view provider);

    Config config_;
    async::WorkerPool& workers_;
    metrics::Registry* metrics_;
    std::vector<Watched> watched_;
    std::shared_ptr<const Dialogue> dialogue_;
};

}  // namespace oavc::services
