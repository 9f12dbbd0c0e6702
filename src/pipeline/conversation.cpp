#include "pipeline/conversation.hpp"

#include <utility>

namespace oavc::pipeline {

using services::ChatMessage;

void Conversation::user_said(std::string text, std::optional<std::string> keys) {
    ChatMessage said{ChatMessage::Role::user, std::move(text)};
    said.keys = std::move(keys);
    if (!memory_.empty() && memory_.back().role == ChatMessage::Role::user) {
        memory_.back() = std::move(said);
        return;
    }
    memory_.push_back(std::move(said));
    // A result without the call that it belongs to is an error to every chat API.
    while (memory_.size() > 2 * turns_ || memory_.front().role == ChatMessage::Role::tool)
        memory_.pop_front();
}

void Conversation::called(std::vector<services::ToolCall> calls, std::vector<std::string> results) {
    if (calls.empty()) return;
    if (memory_.empty() || memory_.back().role != ChatMessage::Role::assistant) {
        memory_.push_back({ChatMessage::Role::assistant, {}});
    }
    memory_.back().tool_calls = calls;
    for (std::size_t i = 0; i < calls.size() && i < results.size(); ++i) {
        ChatMessage result{ChatMessage::Role::tool, std::move(results[i])};
        result.tool_call_id = std::move(calls[i].id);
        result.tool_name = std::move(calls[i].name);
        memory_.push_back(std::move(result));
    }
}

void Conversation::assistant_heard(std::string_view text, bool interrupted) {
    if (text.empty()) return;
    std::string heard{text};
    if (interrupted) heard += " —";  // cut off here
    if (!memory_.empty() && memory_.back().role == ChatMessage::Role::assistant) {
        memory_.back().text += ' ' + heard;
        return;
    }
    memory_.push_back({ChatMessage::Role::assistant, std::move(heard)});
}

std::vector<ChatMessage> Conversation::messages() const {
    std::vector<ChatMessage> all;
    all.reserve(memory_.size() + 1);
    if (!system_prompt_.empty()) all.push_back({ChatMessage::Role::system, system_prompt_});
    all.insert(all.end(), memory_.begin(), memory_.end());
    return all;
}

}  // namespace oavc::pipeline
