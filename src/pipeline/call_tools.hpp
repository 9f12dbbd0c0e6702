#pragma once

#include "base/result.hpp"
#include "pipeline/config.hpp"
#include "pipeline/transfer_target.hpp"
#include "services/llm/llm.hpp"
#include "transports/transport.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::pipeline {

/// Where the agent's callers may be transferred to, under that name; an unknown name, or none, is
/// `transfer_to` if there is one.
std::optional<std::string> transfer_target(const AgentConfig& agent, std::string_view name);

/// What the agent's model may do with the call (functions of the chat APIs), as far as its carrier
/// can:
///     end_call        hang up once the reply was heard
///     transfer_call   hand the caller to one of the agent's targets; the model names one and has
///                     no way to name another, so that no caller can talk it into dialling numbers
///     send_dtmf       press keys; only where the agent allows it
std::vector<services::Tool> call_tools(
    const AgentConfig& agent, const transports::CallControls& carrier
);

/// The event behind a call of one of them. Error: what the model is told instead.
Result<services::LlmEvent, std::string> as_event(
    const services::ToolCall& call,
    const AgentConfig& agent,
    const transports::CallControls& carrier
);

}  // namespace oavc::pipeline
