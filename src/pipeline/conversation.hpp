#pragma once

#include "services/llm/llm.hpp"

#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::pipeline {

/// What was said in a call, as the model is told it: of our replies only what the caller heard.
/// Bound: the last `turns` exchanges; the system prompt stays.
class Conversation {
public:
    Conversation(std::string system_prompt, std::size_t turns)
        : system_prompt_{std::move(system_prompt)}, turns_{turns} {}

    /// The caller's turn. When nobody heard an answer to the turn before, this one replaces it (it
    /// contains its words). `keys`: see ChatMessage.
    void user_said(std::string text, std::optional<std::string> keys = {});

    /// What the model wanted to have done behind its reply, and what became of it: as many results
    /// as calls.
    void called(std::vector<services::ToolCall> calls, std::vector<std::string> results);

    /// What the caller heard of our reply; `interrupted` marks it for the model. Empty: nothing.
    void assistant_heard(std::string_view text, bool interrupted);

    /// System prompt and memory, oldest first.
    std::vector<services::ChatMessage> messages() const;

private:
    std::string system_prompt_;
    std::size_t turns_;
    std::deque<services::ChatMessage> memory_;
};

}  // namespace oavc::pipeline
