#include "services/tts/detail/deepgram_speak.hpp"

#include "net/json_text.hpp"
#include "services/detail/deepgram.hpp"
#include "services/detail/json_read.hpp"
#include "services/errors.hpp"

#include <algorithm>
#include <utility>

namespace oavc::services::deepgram {

namespace {

/// Deepgram's limit is said to be 2000 characters.
constexpr std::size_t longest_speak = 1'500;

/// Where to cut a text that is too long: behind a space, never inside a character.
std::size_t cut(std::string_view text) noexcept {
    if (text.size() <= longest_speak) return text.size();
    const auto space = text.rfind(' ', longest_speak);
    if (space != std::string_view::npos && space > 0) return space;
    std::size_t at = longest_speak;
    while (at > 1 && (static_cast<unsigned char>(text[at]) & 0xC0u) == 0x80u)
        --at;
    return at;
}

}  // namespace

std::string speak_url(const DeepgramTtsConfig& config, std::string_view voice) {
    std::string url = config.endpoint.url;
    add_query(url, "model", voice.empty() ? std::string_view{config.model} : voice);
    add_query(url, "encoding", "linear16");
    add_query(url, "sample_rate", std::to_string(config.sample_rate));
    return url;
}

std::vector<std::string> speak_messages(std::string_view text) {
    std::vector<std::string> messages;
    while (!text.empty()) {
        const auto size = cut(text);
        boost::json::object message;
        message["type"] = "Speak";
        message["text"] = boost::json::string_view{text.data(), size};
        messages.push_back(net::json_text(message));
        text.remove_prefix(size);
    }
    messages.emplace_back(R"({"type":"Flush"})");
    return messages;
}

Result<VoiceMessage> parse_voice_message(std::string_view json) noexcept {
    using Kind = VoiceMessage::Kind;
    const auto object = json_read::object(json);
    if (!object) return make_error_code(ServiceErrc::protocol);
    VoiceMessage message;
    const auto type = json_read::text(*object, "type");
    if (type == "Flushed") {
        message.kind = Kind::flushed;
    } else if (type == "Cleared") {
        message.kind = Kind::cleared;
    } else if (type == "Error" || type == "Warning") {
        message.text = json_read::text(*object, "code");
        message.text.append(" ").append(json_read::text(*object, "description"));
        std::string lower = message.text;
        for (char& c : lower)
            if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        const bool about_flush = lower.find("flush") != std::string::npos;
        if (type == "Error") message.kind = Kind::error;
        if (type == "Warning" && about_flush) message.kind = Kind::flush_refused;
    }
    return message;
}

bool FlushBudget::spend(TimePoint now) {
    while (!spent_.empty() && now - spent_.front() >= window)
        spent_.pop_front();
    if (spent_.size() >= most) return false;
    spent_.push_back(now);
    return true;
}

}  // namespace oavc::services::deepgram
