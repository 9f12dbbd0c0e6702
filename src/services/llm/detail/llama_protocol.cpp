#include "services/llm/detail/llama_protocol.hpp"

#include "net/json_text.hpp"
#include "services/llm/detail/continuation.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <vector>

namespace oavc::services {

namespace json = boost::json;

namespace {

/// Of folded history; the models behind this server have little room. Older turns are left out.
constexpr std::size_t longest_history = 4'000;

struct Wording {
    std::string_view so_far;
    std::string_view caller;
    std::string_view assistant;
    std::string_view now;
};
constexpr Wording english{
    "The conversation so far:", "Caller: ", "Assistant: ", "The caller now says: "};
constexpr Wording turkish{"Önceki konuşma:", "Arayan: ", "Asistan: ", "Arayan şimdi diyor ki: "};

const Wording& wording_for(std::string_view language) noexcept {
    const bool is_turkish =
        language == "tr" || language.starts_with("tr-") || language.starts_with("tr_");
    return is_turkish ? turkish : english;
}

/// All that the server reads.
struct Folded {
    std::string system;
    std::string user;
};

Folded fold(const LlmRequest& request, std::string_view language) {
    const auto& words = wording_for(language);
    Folded folded;
    std::vector<std::string> turns;
    std::string latest;
    for (const auto& message : request.messages) {
        if (message.text.empty()) continue;
        switch (message.role) {
            case ChatMessage::Role::system:
                if (!folded.system.empty()) folded.system += "\n\n";
                folded.system += message.text;
                break;
            case ChatMessage::Role::user:
                turns.push_back(std::string{words.caller} + message.text);
                latest = message.text;
                break;
            case ChatMessage::Role::assistant:
                turns.push_back(std::string{words.assistant} + message.text);
                break;
            case ChatMessage::Role::tool:
                break;
        }
    }
    const bool go_on = !request.said_already.empty();
    if (go_on) {
        turns.push_back(std::string{words.assistant} + request.said_already);
        folded.user = continue_reply;
    } else {
        if (!turns.empty()) turns.pop_back();  // what the caller says now
        if (turns.empty()) {
            folded.user = latest;
            return folded;
        }
        folded.user = std::string{words.now} + latest;
    }
    std::size_t first = turns.size();
    for (std::size_t size = 0; first > 0 && size + turns[first - 1].size() <= longest_history;)
        size += turns[--first].size();
    std::string history{words.so_far};
    for (; first < turns.size(); ++first)
        history += "\n" + turns[first];
    folded.user = history + "\n\n" + folded.user;
    return folded;
}

std::string_view role_name(ChatMessage::Role role) noexcept {
    switch (role) {
        case ChatMessage::Role::system:
            return "system";
        case ChatMessage::Role::assistant:
            return "assistant";
        case ChatMessage::Role::user:
        case ChatMessage::Role::tool:
            break;
    }
    return "user";
}

json::object message_of(std::string_view role, std::string_view text) {
    return {{"role", role}, {"content", text}};
}

json::array messages_of(
    const LlamaConfig& config, const LlmRequest& request, std::string_view language
) {
    json::array messages;
    if (config.fold_history) {
        const auto folded = fold(request, language);
        if (!folded.system.empty()) messages.push_back(message_of("system", folded.system));
        messages.push_back(message_of("user", folded.user));
        return messages;
    }
    for (const auto& message : messages_to_send(request)) {
        if (message.role == ChatMessage::Role::tool || message.text.empty()) continue;
        messages.push_back(message_of(role_name(message.role), message.text));
    }
    return messages;
}

const json::value* member(const json::value* value, std::string_view key) noexcept {
    const auto* const object = value != nullptr ? value->if_object() : nullptr;
    return object != nullptr ? object->if_contains(key) : nullptr;
}

const json::value* first_of(const json::value* value) noexcept {
    const auto* const array = value != nullptr ? value->if_array() : nullptr;
    return array != nullptr ? array->if_contains(0) : nullptr;
}

const json::string* text_of(const json::value* value) noexcept {
    return value != nullptr ? value->if_string() : nullptr;
}

std::string_view answer_in(const json::value& message) noexcept {
    const json::string* const candidates[] = {
        text_of(member(&message, "chunk")),
        text_of(member(member(&message, "message"), "content")),
        text_of(member(&message, "response")),
        text_of(member(member(first_of(member(&message, "choices")), "delta"), "content")),
        text_of(member(&message, "token")),
    };
    for (const auto* const candidate : candidates) {
        if (candidate != nullptr) return *candidate;
    }
    return {};
}

}  // namespace

std::string llama_request(
    const LlamaConfig& config, const LlmRequest& request, std::string_view language
) {
    json::object out;
    if (config.dialect == "prompt") {
        const auto folded = fold(request, language);
        out["prompt"] = folded.user;
        if (!folded.system.empty()) out["system_prompt"] = folded.system;
        out["stop"] = json::array{"User:", "System:", "\n\n"};
    } else {
        out["messages"] = messages_of(config, request, language);
    }
    out["temperature"] = config.temperature;
    out["max_tokens"] = config.max_tokens;
    out["stream"] = true;
    out["use_rag"] = config.use_rag;
    out["top_p"] = config.top_p;
    if (!config.model.empty()) out["model"] = config.model;
    return net::json_text(out);
}

LlamaMessage parse_llama_message(std::string_view text) noexcept {
    LlamaMessage parsed;
    error_code bad;
    const auto message = json::parse(text, bad);
    if (bad || !message.is_object()) return parsed;
    parsed.text = answer_in(message);
    const auto* const done = member(&message, "done");
    parsed.done = done != nullptr && done->is_bool() && done->get_bool();
    const auto* const error = member(&message, "error");
    if (error == nullptr || error->is_null() || parsed.done) return parsed;
    parsed.error = error->is_string() ? std::string{error->get_string()} : json::serialize(*error);
    if (parsed.error.empty()) parsed.error = "unknown";
    return parsed;
}

}  // namespace oavc::services
