#include "pipeline/call_tools.hpp"

#include <string_view>

namespace oavc::pipeline {

using services::LlmEvent;

namespace {

constexpr std::string_view end_call = "end_call";
constexpr std::string_view transfer_call = "transfer_call";
constexpr std::string_view no_parameters = R"({"type":"object","properties":{}})";

}  // namespace

std::vector<services::Tool> call_tools(const AgentConfig& agent) {
    std::vector<services::Tool> tools;
    if (!agent.use_tools) return tools;
    tools.push_back(
        {std::string{end_call},
         "Ends the telephone call. Say goodbye first, then call this.",
         std::string{no_parameters}}
    );
    if (!agent.transfer_to.empty()) {
        tools.push_back(
            {std::string{transfer_call},
             "Connects the caller to a person. Say so first, then call this.",
             std::string{no_parameters}}
        );
    }
    return tools;
}

LlmEvent as_action(const services::ToolCall& call, const AgentConfig& agent) {
    if (call.name == end_call) return {LlmEvent::Kind::hang_up};
    if (call.name == transfer_call && !agent.transfer_to.empty()) {
        return {LlmEvent::Kind::transfer, agent.transfer_to};
    }
    return {LlmEvent::Kind::tool_call, {}, call};
}

}  // namespace oavc::pipeline
