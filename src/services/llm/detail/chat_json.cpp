#include "services/llm/detail/chat_json.hpp"

#include "services/detail/json_read.hpp"

#include <boost/json/array.hpp>

#include <algorithm>

namespace oavc::services {

namespace json = boost::json;

std::string_view role_name(ChatMessage::Role role) noexcept {
    switch (role) {
        case ChatMessage::Role::system:
            return "system";
        case ChatMessage::Role::user:
            return "user";
        case ChatMessage::Role::assistant:
            return "assistant";
        case ChatMessage::Role::tool:
            return "tool";
    }
    return "user";
}

json::array tools_json(const std::vector<Tool>& tools) {
    json::array all;
    for (const auto& tool : tools) {
        auto parameters = json_read::object(tool.parameters);
        if (!parameters) {
            parameters.emplace();
            (*parameters)["type"] = "object";
            (*parameters)["properties"] = json::object{};
        }
        json::object function;
        function["name"] = tool.name;
        function["description"] = tool.description;
        function["parameters"] = std::move(*parameters);
        json::object entry;
        entry["type"] = "function";
        entry["function"] = std::move(function);
        all.emplace_back(std::move(entry));
    }
    return all;
}

std::string error_text(std::string_view body) {
    const auto object = json_read::object(body);
    if (!object) return {};
    std::string_view text;
    if (const auto* const error = json_read::object_in(*object, "error"))
        text = json_read::text(*error, "message");
    for (const std::string_view name : {"error", "message", "detail"}) {
        if (text.empty()) text = json_read::text(*object, name);
    }
    std::string line{text.substr(0, 200)};
    std::ranges::replace_if(
        line, [](char letter) { return static_cast<unsigned char>(letter) < ' '; }, ' '
    );
    return line;
}

}  // namespace oavc::services
