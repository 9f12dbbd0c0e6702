#pragma once

#include "services/llm/llm.hpp"

#include <string_view>
#include <utility>
#include <vector>

namespace oavc::services {

/// Asks for the rest of a reply whose beginning was said already. A user's message, because many
/// chat templates allow no system message in the middle and no two of the assistant in a row.
inline constexpr std::string_view continue_reply =
    "[The connection broke off there. Go on with your answer from exactly that point, in the same "
    "language, as if nothing had happened. Do not repeat or summarise what you have already said, "
    "do not greet, do not apologise.]";

/// The messages to send for a request: its own and, when a provider failed in mid-reply, what was
/// said already and the wish to go on behind it.
inline std::vector<ChatMessage> messages_to_send(LlmRequest request) {
    auto messages = std::move(request.messages);
    if (request.said_already.empty()) return messages;
    ChatMessage said;
    said.role = ChatMessage::Role::assistant;
    said.text = std::move(request.said_already);
    messages.push_back(std::move(said));
    ChatMessage go_on;
    go_on.role = ChatMessage::Role::user;
    go_on.text = continue_reply;
    messages.push_back(std::move(go_on));
    return messages;
}

}  // namespace oavc::services
