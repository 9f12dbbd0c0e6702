#pragma once

#include "services/config.hpp"
#include "services/llm/dialogue.hpp"
#include "services/llm/llm.hpp"

#include <memory>

namespace oavc::services {

/// Provider `scripted`: answers from a dialogue file, word by word like a model. Needs no network,
/// never fails, answers at once: also the last fallback of a real model. Callable from any shard.
class ScriptedLlm final : public LlmService {
public:
    explicit ScriptedLlm(std::shared_ptr<const Dialogue> dialogue)
        : dialogue_{std::move(dialogue)} {}

    std::string_view name() const noexcept override { return "scripted"; }
    const LlmCapabilities& capabilities() const noexcept override { return capabilities_; }
    asio::awaitable<Result<std::unique_ptr<LlmSession>>> open(
        async::Shard& shard, LlmOptions options
    ) override;

private:
    LlmCapabilities capabilities_{.tools = false, .cancel = true};
    std::shared_ptr<const Dialogue> dialogue_;  ///< shared with every session
};

}  // namespace oavc::services
