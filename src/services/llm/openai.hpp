#pragma once

#include "services/config.hpp"
#include "services/llm/llm.hpp"

#include <memory>

namespace oavc::services {

class Complaints;

/// Provider `openai`: chat completions of OpenAI and of every server that speaks like it
/// (llama.cpp, vLLM, LM Studio, hosted ones). Each call keeps a connection of its own; cancelling a
/// reply closes it, which stops the model. A wrong key is ServiceErrc::rejected, an unknown model
/// or path configuration, a spent quota overloaded. Callable from any shard.
class OpenAiLlm final : public LlmService {
public:
    explicit OpenAiLlm(OpenAiConfig config);

    std::string_view name() const noexcept override { return "openai"; }
    const LlmCapabilities& capabilities() const noexcept override { return capabilities_; }
    asio::awaitable<Result<std::unique_ptr<LlmSession>>> open(
        async::Shard& shard, LlmOptions options
    ) override;
    /// Asks for the list of models.
    asio::awaitable<Result<void>> probe(async::Shard& shard) override;

private:
    const LlmCapabilities capabilities_{.tools = true, .cancel = true};
    const std::shared_ptr<const OpenAiConfig> config_;  ///< shared with every session
    const std::shared_ptr<Complaints> complaints_;      ///< likewise
};

}  // namespace oavc::services
