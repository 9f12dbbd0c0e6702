#pragma once

#include "pipeline/config.hpp"
#include "services/llm/llm.hpp"

#include <vector>

namespace oavc::pipeline {

/// What the agent's model may do with the call (functions of the chat APIs):
///     end_call        hang up once the reply was heard
///     transfer_call   hand the caller to the agent's `transfer_to`; only when that is set, so that
///                     no caller can talk a model into dialling numbers of its own
std::vector<services::Tool> call_tools(const AgentConfig& agent);

/// The action behind a call of one of them. Kind tool_call, unchanged, when there is none.
services::LlmEvent as_action(const services::ToolCall& call, const AgentConfig& agent);

}  // namespace oavc::pipeline
