#include "services/llm/detail/openai_protocol.hpp"

#include "net/errors.hpp"
#include "net/json_text.hpp"
#include "services/detail/json_read.hpp"
#include "services/detail/stream_error.hpp"
#include "services/llm/detail/chat_json.hpp"
#include "services/llm/detail/continuation.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <algorithm>
#include <utility>

namespace oavc::services {

namespace {

namespace json = boost::json;
using Role = ChatMessage::Role;

constexpr std::size_t most_calls = 32;
constexpr std::size_t longest_calls = 256 * 1024;  ///< names, ids and arguments together

json::array messages_json(const std::vector<ChatMessage>& messages) {
    json::array all;
    for (const auto& message : messages) {
        json::object entry;
        entry["role"] = role_name(message.role);
        if (message.tool_calls.empty() || !message.text.empty()) entry["content"] = message.text;
        if (!message.tool_calls.empty()) {
            json::array calls;
            for (const auto& call : message.tool_calls) {
                json::object function;
                function["name"] = call.name;
                function["arguments"] = call.arguments.empty() ? "{}" : call.arguments;
                json::object made;
                made["id"] = call.id;
                made["type"] = "function";
                made["function"] = std::move(function);
                calls.emplace_back(std::move(made));
            }
            entry["tool_calls"] = std::move(calls);
        }
        if (message.role == Role::tool) entry["tool_call_id"] = message.tool_call_id;
        all.emplace_back(std::move(entry));
    }
    return all;
}

}  // namespace

std::string openai_request(const OpenAiConfig& config, LlmRequest request) {
    const auto tools = std::move(request.tools);
    const auto messages = messages_to_send(std::move(request));
    json::object body;
    body["model"] = config.model;
    body["messages"] = messages_json(messages);
    body["stream"] = true;
    // Models that reason refuse both: a negative number leaves them out.
    if (config.temperature >= 0) body["temperature"] = config.temperature;
    if (config.top_p >= 0) body["top_p"] = config.top_p;
    if (config.max_tokens > 0) body[config.max_tokens_field] = config.max_tokens;
    if (!config.stop.empty()) body["stop"] = json::array(config.stop.begin(), config.stop.end());
    if (!tools.empty()) body["tools"] = tools_json(tools);
    return net::json_text(body);
}

std::optional<Result<LlmEvent>> OpenAiReader::next() {
    while (events_.empty() && !end_) {
        if (const auto event = sse_.next()) {
            take(*event);
        } else if (sse_.failed()) {
            end(ServiceErrc::protocol);
        } else if (finished_) {
            // An event that the end cut short is as good as none.
            const auto last = sse_.finish();
            if (last && (last->data == "[DONE]" || json_read::object(last->data))) take(*last);
            if (end_) break;
            end(choice_finished_ ? ServiceErrc::end_of_stream : ServiceErrc::unavailable);
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

void OpenAiReader::take(const SseEvent& event) {
    if (event.data == "[DONE]") {
        choice_finished_ = true;
        tell_calls();
        return end(ServiceErrc::end_of_stream);
    }
    const auto chunk = json_read::object(event.data);
    if (!chunk) return end(ServiceErrc::protocol);
    const auto* const error = chunk->if_contains("error");
    if ((error != nullptr && !error->is_null()) || event.type == "error") {
        on_trouble_(200, error_text(event.data));
        const auto* const details = json_read::object_in(*chunk, "error");
        const bool invalid =
            details != nullptr && json_read::text(*details, "type") == "invalid_request_error";
        return end(invalid ? ServiceErrc::rejected : ServiceErrc::unavailable);
    }
    // The usage comes with no choices at all.
    const auto* const list = json_read::array_in(*chunk, "choices");
    if (list == nullptr || list->empty() || !list->front().is_object()) return;
    const auto& choice = list->front().get_object();
    if (const auto* const delta = json_read::object_in(choice, "delta")) {
        say(json_read::text(*delta, "content"));
        say(json_read::text(*delta, "refusal"));
        if (const auto* const calls = json_read::array_in(*delta, "tool_calls")) collect(*calls);
    }
    if (!json_read::text(choice, "finish_reason").empty()) {
        choice_finished_ = true;
        tell_calls();
    }
}

void OpenAiReader::collect(const json::array& deltas) {
    for (const auto& entry : deltas) {
        const auto* const delta = entry.if_object();
        if (delta == nullptr) continue;
        static const json::object none;
        const auto* const given = json_read::object_in(*delta, "function");
        const auto& function = given == nullptr ? none : *given;
        const auto id = json_read::text(*delta, "id");
        const auto name = json_read::text(function, "name");
        const auto* const index = delta->if_contains("index");
        auto call = calls_.end();
        if (index != nullptr && index->is_int64()) {
            call = std::ranges::find(calls_, index->get_int64(), &Call::index);
        } else if (!id.empty()) {
            // Servers without indexes send whole calls, or pieces of the latest.
            call = std::ranges::find(calls_, id, [](const Call& each) { return each.tool.id; });
        } else if (name.empty() && !calls_.empty()) {
            call = calls_.end() - 1;
        }
        if (call == calls_.end()) {
            if (calls_.size() == most_calls) return end(ServiceErrc::protocol);
            const bool counted = index != nullptr && index->is_int64();
            calls_.push_back({counted ? index->get_int64() : -1, {}});
            call = calls_.end() - 1;
        }
        if (call->tool.id.empty()) call->tool.id = id;
        if (call->tool.name.empty()) call->tool.name = name;
        const auto arguments = json_read::text(function, "arguments");
        call->tool.arguments += arguments;
        calls_size_ += arguments.size();
        if (calls_size_ > longest_calls) return end(ServiceErrc::protocol);
    }
}

void OpenAiReader::tell_calls() {
    for (auto& [index, tool] : std::exchange(calls_, {})) {
        if (tool.name.empty()) continue;
        if (!json_read::object(tool.arguments)) tool.arguments = "{}";
        LlmEvent event;
        event.kind = LlmEvent::Kind::tool_call;
        event.tool = std::move(tool);
        events_.push_back(std::move(event));
    }
}

void OpenAiReader::say(std::string_view text) {
    if (text.empty()) return;
    LlmEvent event;
    event.text = text;
    events_.push_back(std::move(event));
}

error_code OpenAiReader::refused(int status, std::string_view body) {
    on_trouble_(status, error_text(body));
    if (status == 404) return make_error_code(ServiceErrc::configuration);  // model or URL
    return service_error({status, net::http_status_category()});
}

}  // namespace oavc::services
