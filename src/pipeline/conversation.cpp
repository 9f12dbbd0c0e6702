#include "pipeline/conversation.hpp"

namespace oavc::pipeline {

using services::ChatMessage;

void Conversation::user_said(std::string text) {
    if (!memory_.empty() && memory_.back().role == ChatMessage::Role::user) {
        memory_.back().text = std::move(text);
        return;
    }
    memory_.push_back({ChatMessage::Role::user, std::move(text)});
    while (memory_.size() > 2 * turns_)
        memory_.pop_front();
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
