#pragma once

#include "services/llm/llm.hpp"

#include <boost/json/array.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace oavc::services {

/// "system", "user", "assistant", "tool".
std::string_view role_name(ChatMessage::Role role) noexcept;

/// The functions offered to the model, as OpenAI and Ollama both take them. A schema that is no
/// JSON becomes an object without properties.
boost::json::array tools_json(const std::vector<Tool>& tools);

/// What an error's body says for people: {"error":{"message"}}, {"error"}, {"message"}, {"detail"}.
/// At most 200 bytes on one line; empty for HTML and the like, which say nothing.
std::string error_text(std::string_view body);

}  // namespace oavc::services
