#include "services/llm/detail/ollama_protocol.hpp"

#include "net/errors.hpp"
#include "net/json_text.hpp"
#include "services/detail/json_read.hpp"
#include "services/detail/stream_error.hpp"
#include "services/llm/detail/chat_json.hpp"
#include "services/llm/detail/continuation.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <algorithm>
#include <charconv>
#include <utility>

namespace oavc::services {

namespace {

namespace json = boost::json;
using Role = ChatMessage::Role;

constexpr std::string_view user_label = "User:";
constexpr std::string_view assistant_label = "Assistant:";

/// A number means seconds and is sent as one: as text the server wants a unit ("30m").
json::value keep_alive_of(const std::string& text) {
    std::int64_t seconds = 0;
    const char* const end = text.data() + text.size();
    const auto [rest, failed] = std::from_chars(text.data(), end, seconds);
    if (failed == std::errc{} && rest == end) return seconds;
    return json::value(json::string{text});
}

/// What every request of a model has in common.
json::object request_base(const OllamaConfig& config) {
    json::object request;
    request["model"] = config.model;
    if (!config.keep_alive.empty()) request["keep_alive"] = keep_alive_of(config.keep_alive);
    json::object options;
    if (config.num_ctx > 0) options["num_ctx"] = config.num_ctx;
    request["options"] = std::move(options);
    return request;
}

json::value tool_calls_json(const std::vector<ToolCall>& calls) {
    json::array all;
    for (const auto& call : calls) {
        auto arguments = json_read::object(call.arguments);
        json::object function;
        function["name"] = call.name;
        function["arguments"] = arguments ? std::move(*arguments) : json::object{};
        json::object entry;
        if (!call.id.empty()) entry["id"] = call.id;
        entry["function"] = std::move(function);
        all.emplace_back(std::move(entry));
    }
    return all;
}

json::array messages_json(const std::vector<ChatMessage>& messages) {
    json::array all;
    for (const auto& message : messages) {
        json::object entry;
        entry["role"] = role_name(message.role);
        entry["content"] = message.text;
        if (!message.tool_calls.empty()) entry["tool_calls"] = tool_calls_json(message.tool_calls);
        if (message.role == Role::tool) {
            if (!message.tool_name.empty()) entry["tool_name"] = message.tool_name;
            if (!message.tool_call_id.empty()) entry["tool_call_id"] = message.tool_call_id;
        }
        all.emplace_back(std::move(entry));
    }
    return all;
}

/// The conversation as text, ending where the assistant is to speak.
std::string written_out(const std::vector<ChatMessage>& messages) {
    std::string text;
    for (const auto& message : messages) {
        switch (message.role) {
            case Role::system:
                continue;
            case Role::user:
                text.append(user_label).append(" ").append(message.text);
                break;
            case Role::assistant:
                if (message.text.empty()) continue;  // it only called a function
                text.append(assistant_label).append(" ").append(message.text);
                break;
            case Role::tool:
                text.append("(").append(message.tool_name).append(": ");
                text.append(message.text).append(")");
                break;
        }
        text += '\n';
    }
    return text.append(assistant_label);
}

}  // namespace

std::string ollama_request(const OllamaConfig& config, LlmRequest request, bool offer_tools) {
    const auto tools = std::move(request.tools);
    const auto messages = messages_to_send(std::move(request));
    auto body = request_base(config);
    body["stream"] = true;
    body["think"] = config.think;
    json::object options = std::move(body["options"].get_object());
    options["temperature"] = config.temperature;
    options["top_p"] = config.top_p;
    if (config.max_tokens > 0) options["num_predict"] = config.max_tokens;
    json::array stop(config.stop.begin(), config.stop.end());

    if (config.api == "chat") {
        body["messages"] = messages_json(messages);
        if (offer_tools && !tools.empty()) body["tools"] = tools_json(tools);
    } else {
        std::string system;
        std::size_t turns = 0;
        const ChatMessage* last = nullptr;
        for (const auto& message : messages) {
            if (message.role == Role::system) {
                system.append(system.empty() ? "" : "\n\n").append(message.text);
            } else {
                ++turns;
                last = &message;
            }
        }
        if (!system.empty()) body["system"] = system;
        if (turns == 1 && last->role == Role::user) {
            body["prompt"] = last->text;
        } else {
            body["prompt"] = written_out(messages);
            // Or the model would go on and play the caller too.
            stop.emplace_back("\n" + std::string{user_label});
        }
    }
    if (!stop.empty()) options["stop"] = std::move(stop);
    body["options"] = std::move(options);
    return net::json_text(body);
}

std::string ollama_warm_up(const OllamaConfig& config) {
    auto body = request_base(config);
    body["stream"] = false;
    return net::json_text(body);
}

OllamaReader::OllamaReader(bool strip_label, OnTrouble on_trouble)
    : on_trouble_{std::move(on_trouble)}, at_begin_{strip_label} {}

std::optional<Result<LlmEvent>> OllamaReader::next() {
    while (events_.empty() && !end_) {
        if (const auto line = lines_.next()) {
            take(*line);
        } else if (lines_.failed()) {
            end(ServiceErrc::protocol);
        } else if (finished_) {
            // The last line may lack its end, or be one of which the end is missing.
            const std::string last{lines_.rest()};
            if (json_read::object(last)) take(last);
            if (!end_) end(ServiceErrc::unavailable);  // "done" never came
        } else {
            return std::nullopt;
        }
    }
    if (!events_.empty()) {
        auto event = std::move(events_.front());
        events_.pop_front();
        return event;
    }
    return end_;
}

void OllamaReader::take(std::string_view line) {
    if (line.empty()) return;
    const auto chunk = json_read::object(line);
    if (!chunk) return end(ServiceErrc::protocol);
    if (chunk->contains("error")) {
        on_trouble_(200, error_text(line));
        return end(ServiceErrc::unavailable);
    }
    if (const auto* const message = json_read::object_in(*chunk, "message")) {
        say(json_read::text(*message, "content"));
        if (const auto* const list = json_read::array_in(*message, "tool_calls")) {
            for (const auto& entry : *list) {
                const auto* const call = entry.if_object();
                const auto* const function =
                    call == nullptr ? nullptr : json_read::object_in(*call, "function");
                if (function == nullptr) continue;
                LlmEvent event;
                event.kind = LlmEvent::Kind::tool_call;
                event.tool.id = json_read::text(*call, "id");
                event.tool.name = json_read::text(*function, "name");
                const auto* const arguments = json_read::object_in(*function, "arguments");
                event.tool.arguments = arguments == nullptr ? "{}" : net::json_text(*arguments);
                if (!event.tool.name.empty()) events_.push_back(std::move(event));
            }
        }
    }
    say(json_read::text(*chunk, "response"));
    if (json_read::flag(*chunk, "done")) end(ServiceErrc::end_of_stream);
}

void OllamaReader::end(ServiceErrc why) {
    at_begin_ = false;
    if (!held_.empty()) say(std::exchange(held_, {}));
    end_ = make_error_code(why);
}

void OllamaReader::say(std::string_view text) {
    if (text.empty()) return;
    std::string piece = std::exchange(held_, {}).append(text);
    if (at_begin_) {
        const auto begin = std::min(piece.find_first_not_of(" \n"), piece.size());
        const std::string_view spoken = std::string_view{piece}.substr(begin);
        const auto compared = std::min(spoken.size(), assistant_label.size());
        if (spoken.substr(0, compared) == assistant_label.substr(0, compared)) {
            if (compared < assistant_label.size()) {
                held_ = std::move(piece);
                return;
            }
            piece.erase(0, begin + assistant_label.size());
            if (piece.starts_with(' ')) piece.erase(0, 1);
        }
        at_begin_ = false;
        if (piece.empty()) return;
    }
    LlmEvent event;
    event.text = std::move(piece);
    events_.push_back(std::move(event));
}

error_code OllamaReader::refused(int status, std::string_view body) {
    on_trouble_(status, error_text(body));
    if (status == 404) return make_error_code(ServiceErrc::configuration);  // no such model
    return service_error({status, net::http_status_category()});
}

}  // namespace oavc::services
