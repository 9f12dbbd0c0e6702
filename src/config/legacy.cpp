#include "config/legacy.hpp"

#include "config/ini.hpp"

#include <cstdlib>

namespace oavc::config {

namespace {

constexpr std::string_view no_need = "not needed here";
constexpr std::string_view no_metrics = "/metrics is always served";
constexpr std::string_view no_audio = "audio formats are negotiated for each call";

// Earlier lines win where two old names mean the same key.
constexpr Legacy keys[]{
    {"telephony.opensips", "rtp_bind_ip", "telephony.rtp", "bind_ip", Rewrite::alias, {}},
    {"telephony.opensips",
     "rtp_advertised_ip",
     "telephony.rtp",
     "advertised_ip",
     Rewrite::alias,
     {}},
    {"telephony.opensips", "rtp_port_start", "telephony.rtp", "port_start", Rewrite::alias, {}},
    {"telephony.opensips", "rtp_port_end", "telephony.rtp", "port_end", Rewrite::alias, {}},
    {"telephony.opensips", "media_timeout", "telephony.rtp", "media_timeout", Rewrite::alias, {}},
    {"opensips", "ip", "telephony.opensips", "mi_ip", Rewrite::same, {}},
    {"opensips", "host", "telephony.opensips", "mi_ip", Rewrite::same, {}},
    {"opensips", "port", "telephony.opensips", "mi_port", Rewrite::same, {}},
    {"opensips", "mi_transport", {}, {}, Rewrite::ignored, "MI is always spoken by datagram"},
    {"engine", "event_ip", "telephony.opensips", "event_ip", Rewrite::same, {}},
    {"engine", "event_port", "telephony.opensips", "event_port", Rewrite::same, {}},
    {"engine", "sip_ip", "telephony.sip", "bind_ip", Rewrite::same, {}},
    {"engine", "sip_port", "telephony.sip", "port", Rewrite::same, {}},
    {"oavc", "host", "telephony.sip", "bind_ip", Rewrite::same, {}},
    {"oavc", "sip_port", "telephony.sip", "port", Rewrite::same, {}},
    {"oavc", "*", {}, {}, Rewrite::ignored, no_need},
    {"sip", "host", "telephony.sip", "bind_ip", Rewrite::same, {}},
    {"sip", "port", "telephony.sip", "port", Rewrite::same, {}},
    {"sip", "*", {}, {}, Rewrite::ignored, no_need},
    {"rtp", "min_port", "telephony.rtp", "port_start", Rewrite::same, {}},
    {"rtp", "max_port", "telephony.rtp", "port_end", Rewrite::same, {}},
    {"rtp", "bind_ip", "telephony.rtp", "bind_ip", Rewrite::same, {}},
    {"rtp", "ip", "telephony.rtp", "advertised_ip", Rewrite::same, {}},

    {"pipeline", "vad_threshold", "vad", "threshold", Rewrite::same, {}},
    {"pipeline", "stt_timeout", "turns", "final_transcript", Rewrite::seconds, {}},
    {"pipeline", "llm_timeout", "turns", "first_token", Rewrite::seconds, {}},
    {"pipeline", "tts_timeout", "turns", "first_audio", Rewrite::seconds, {}},
    {"pipeline", "enable_interruption", "interruption", "enabled", Rewrite::same, {}},
    {"pipeline", "interruption_min_words", "interruption", "min_words", Rewrite::same, {}},
    {"pipeline",
     "interruption_volume_threshold",
     "interruption",
     "volume_threshold",
     Rewrite::same,
     {}},
    {"pipeline", "*", {}, {}, Rewrite::ignored, no_need},
    {"interruption", "min_words_strategy", "interruption", "min_words", Rewrite::same, {}},
    {"interruption",
     "volume_duration_ms",
     "interruption",
     "volume_duration",
     Rewrite::milliseconds,
     {}},
    {"vad",
     "speech_threshold",
     "vad",
     "threshold",
     Rewrite::probability,
     "an amplitude of samples is no probability"},
    {"vad", "min_silence_ms", "vad", "min_silence", Rewrite::milliseconds, {}},
    {"vad", "min_speech_ms", "vad", "min_speech", Rewrite::milliseconds, {}},
    {"vad", "enabled", {}, {}, Rewrite::ignored, "voice activity detection is always on"},
    {"vad", "turkish_optimized", {}, {}, Rewrite::ignored, "the engines need no preset"},

    {"general", "loglevel", "logging", "level", Rewrite::same, {}},
    {"general", "logfile", "logging", "file", Rewrite::same, {}},

    // The predecessor's single sections of its three services.
    {"stt", "url", "stt.vosk", "url", Rewrite::same, {}},
    {"stt", "sample_rate", "stt.vosk", "sample_rate", Rewrite::same, {}},
    {"stt", "channels", {}, {}, Rewrite::ignored, "callers are heard on one channel"},
    {"stt", "send_eof", {}, {}, Rewrite::ignored, "see [stt.vosk] finalize"},
    {"stt", "model", {}, {}, Rewrite::ignored, "the server's model is used"},
    {"llm", "url", "llm.llama", "url", Rewrite::same, {}},
    {"llm", "temperature", "llm.llama", "temperature", Rewrite::same, {}},
    {"llm", "top_p", "llm.llama", "top_p", Rewrite::same, {}},
    {"llm", "max_tokens", "llm.llama", "max_tokens", Rewrite::same, {}},
    {"llm", "timeout", "failover", "first_token", Rewrite::seconds, {}},
    {"llm", "model", {}, {}, Rewrite::ignored, "the server has one model, and was never told it"},
    {"llm", "stream", {}, {}, Rewrite::ignored, "replies are always streamed"},
    {"tts", "url", "tts.piper", "url", Rewrite::same, {}},
    {"tts", "host", "tts.piper", "url", Rewrite::piper_url, {}},
    {"tts", "port", {}, {}, Rewrite::ignored, "write it into [tts.piper] url"},
    {"tts", "voice", "tts.piper", "voice", Rewrite::same, {}},
    {"tts", "sample_rate", "tts.piper", "sample_rate", Rewrite::same, {}},
    {"deepgram", "*", {}, {}, Rewrite::ignored, "see [stt.deepgram] and [tts.deepgram]"},
    {"openai", "*", {}, {}, Rewrite::ignored, "see [llm.openai]"},
    {"azure", "*", {}, {}, Rewrite::ignored, "there is no adapter for it"},
    {"ai", "*", {}, {}, Rewrite::ignored, "providers are chosen in [stt], [llm] and [tts]"},
    {"audio", "*", {}, {}, Rewrite::ignored, no_audio},
    {"metrics", "*", {}, {}, Rewrite::ignored, no_metrics},
};

constexpr Legacy environment[]{
    {{}, "RTP_MIN_PORT", "telephony.rtp", "port_start", Rewrite::same, {}},
    {{}, "RTP_MAX_PORT", "telephony.rtp", "port_end", Rewrite::same, {}},
    {{}, "RTP_HOST_IP", "telephony.rtp", "advertised_ip", Rewrite::same, {}},
    {{}, "EXTERNAL_RTP_IP", "telephony.rtp", "advertised_ip", Rewrite::same, {}},
    {{}, "HOST_IP", "telephony.rtp", "advertised_ip", Rewrite::same, {}},
    {{}, "OPENSIPS_EVENT_PORT", "telephony.opensips", "event_port", Rewrite::same, {}},
    {{}, "OPENSIPS_MI_PORT", "telephony.opensips", "mi_port", Rewrite::same, {}},
    {{}, "VAD_CONFIDENCE", "vad", "threshold", Rewrite::same, {}},
    {{}, "VAD_START_SECS", "vad", "min_speech", Rewrite::seconds, {}},
    {{}, "VAD_STOP_SECS", "vad", "min_silence", Rewrite::seconds, {}},
    {{}, "VAD_MIN_VOLUME", {}, {}, Rewrite::ignored, no_need},
    {{}, "VAD_SAMPLE_RATE", {}, {}, Rewrite::ignored, no_audio},
    {{}, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "tracing", "endpoint", Rewrite::alias, {}},
    {{}, "OTEL_EXPORTER_OTLP_ENDPOINT", "tracing", "endpoint", Rewrite::alias, {}},
    {{}, "OTEL_EXPORTER_OTLP_HEADERS", "tracing", "headers", Rewrite::alias, {}},
    {{}, "OTEL_SERVICE_NAME", "tracing", "service_name", Rewrite::alias, {}},
    {{}, "GOOGLE_CLOUD_PROJECT", "tracing", "google_project", Rewrite::alias, {}},
    {{}, "LOG_LEVEL", "logging", "level", Rewrite::same, {}},
    {{}, "DEBUG_MODE", "logging", "level", Rewrite::debug_level, {}},
    {{}, "SYSTEM_PROMPT", "agent", "system_prompt", Rewrite::same, {}},
    {{}, "SYSTEM_MESSAGE", "agent", "system_prompt", Rewrite::same, {}},
    {{}, "WELCOME_MESSAGE", "agent", "greeting", Rewrite::same, {}},
    {{}, "CONVERSATION_LANGUAGE", "agent", "language", Rewrite::same, {}},
    {{}, "CONVERSATION_MAX_TURNS", "agent", "memory_turns", Rewrite::same, {}},
    {{}, "ENABLE_INTERRUPTIONS", "interruption", "enabled", Rewrite::same, {}},
    {{},
     "PIPELINE_TIMEOUT",
     {},
     {},
     Rewrite::ignored,
     "each wait has a limit of its own in [turns]"},
    {{}, "PIPELINE_MAX_ERRORS", {}, {}, Rewrite::ignored, no_need},
    {{}, "SIP_HOST", "telephony.sip", "bind_ip", Rewrite::same, {}},
    {{}, "SIP_PORT", "telephony.sip", "port", Rewrite::same, {}},
    {{}, "AI_BACKEND_SIP_PORT", "telephony.sip", "port", Rewrite::same, {}},
    {{}, "VOSK_WEBSOCKET_URL", "stt.vosk", "url", Rewrite::same, {}},
    {{}, "LLAMA_WEBSOCKET_URL", "llm.llama", "url", Rewrite::same, {}},
    {{}, "LLAMA_MODEL", {}, {}, Rewrite::ignored, "the server has one model"},
    {{}, "LLM_MAX_TOKENS", "llm.llama", "max_tokens", Rewrite::same, {}},
    {{}, "LLM_TEMPERATURE", "llm.llama", "temperature", Rewrite::same, {}},
    {{}, "PIPER_WEBSOCKET_URL", "tts.piper", "url", Rewrite::same, {}},
    {{}, "ENABLE_METRICS", {}, {}, Rewrite::ignored, no_metrics},
    {{}, "TEST_MODE", {}, {}, Rewrite::ignored, no_need},
    {{}, "WAIT_FOR_DEPS", {}, {}, Rewrite::ignored, no_need},
};

constexpr LegacyPersona persona[]{
    {"language", "tr"},
    {"greeting", "Merhaba, size nasıl yardımcı olabilirim?"},
    {"system_prompt",
     "Bir bankanın telefondaki sanal müşteri temsilcisisin. Hesap, kart, para transferi, fatura ve "
     "yatırım konularında yardım edersin. Yalnızca Türkçe, kısa ve açık cümlelerle konuş."},
    {"goodbye", "Aradığınız için teşekkür ederiz, iyi günler."},
    {"failure_sentence",
     "Özür dileriz, şu anda bir sorun yaşıyoruz. Lütfen daha sonra tekrar arayın."},
    {"idle_sentence", "Hâlâ hatta mısınız?"},
    {"not_understood", "Özür dilerim, anlayamadım. Tekrar eder misiniz?"},
    {"not_connected", "Özür dilerim, sizi bağlayamadım. Başka nasıl yardımcı olabilirim?"},
};

}  // namespace

std::span<const LegacyPersona> legacy_persona() { return persona; }
std::span<const Legacy> legacy_keys() { return keys; }
std::span<const Legacy> legacy_environment() { return environment; }

const Legacy* find_legacy(std::string_view section, std::string_view name) {
    for (const Legacy& legacy : keys) {
        if (legacy.section == section && (legacy.name == name || legacy.name == "*")) {
            return &legacy;
        }
    }
    return nullptr;
}

std::optional<std::string> rewrite(const Legacy& legacy, std::string_view value) {
    switch (legacy.rewrite) {
        case Rewrite::alias:
        case Rewrite::same:
            return std::string{value};
        case Rewrite::milliseconds:
            return std::string{value} + "ms";
        case Rewrite::seconds:
            return std::string{value} + "s";
        case Rewrite::piper_url:
            return "ws://" + std::string{value} + ":8000/tts";
        case Rewrite::probability: {
            const std::string text{value};
            char* end = nullptr;
            const double number = std::strtod(text.c_str(), &end);
            if (end != text.c_str() && number > 1) return std::nullopt;
            return text;
        }
        case Rewrite::debug_level: {
            const std::string lower = to_lower(value);
            if (lower == "true" || lower == "1" || lower == "yes") return "debug";
            return std::nullopt;
        }
        case Rewrite::ignored:
            break;
    }
    return std::nullopt;
}

}  // namespace oavc::config
