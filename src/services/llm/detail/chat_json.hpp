#pragma once

#include "services/llm/llm.hpp"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::services {

/// "system", "user", "assistant", "tool".
std::string_view role_name(ChatMessage::Role role) noexcept;

/// One JSON object of a server; nothing when it is none, or nested beyond reason.
std::optional<boost::json::object> parse_object(std::string_view text) noexcept;

/// A member that is a string; empty when it is absent or anything else. Valid while `object` is.
std::string_view string_of(const boost::json::object& object, std::string_view name) noexcept;
/// A member that is an object, or null.
const boost::json::object* object_of(
    const boost::json::object& object, std::string_view name
) noexcept;

/// The functions offered to the model, as OpenAI and Ollama both take them. A schema that is no
/// JSON becomes an object without properties.
boost::json::array tools_json(const std::vector<Tool>& tools);

/// What an error's body says for people: {"error":{"message"}}, {"error"}, {"message"}, {"detail"}.
/// At most 200 bytes on one line; empty for HTML and the like, which say nothing.
std::string error_text(std::string_view body);

}  // namespace oavc::services
