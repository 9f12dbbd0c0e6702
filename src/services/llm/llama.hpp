#pragma once

#include "services/config.hpp"
#include "services/llm/llm.hpp"

namespace oavc::services {

/// Provider `llama`: the predecessor's WebSocket server around a language model. It has neither
/// request ids nor a cancel: an answer that nobody wants any more loses its connection, which ends
/// it at the server too, and a spare one takes over. Any shard.
class LlamaLlm final : public LlmService {
public:
    /// Throws std::runtime_error, with a sentence for the operator, for an unknown dialect.
    explicit LlamaLlm(const LlamaConfig& config);

    std::string_view name() const noexcept override { return "llama"; }
    const LlmCapabilities& capabilities() const noexcept override { return capabilities_; }
    asio::awaitable<Result<std::unique_ptr<LlmSession>>> open(
        async::Shard& shard, LlmOptions options
    ) override;
    asio::awaitable<Result<void>> probe(async::Shard& shard) override;

private:
    const LlamaConfig config_;
    const LlmCapabilities capabilities_{.tools = false, .cancel = true};
};

}  // namespace oavc::services
