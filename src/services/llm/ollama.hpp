#pragma once

#include "services/config.hpp"
#include "services/detail/complaints.hpp"
#include "services/llm/llm.hpp"

#include <atomic>
#include <memory>

namespace oavc::services {

/// Provider `ollama`: an Ollama server, by /api/generate or /api/chat. Each call keeps a connection
/// of its own; cancelling a reply closes it, which stops the model. An unknown model is
/// ServiceErrc::configuration, a full queue overloaded. Callable from any shard.
class OllamaLlm final : public LlmService {
public:
    explicit OllamaLlm(OllamaConfig config);

    std::string_view name() const noexcept override { return "ollama"; }
    const LlmCapabilities& capabilities() const noexcept override { return capabilities_; }
    asio::awaitable<Result<std::unique_ptr<LlmSession>>> open(
        async::Shard& shard, LlmOptions options
    ) override;
    asio::awaitable<Result<void>> probe(async::Shard& shard) override;
    /// Looks for the model, pulls it (`pull_missing`) and loads it (`warm_up`).
    asio::awaitable<Result<void>> prepare(async::Shard& shard) override;

    /// What sessions share with the service.
    struct Shared {
        OllamaConfig config;
        /// The model said that it knows no tools: offering them would fail every request.
        std::atomic<bool> without_tools{false};
        Complaints complaints;
    };

private:
    const LlmCapabilities capabilities_;
    const std::shared_ptr<Shared> shared_;
};

}  // namespace oavc::services
