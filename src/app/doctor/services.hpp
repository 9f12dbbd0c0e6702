#pragma once

#include "app/doctor/checks.hpp"
#include "async/shard.hpp"
#include "async/worker_pool.hpp"
#include "services/config.hpp"
#include "services/service_factory.hpp"

#include <memory>
#include <string>
#include <vector>

namespace oavc::app::doctor {

/// One configured AI service: made, asked whether it answers and, if wanted, used as a call uses
/// it. Everything here blocks.
class ServiceTrial {
public:
    /// What one stands for: the provider of one kind, first choice or fallback.
    struct Role {
        services::ServiceKind kind;
        std::string provider;
        bool fallback{false};
    };

    /// Of every provider that is configured.
    static std::vector<Role> roles(const services::Config& config);

    ServiceTrial(Role role, services::Config config, async::WorkerPool& workers);

    /// Makes and asks it.
    Service look(async::Shard& shard);

    /// Before: `look` found no fault. STT hears one second of built-in speech, the model is asked
    /// for its first words, TTS speaks one sentence.
    struct Words {
        std::string language;
        std::string prompt;  ///< the agent's
        std::string said;    ///< what a caller says, for STT and the model
    };
    RoundTrip use(async::Shard& shard, const Words& words);

private:
    const Role role_;
    services::ServiceFactory factory_;
    std::unique_ptr<services::SttService> stt_;
    std::unique_ptr<services::LlmService> llm_;
    std::unique_ptr<services::TtsService> tts_;
};

}  // namespace oavc::app::doctor
