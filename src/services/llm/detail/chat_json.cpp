#include "services/llm/detail/chat_json.hpp"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>

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

std::optional<json::object> parse_object(std::string_view text) noexcept {
    error_code error;
    auto value = json::parse({text.data(), text.size()}, error);  // nesting is bounded by 32
    if (error || !value.is_object()) return std::nullopt;
    return std::move(value.get_object());
}

std::string_view string_of(const json::object& object, std::string_view name) noexcept {
    const auto* const member = object.if_contains({name.data(), name.size()});
    const auto* const text = member == nullptr ? nullptr : member->if_string();
    return text == nullptr ? std::string_view{} : std::string_view{text->data(), text->size()};
}

const json::object* object_of(const json::object& object, std::string_view name) noexcept {
    const auto* const member = object.if_contains({name.data(), name.size()});
    return member == nullptr ? nullptr : member->if_object();
}

json::array tools_json(const std::vector<Tool>& tools) {
    json::array all;
    for (const auto& tool : tools) {
        auto parameters = parse_object(tool.parameters);
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
    const auto object = parse_object(body);
    if (!object) return {};
    std::string_view text;
    if (const auto* const error = object_of(*object, "error")) text = string_of(*error, "message");
    for (const std::string_view name : {"error", "message", "detail"}) {
        if (text.empty()) text = string_of(*object, name);
    }
    std::string line{text.substr(0, 200)};
    std::ranges::replace_if(
        line, [](char letter) { return static_cast<unsigned char>(letter) < ' '; }, ' '
    );
    return line;
}

}  // namespace oavc::services
