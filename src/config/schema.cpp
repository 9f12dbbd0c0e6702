#include "config/schema.hpp"

#include "base/providers.hpp"
#include "config/ini.hpp"
#include "config/keys/keys.hpp"
#include "services/providers.hpp"
#include "transports/providers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <regex>
#include <type_traits>

namespace oavc::config {

namespace {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

const std::vector<Key>& table() {
    static const std::vector<Key> keys = [] {
        std::vector<Key> all;
        for (auto part :
             {telephony_keys,
              sip_keys,
              stt_keys,
              llm_keys,
              tts_keys,
              failover_keys,
              conversation_keys,
              server_keys,
              security_keys}) {
            const auto more = part();
            all.insert(all.end(), more.begin(), more.end());
        }
        return all;
    }();
    return keys;
}

constexpr SectionHelp section_table[]{
    {"telephony", "Where calls come from."},
    {"telephony.rtp",
     "Audio of the calls that come by SIP or through OpenSIPS. `rtp_bind_ip` and the like in "
     "`[telephony.opensips]` are other names of these keys."},
    {"telephony.opensips",
     "Calls through OpenSIPS: its events come in, commands go to its management interface."},
    {"telephony.sip", "Calls by SIP: our user agent behind OpenSIPS, another proxy or a PBX."},
    {"telephony.twilio", "Calls through Twilio: webhook and Media Streams on the HTTP port."},
    {"stt", "Speech to text."},
    {"stt.vosk", "A Vosk server, over WebSocket: streaming, many languages."},
    {"stt.faster-whisper", "Whisper in this process, through whisper.cpp."},
    {"stt.wyoming", "A remote faster-whisper server that speaks the Wyoming protocol."},
    {"stt.deepgram", "Deepgram, hosted."},
    {"stt.pocketsphinx", "The embedded recogniser: English, for a known set of phrases."},
    {"stt.scripted", "Hears nothing: answers with lines of yours, for load tests."},
    {"llm", "What is replied."},
    {"llm.llama", "The predecessor's own server, over WebSocket."},
    {"llm.ollama", "Ollama, over HTTP."},
    {"llm.openai", "OpenAI and every server that speaks its chat completions."},
    {"llm.scripted", "Replies from a dialogue file, without any model."},
    {"tts", "Text to speech."},
    {"tts.piper", "The predecessor's own Piper server, over WebSocket."},
    {"tts.wyoming", "A remote Piper server that speaks the Wyoming protocol."},
    {"tts.deepgram", "Deepgram's voices, hosted."},
    {"tts.elevenlabs", "ElevenLabs, hosted."},
    {"tts.flite", "The embedded English voices."},
    {"tts.espeak-ng", "eSpeak NG, for many languages, as worker processes."},
    {"failover", "When a provider has failed, and what happens then."},
    {"vad", "Voice activity detection: what is speech?"},
    {"interruption", "When the caller may take the word."},
    {"turns", "Every wait and every longest stay of a conversation."},
    {"agent",
     "What a caller meets. `[agent]` is the default; `[agent.NAME]` takes the calls that its "
     "`match` fits, the first one in the file wins, and what it does not say it takes from "
     "`[agent]`."},
    {"api", "The HTTP server."},
    {"limits", "How much one server takes on."},
    {"logging", "Log lines."},
    {"tracing",
     "Traces of calls for an OpenTelemetry collector (docs/monitoring.md). The environment's "
     "`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_HEADERS` and `OTEL_SERVICE_NAME` count "
     "too."},
    {"security", "Who did what, on record."},
    {"recording", "Calls on record, of agents that have `record = yes`."},
};

// ── texts to values ──────────────────────────────────────────────────────────────────────────────

template <class Int>
bool parse_integer(std::string_view text, Int& value) noexcept {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size() && !text.empty();
}

bool parse_number(std::string_view text, double& value) noexcept {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size() && !text.empty() &&
           std::isfinite(value);
}

bool parse_bool(std::string_view text, bool& value) {
    const std::string lower = to_lower(text);
    const bool yes = lower == "true" || lower == "yes" || lower == "on" || lower == "1";
    const bool no = lower == "false" || lower == "no" || lower == "off" || lower == "0";
    if (yes || no) value = yes;
    return yes || no;
}

/// What was written, for a message: shortened, on one line.
std::string quote(std::string_view text) {
    std::string shown{"\""};
    for (const char c : text.substr(0, 60)) {
        if (c == '\n') {
            shown += "\\n";
        } else {
            shown += c;
        }
    }
    if (text.size() > 60) shown += "…";
    return shown + "\"";
}

std::string not_a(std::string_view text, const Rule& rule) {
    std::string what = fmt::format("{} is not {}", quote(text), describe(rule));
    if (text.find('\n') != std::string_view::npos) {
        what += " (an indented line continues the value above it)";
    } else if (text.find(" #") != std::string_view::npos || text.find(" ;") != std::string_view::npos) {
        what += " (a comment needs a line of its own)";
    }
    return what;
}

std::string set_integer(Field field, std::int64_t value) {
    std::visit(
        [&](auto* place) {
            using T = std::remove_pointer_t<decltype(place)>;
            if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
                *place = static_cast<T>(value);
            }
        },
        field
    );
    return {};
}

std::string set_text(Field field, std::string_view text) {
    *std::get<std::string*>(field) = std::string{text};
    return {};
}

struct Setter {
    Field field;
    const Rule& rule;
    std::string_view text;

    std::string operator()(const Text&) const { return set_text(field, text); }
    std::string operator()(const Path&) const { return set_text(field, text); }
    std::string operator()(const Secret&) const {
        if (text.find('\n') != std::string_view::npos) return "a secret stands on one line";
        return set_text(field, text);
    }
    std::string operator()(const Pattern&) const {
        try {
            const std::regex compiled{std::string{text}, std::regex::ECMAScript};
        } catch (const std::regex_error&) {
            return fmt::format("{} is not a valid regular expression", quote(text));
        }
        return set_text(field, text);
    }
    std::string operator()(const Host&) const {
        for (const char c : text) {
            const bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                              (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_' ||
                              c == ':';
            if (!fits) return not_a(text, rule);
        }
        return set_text(field, text);
    }
    std::string operator()(const List&) const {
        auto& items = *std::get<std::vector<std::string>*>(field);
        items.clear();
        for (std::string_view rest = text; !rest.empty();) {
            const std::size_t end = rest.find_first_of(",\n");
            const std::string_view item = trim(rest.substr(0, end));
            if (!item.empty()) items.emplace_back(item);
            rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
        }
        return {};
    }
    std::string operator()(const Patterns&) const {
        auto& patterns = *std::get<std::vector<std::string>*>(field);
        patterns.clear();
        constexpr std::string_view blanks = " \t\n";
        for (std::size_t at = text.find_first_not_of(blanks); at < text.size();) {
            const std::size_t end = std::min(text.find_first_of(blanks, at), text.size());
            const auto pattern = text.substr(at, end - at);
            try {
                const std::regex compiled{std::string{pattern}, std::regex::ECMAScript};
            } catch (const std::regex_error&) {
                return fmt::format("{} is not a valid regular expression", quote(pattern));
            }
            patterns.emplace_back(pattern);
            at = text.find_first_not_of(blanks, end);
        }
        return {};
    }
    std::string operator()(const Url& url) const {
        bool fits = false;
        for (const auto scheme : url.schemes)
            fits = fits || text.starts_with(scheme);
        if (!text.empty() && (!fits || text.find_first_of(" \n\"<>") != std::string_view::npos)) {
            return not_a(text, rule);
        }
        return set_text(field, text.ends_with('/') ? text.substr(0, text.size() - 1) : text);
    }
    std::string operator()(const Provider& provider) const {
        const auto known = known_providers(provider.of);
        const std::string lower = to_lower(text);
        for (const std::string_view name : known) {
            if (lower == name) return set_text(field, name);
        }
        if (text.empty() && std::get<std::string*>(field)->empty()) return {};
        return unknown_provider(text, fmt::format("[{}] provider", provider.of), known);
    }
    std::string operator()(const Choice& choice) const {
        std::string lower = to_lower(text);
        if (auto* const* level = std::get_if<log::Level*>(&field)) {
            return log::parse_level(lower, **level) ? std::string{} : not_a(text, rule);
        }
        if (std::holds_alternative<log::Format*>(field) && lower == "structured") {
            lower = "json";  // the predecessor's word
        }
        for (std::size_t i = 0; i < choice.names.size(); ++i) {
            if (lower != choice.names[i]) continue;
            if (auto* const* format = std::get_if<log::Format*>(&field)) {
                **format = i == 0 ? log::Format::console : log::Format::json;
                return {};
            }
            return set_text(field, choice.names[i]);
        }
        return not_a(text, rule);
    }
    std::string operator()(const Boolean&) const {
        return parse_bool(text, *std::get<bool*>(field)) ? std::string{} : not_a(text, rule);
    }
    std::string operator()(const Port&) const {
        std::uint16_t port = 0;
        if (!parse_integer(text, port) || port == 0) return not_a(text, rule);
        return set_integer(field, port);
    }
    std::string operator()(const Integer& range) const {
        std::int64_t value = 0;
        if (!parse_integer(text, value) || value < range.min || value > range.max) {
            return not_a(text, rule);
        }
        return set_integer(field, value);
    }
    std::string operator()(const Number& range) const {
        double value = 0;
        if (!parse_number(text, value) || value < range.min || value > range.max) {
            return not_a(text, rule);
        }
        *std::get<double*>(field) = value;
        return {};
    }
    std::string operator()(const Duration& range) const {
        const auto parsed = parse_duration(text);
        if (!parsed) return parsed.error();
        if (*parsed < range.min || *parsed > range.max) return not_a(text, rule);
        if (auto* const* seconds = std::get_if<std::chrono::seconds*>(&field)) {
            const auto whole = std::chrono::duration_cast<std::chrono::seconds>(*parsed);
            if (whole != *parsed) {
                return fmt::format("{} must be whole seconds", quote(text));
            }
            **seconds = whole;
        } else {
            *std::get<milliseconds*>(field) = *parsed;
        }
        return {};
    }
};

std::string print_number(double value) {
    std::string text = fmt::format("{:.6f}", value);
    while (text.ends_with('0'))
        text.pop_back();
    if (text.ends_with('.')) text.pop_back();
    return text;
}

struct Getter {
    std::string operator()(const std::string* text) const { return *text; }
    std::string operator()(const std::vector<std::string>* items) const {
        return fmt::format("{}", fmt::join(*items, ", "));
    }
    std::string operator()(const bool* value) const { return *value ? "true" : "false"; }
    std::string operator()(const int* value) const { return fmt::format("{}", *value); }
    std::string operator()(const std::uint16_t* value) const { return fmt::format("{}", *value); }
    std::string operator()(const std::size_t* value) const { return fmt::format("{}", *value); }
    std::string operator()(const double* value) const { return print_number(*value); }
    std::string operator()(const milliseconds* value) const { return format_duration(*value); }
    std::string operator()(const std::chrono::seconds* value) const {
        return format_duration(*value);
    }
    std::string operator()(const log::Level* value) const {
        switch (*value) {
            case log::Level::debug:
                return "debug";
            case log::Level::info:
                return "info";
            case log::Level::warn:
                return "warn";
            case log::Level::error:
                return "error";
            case log::Level::off:
                break;
        }
        return "off";
    }
    std::string operator()(const log::Format* value) const {
        return *value == log::Format::json ? "json" : "console";
    }
};

struct Describer {
    std::string operator()(const Text&) const { return "text"; }
    std::string operator()(const Secret&) const { return "a secret"; }
    std::string operator()(const Path&) const { return "a path"; }
    std::string operator()(const Pattern&) const { return "a regular expression"; }
    std::string operator()(const Host&) const { return "an address or host name"; }
    std::string operator()(const List&) const { return "a list, separated by commas"; }
    std::string operator()(const Patterns&) const {
        return "regular expressions, separated by blanks";
    }
    std::string operator()(const Url& url) const {
        return fmt::format("a {} URL", fmt::join(url.schemes, " or "));
    }
    std::string operator()(const Provider& provider) const {
        return fmt::format("one of {}", fmt::join(known_providers(provider.of), ", "));
    }
    std::string operator()(const Choice& choice) const {
        return fmt::format("one of {}", fmt::join(choice.names, ", "));
    }
    std::string operator()(const Boolean&) const { return "true or false"; }
    std::string operator()(const Port&) const { return "a port (1 … 65535)"; }
    std::string operator()(const Integer& range) const {
        return fmt::format("a whole number ({} … {})", range.min, range.max);
    }
    std::string operator()(const Number& range) const {
        return fmt::format("a number ({} … {})", print_number(range.min), print_number(range.max));
    }
    std::string operator()(const Duration& range) const {
        return fmt::format(
            "a duration such as 500ms or 2s ({} … {})",
            format_duration(range.min),
            format_duration(range.max)
        );
    }
};

}  // namespace

std::span<const Key> schema() { return table(); }
std::span<const SectionHelp> sections() { return section_table; }

std::string_view schema_section(std::string_view section) noexcept {
    return section.starts_with("agent.") ? std::string_view{"agent"} : section;
}

const Key* find_key(std::string_view section, std::string_view name) {
    for (const Key& key : table()) {
        if (key.section != schema_section(section) || key.name != name) continue;
        return &key;
    }
    return nullptr;
}

bool is_secret(const Key& key) noexcept { return std::holds_alternative<Secret>(key.rule); }

std::string set_value(const Key& key, Target target, std::string_view text) {
    return std::visit(Setter{key.field(target), key.rule, text}, key.rule);
}

std::string get_value(const Key& key, const Config& config, const pipeline::AgentConfig& agent) {
    // The accessors hand out writable places; nothing is written through them here.
    const Target target{const_cast<Config&>(config), const_cast<pipeline::AgentConfig&>(agent)};
    const Field field = key.field(target);
    if (std::holds_alternative<Patterns>(key.rule)) {
        return fmt::format("{}", fmt::join(*std::get<std::vector<std::string>*>(field), " "));
    }
    return std::visit(Getter{}, field);
}

std::string default_value(const Key& key) {
    static const Config fresh;
    static const pipeline::AgentConfig agent;
    return get_value(key, fresh, agent);
}

std::string describe(const Rule& rule) { return std::visit(Describer{}, rule); }

Result<milliseconds, std::string> parse_duration(std::string_view text) {
    const std::string lower = to_lower(trim(text));
    std::size_t digits = lower.find_first_not_of("0123456789.");
    if (digits == std::string::npos) digits = lower.size();
    double value = 0;
    const std::string_view unit = trim(std::string_view{lower}.substr(digits));
    if (!parse_number(std::string_view{lower}.substr(0, digits), value)) {
        return fmt::format("{} is not a duration such as 500ms or 2s", quote(text));
    }
    double scale = 0;
    if (unit == "ms") {
        scale = 1;
    } else if (unit == "s" || (unit.empty() && value == 0)) {
        scale = 1000;
    } else if (unit == "min" || unit == "m") {
        scale = 60'000;
    } else if (unit == "h") {
        scale = 3'600'000;
    } else if (unit.empty()) {
        return fmt::format("{} needs a unit: {}ms or {}s?", quote(text), lower, lower);
    } else {
        return fmt::format("{} has an unknown unit; known are ms, s, min, h", quote(text));
    }
    const double ms = value * scale;
    if (ms > 1e12) return fmt::format("{} is too long", quote(text));
    return milliseconds{std::llround(ms)};
}

std::string format_duration(milliseconds duration) {
    const auto ms = duration.count();
    if (ms == 0) return "0";
    if (ms % 3'600'000 == 0) return fmt::format("{}h", ms / 3'600'000);
    if (ms % 60'000 == 0) return fmt::format("{}min", ms / 60'000);
    if (ms % 1000 == 0) return fmt::format("{}s", ms / 1000);
    return fmt::format("{}ms", ms);
}

std::span<const std::string_view> known_providers(std::string_view of) {
    if (of == "telephony") return transports::known_providers;
    if (of == "stt") return services::known_stt_providers;
    if (of == "llm") return services::known_llm_providers;
    return services::known_tts_providers;
}

}  // namespace oavc::config
