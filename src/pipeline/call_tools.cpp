#include "pipeline/call_tools.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <utility>

namespace oavc::pipeline {

namespace json = boost::json;
using services::LlmEvent;
using transports::CallControls;

namespace {

constexpr std::string_view end_call = "end_call";
constexpr std::string_view transfer_call = "transfer_call";
constexpr std::string_view send_dtmf = "send_dtmf";
constexpr std::string_view no_parameters = R"({"type":"object","properties":{}})";
constexpr std::size_t most_digits = 32;  ///< of one call of send_dtmf

std::vector<TransferTarget> targets_of(const AgentConfig& agent) {
    std::vector<TransferTarget> targets;
    for (const auto& item : agent.transfer_targets) {
        if (auto target = parse_transfer_target(item)) targets.push_back(std::move(*target));
    }
    return targets;
}

bool may_transfer(const AgentConfig& agent, const CallControls& carrier) {
    return carrier.transfer && (!agent.transfer_to.empty() || !agent.transfer_targets.empty());
}

bool may_press(const AgentConfig& agent, const CallControls& carrier) {
    return carrier.send_digits && agent.allow_send_digits;
}

std::string transfer_parameters(const AgentConfig& agent) {
    json::array names;
    for (const auto& target : targets_of(agent))
        names.emplace_back(target.name);
    if (names.empty()) return std::string{no_parameters};
    json::object target{{"type", "string"}, {"enum", std::move(names)}};
    json::object parameters{
        {"type", "object"}, {"properties", json::object{{"target", std::move(target)}}}};
    if (agent.transfer_to.empty()) parameters["required"] = json::array{"target"};
    return json::serialize(parameters);
}

/// A text among a function's arguments; empty when it is not there.
std::string argument(const services::ToolCall& call, std::string_view name) {
    error_code error;
    const auto arguments = json::parse(call.arguments, error);
    const auto* object = error ? nullptr : arguments.if_object();
    const auto* value = object == nullptr ? nullptr : object->if_contains(name);
    if (value == nullptr) return {};
    // Models write digits as numbers too.
    return value->is_string() ? std::string{value->get_string()} : json::serialize(*value);
}

}  // namespace

std::optional<std::string> transfer_target(const AgentConfig& agent, std::string_view name) {
    for (auto& target : targets_of(agent)) {
        if (target.name == name) return std::move(target.target);
    }
    if (agent.transfer_to.empty()) return std::nullopt;
    return agent.transfer_to;
}

std::vector<services::Tool> call_tools(const AgentConfig& agent, const CallControls& carrier) {
    std::vector<services::Tool> tools;
    if (!agent.use_tools) return tools;
    tools.push_back(
        {std::string{end_call},
         "Ends the telephone call. Say goodbye first, then call this.",
         std::string{no_parameters}}
    );
    if (may_transfer(agent, carrier)) {
        tools.push_back(
            {std::string{transfer_call},
             "Connects the caller to a person. Say so first, then call this. If it fails, you are "
             "told why and the caller is still with you.",
             transfer_parameters(agent)}
        );
    }
    if (may_press(agent, carrier)) {
        tools.push_back(
            {std::string{send_dtmf},
             "Presses keys of the telephone's keypad, to use another system's menu: 0-9, * and #; "
             "w waits for half a second.",
             R"({"type":"object","properties":{"digits":{"type":"string"}},"required":["digits"]})"}
        );
    }
    return tools;
}

Result<LlmEvent, std::string> as_event(
    const services::ToolCall& call, const AgentConfig& agent, const CallControls& carrier
) {
    if (agent.use_tools && call.name == end_call) return LlmEvent{LlmEvent::Kind::hang_up};
    if (agent.use_tools && call.name == transfer_call && may_transfer(agent, carrier)) {
        auto target = transfer_target(agent, argument(call, "target"));
        if (!target) return std::string{"failed: there is no such target"};
        return LlmEvent{LlmEvent::Kind::transfer, std::move(*target)};
    }
    if (agent.use_tools && call.name == send_dtmf && may_press(agent, carrier)) {
        auto digits = argument(call, "digits");
        const bool valid = !digits.empty() && digits.size() <= most_digits &&
                           digits.find_first_not_of("0123456789*#ABCDw") == std::string::npos;
        if (!valid) return std::string{"failed: digits are 0-9, * and #"};
        return LlmEvent{LlmEvent::Kind::send_digits, std::move(digits)};
    }
    return std::string{"failed: there is no such function"};
}

}  // namespace oavc::pipeline
