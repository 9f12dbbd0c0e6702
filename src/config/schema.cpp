#include "config/schema.hpp"

#include "base/providers.hpp"
#include "config/ini.hpp"
#include "services/providers.hpp"
#include "transports/providers.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <limits>
#include <regex>
#include <type_traits>

namespace oavc::config {

namespace {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

constexpr Duration any_wait{1ms, 24h};
constexpr std::int64_t any_count = 1'000'000;

// One line per key: where it lives, what it may be, what it means.
const std::vector<Key>& table() {
    static const std::vector<Key> keys{
        {"telephony",
         "provider",
         [](Target t) -> Field { return &t.config.telephony.provider; },
         Provider{"telephony"},
         "Where calls come from."},
        {"telephony",
         "fallback_provider",
         [](Target t) -> Field { return &t.config.telephony.fallback_provider; },
         Provider{"telephony"},
         "Accepted and checked; nothing falls back yet."},

        {"telephony.opensips",
         "event_ip",
         [](Target t) -> Field { return &t.config.opensips.event_ip; },
         Host{},
         "Address on which OpenSIPS's events are received."},
        {"telephony.opensips",
         "event_port",
         [](Target t) -> Field { return &t.config.opensips.event_port; },
         Integer{0, 65535},
         "UDP port on which OpenSIPS's events are received. 0: any free one."},
        {"telephony.opensips",
         "event_advertised",
         [](Target t) -> Field { return &t.config.opensips.event_advertised; },
         Text{},
         "`ip:port` that OpenSIPS is told to send events to. Empty: `event_ip:event_port`, with "
         "127.0.0.1 in place of a wildcard."},
        {"telephony.opensips",
         "mi_ip",
         [](Target t) -> Field { return &t.config.opensips.mi_ip; },
         Host{},
         "Address of OpenSIPS's `mi_datagram` socket."},
        {"telephony.opensips",
         "mi_port",
         [](Target t) -> Field { return &t.config.opensips.mi_port; },
         Port{},
         "Port of OpenSIPS's `mi_datagram` socket."},
        {"telephony.opensips",
         "mi_timeout",
         [](Target t) -> Field { return &t.config.opensips.mi_timeout; },
         any_wait,
         "How long one MI command may take before it is sent again."},
        {"telephony.opensips",
         "subscribe_expire",
         [](Target t) -> Field { return &t.config.opensips.subscribe_expire; },
         Duration{5s, 24h},
         "Life of the subscription to events; it is renewed well before."},
        {"telephony.opensips",
         "subscribe_retry",
         [](Target t) -> Field { return &t.config.opensips.subscribe_retry; },
         Duration{10ms, 5s},
         "First wait before subscribing again while OpenSIPS does not answer; doubles up to 5s."},
        {"telephony.opensips",
         "rtp_bind_ip",
         [](Target t) -> Field { return &t.config.opensips.rtp_bind_ip; },
         Host{},
         "Address on which RTP is received."},
        {"telephony.opensips",
         "rtp_advertised_ip",
         [](Target t) -> Field { return &t.config.opensips.rtp_advertised_ip; },
         Host{},
         "Address in our SDP, for servers behind NAT. Empty: the one that routes to the caller."},
        {"telephony.opensips",
         "rtp_port_start",
         [](Target t) -> Field { return &t.config.opensips.rtp_port_start; },
         Port{},
         "First RTP port. A call takes an even port and the odd one above it."},
        {"telephony.opensips",
         "rtp_port_end",
         [](Target t) -> Field { return &t.config.opensips.rtp_port_end; },
         Port{},
         "Last RTP port. The range must hold `[limits] max_calls`: 35000 to 35500 holds 250."},
        {"telephony.opensips",
         "allowed_peers",
         [](Target t) -> Field { return &t.config.opensips.allowed_peers; },
         List{},
         "Addresses from which events are believed; others are counted and ignored."},
        {"telephony.opensips",
         "media_timeout",
         [](Target t) -> Field { return &t.config.opensips.media_timeout; },
         Duration{1s, 24h},
         "A call without RTP for this long, and not on hold, ends."},

        {"telephony.twilio",
         "account_sid",
         [](Target t) -> Field { return &t.config.twilio.account_sid; },
         Text{},
         "The account's SID, `AC…`; requests of other accounts are refused. Empty: not checked."},
        {"telephony.twilio",
         "auth_token",
         [](Target t) -> Field { return &t.config.twilio.auth_token; },
         Secret{},
         "The account's primary auth token: the key of `X-Twilio-Signature`."},
        {"telephony.twilio",
         "auth_token_secondary",
         [](Target t) -> Field { return &t.config.twilio.auth_token_secondary; },
         Secret{},
         "A second token that is accepted too, while tokens are being rotated."},
        {"telephony.twilio",
         "phone_number",
         [](Target t) -> Field { return &t.config.twilio.phone_number; },
         Text{},
         "Our number in E.164, for display."},
        {"telephony.twilio",
         "public_url",
         [](Target t) -> Field { return &t.config.twilio.public_url; },
         Url{"https:// or http://"},
         "The address that Twilio calls, such as `https://voice.example.com`. Signatures are made "
         "over it, and audio comes to its `wss://` twin. Empty: `http://127.0.0.1:PORT`."},
        {"telephony.twilio",
         "validate_signatures",
         [](Target t) -> Field { return &t.config.twilio.validate_signatures; },
         Boolean{},
         "Refuse requests that Twilio did not sign. Off only for trials."},
        {"telephony.twilio",
         "token_ttl",
         [](Target t) -> Field { return &t.config.twilio.token_ttl; },
         Duration{1s, 1h},
         "How long Twilio may take from the webhook to opening the media socket."},
        {"telephony.twilio",
         "max_buffered",
         [](Target t) -> Field { return &t.config.twilio.max_buffered; },
         Duration{40ms, 2s},
         "Audio that may lie in Twilio's buffer ahead of the caller's ear. Small values make "
         "interruptions quick, large ones ride out a bad network."},
        {"telephony.twilio",
         "media_timeout",
         [](Target t) -> Field { return &t.config.twilio.media_timeout; },
         Duration{1s, 24h},
         "A call without media for this long ends."},

        {"stt",
         "provider",
         [](Target t) -> Field { return &t.config.services.stt_provider; },
         Provider{"stt"},
         "Who turns the caller's speech into text."},
        {"stt.pocketsphinx",
         "model_dir",
         [](Target t) -> Field { return &t.config.services.pocketsphinx.model_dir; },
         Path{},
         "Folder of the acoustic model and the dictionary."},
        {"stt.pocketsphinx",
         "phrases_file",
         [](Target t) -> Field { return &t.config.services.pocketsphinx.phrases_file; },
         Path{},
         "What callers may say, one phrase per line. Empty: the phrases of the scripted dialogue."},
        {"stt.pocketsphinx",
         "general_model",
         [](Target t) -> Field { return &t.config.services.pocketsphinx.general_model; },
         Boolean{},
         "Recognise any English with the general model: 100 MB per call, and on telephone lines it "
         "hears little of it right."},
        {"stt.pocketsphinx",
         "max_backlog_ms",
         [](Target t) -> Field { return &t.config.services.pocketsphinx.max_backlog_ms; },
         Integer{100, 600'000},
         "Milliseconds of audio that may wait for a worker before the oldest is dropped."},

        {"llm",
         "provider",
         [](Target t) -> Field { return &t.config.services.llm_provider; },
         Provider{"llm"},
         "Who finds the reply."},
        {"llm.scripted",
         "dialogue_file",
         [](Target t) -> Field { return &t.config.services.scripted.dialogue_file; },
         Path{},
         "The dialogue: patterns and replies, see [dialogue.md](dialogue.md)."},

        {"tts",
         "provider",
         [](Target t) -> Field { return &t.config.services.tts_provider; },
         Provider{"tts"},
         "Who speaks the reply."},
        {"tts.flite",
         "voice",
         [](Target t) -> Field { return &t.config.services.flite.voice; },
         Choice{{"slt", "rms", "awb", "kal"}},
         "Voice: slt is female, rms, awb and kal are male; kal has 8 kHz, the others 16 kHz."},
        {"tts.flite",
         "speed",
         [](Target t) -> Field { return &t.config.services.flite.speed; },
         Number{0.5, 2.0},
         "1 is normal, 2 twice as fast."},
        {"tts.espeak-ng",
         "command",
         [](Target t) -> Field { return &t.config.services.espeak.command; },
         Text{},
         "The program, looked up in PATH."},
        {"tts.espeak-ng",
         "voice",
         [](Target t) -> Field { return &t.config.services.espeak.voice; },
         Text{},
         "eSpeak NG's voice name, such as `tr` or `en-gb`. Empty: from the agent's language."},
        {"tts.espeak-ng",
         "words_per_minute",
         [](Target t) -> Field { return &t.config.services.espeak.words_per_minute; },
         Integer{80, 450},
         "Speed of speech."},
        {"tts.espeak-ng",
         "processes",
         [](Target t) -> Field { return &t.config.services.espeak.processes; },
         Integer{1, 64},
         "How many worker processes may run at once."},

        {"vad",
         "engine",
         [](Target t) -> Field { return &t.config.pipeline.vad.engine; },
         Choice{{"auto", "webrtc", "silero"}},
         "Who decides what is speech. auto: silero where its model is, else webrtc."},
        {"vad",
         "model",
         [](Target t) -> Field { return &t.config.pipeline.vad.model; },
         Path{},
         "Silero's model file. Empty: where `oavc models pull silero-vad` puts it."},
        {"vad",
         "threshold",
         [](Target t) -> Field { return &t.config.pipeline.vad.threshold; },
         Number{0.0, 1.0},
         "Silero: probability from which on a piece of audio counts as speech."},
        {"vad",
         "aggressiveness",
         [](Target t) -> Field { return &t.config.pipeline.vad.aggressiveness; },
         Integer{0, 3},
         "WebRTC: 0 lets most through, 3 least."},
        {"vad",
         "min_speech",
         [](Target t) -> Field { return &t.config.pipeline.vad.min_speech; },
         Duration{0ms, 5s},
         "Voiced for this long before speech has started."},
        {"vad",
         "min_silence",
         [](Target t) -> Field { return &t.config.pipeline.vad.min_silence; },
         Duration{20ms, 10s},
         "Unvoiced for this long before speech has stopped."},
        {"vad",
         "pre_roll",
         [](Target t) -> Field { return &t.config.pipeline.vad.pre_roll; },
         Duration{0ms, 2s},
         "Audio before the onset of speech that recognition gets too."},

        {"interruption",
         "enabled",
         [](Target t) -> Field { return &t.config.pipeline.interruption.enabled; },
         Boolean{},
         "May the caller interrupt us at all?"},
        {"interruption",
         "use_vad",
         [](Target t) -> Field { return &t.config.pipeline.interruption.use_vad; },
         Boolean{},
         "Strategy vad: speech for `vad_duration` interrupts. The strategies run together; the "
         "first that is sure interrupts."},
        {"interruption",
         "use_volume",
         [](Target t) -> Field { return &t.config.pipeline.interruption.use_volume; },
         Boolean{},
         "Strategy volume: louder than `volume_threshold` for `volume_duration` interrupts."},
        {"interruption",
         "use_min_words",
         [](Target t) -> Field { return &t.config.pipeline.interruption.use_min_words; },
         Boolean{},
         "Strategy min_words: so many recognised words interrupt."},
        {"interruption",
         "vad_duration",
         [](Target t) -> Field { return &t.config.pipeline.interruption.vad_duration; },
         Duration{0ms, 5s},
         "Speech for this long is no cough."},
        {"interruption",
         "min_words",
         [](Target t) -> Field { return &t.config.pipeline.interruption.min_words; },
         Integer{1, 50},
         "Recognised words that interrupt."},
        {"interruption",
         "volume_threshold",
         [](Target t) -> Field { return &t.config.pipeline.interruption.volume_threshold; },
         Number{0.0, 1.0},
         "Level from 0 (silence) to 1 (as loud as it gets)."},
        {"interruption",
         "volume_duration",
         [](Target t) -> Field { return &t.config.pipeline.interruption.volume_duration; },
         Duration{0ms, 5s},
         "Louder than the threshold for this long interrupts."},
        {"interruption",
         "protection",
         [](Target t) -> Field { return &t.config.pipeline.interruption.protection; },
         Duration{0ms, 10s},
         "Nobody can interrupt for this long after we begin to speak."},
        {"interruption",
         "resume_after",
         [](Target t) -> Field { return &t.config.pipeline.interruption.resume_after; },
         Duration{0ms, 10s},
         "Paused for a noise that no strategy confirms within this, we go on where we stopped."},

        {"turns",
         "endpoint_silence",
         [](Target t) -> Field { return &t.config.pipeline.turns.endpoint_silence; },
         Duration{20ms, 10s},
         "Silence that ends the caller's turn."},
        {"turns",
         "longest_utterance",
         [](Target t) -> Field { return &t.config.pipeline.turns.longest_utterance; },
         Duration{1s, 10min},
         "A turn of the caller ends after this at the latest."},
        {"turns",
         "final_transcript",
         [](Target t) -> Field { return &t.config.pipeline.turns.final_transcript; },
         any_wait,
         "Longest wait for the final transcript."},
        {"turns",
         "first_token",
         [](Target t) -> Field { return &t.config.pipeline.turns.first_token; },
         any_wait,
         "Longest wait for the reply's first token."},
        {"turns",
         "next_token",
         [](Target t) -> Field { return &t.config.pipeline.turns.next_token; },
         any_wait,
         "Longest wait between two tokens."},
        {"turns",
         "first_audio",
         [](Target t) -> Field { return &t.config.pipeline.turns.first_audio; },
         any_wait,
         "Longest wait for a sentence's first audio."},
        {"turns",
         "longest_reply",
         [](Target t) -> Field { return &t.config.pipeline.turns.longest_reply; },
         Duration{1s, 1h},
         "A reply ends after this at the latest."},
        {"turns",
         "idle_prompt",
         [](Target t) -> Field { return &t.config.pipeline.turns.idle_prompt; },
         Duration{1s, 1h},
         "After so much silence on both sides we ask whether the caller is there."},
        {"turns",
         "idle_prompts",
         [](Target t) -> Field { return &t.config.pipeline.turns.idle_prompts; },
         Integer{0, 20},
         "How often we ask before we say goodbye."},

        {"agent",
         "match",
         [](Target t) -> Field { return &t.agent.match; },
         Pattern{},
         "Only in `[agent.NAME]`: a regular expression (ECMAScript). The agent takes calls whose "
         "dialled "
         "number or user contains a match; `^` and `$` tie it to the whole."},
        {"agent",
         "greeting",
         [](Target t) -> Field { return &t.agent.greeting; },
         Text{},
         "What is said first. Empty: we wait for the caller."},
        {"agent",
         "system_prompt",
         [](Target t) -> Field { return &t.agent.system_prompt; },
         Text{},
         "Who the agent is and how it speaks, for a language model."},
        {"agent",
         "language",
         [](Target t) -> Field { return &t.agent.language; },
         Text{},
         "Language of the conversation, such as `en` or `tr-TR`."},
        {"agent",
         "voice",
         [](Target t) -> Field { return &t.agent.voice; },
         Text{},
         "Voice of the speech engine. Empty: the engine's own choice."},
        {"agent",
         "goodbye",
         [](Target t) -> Field { return &t.agent.goodbye; },
         Text{},
         "Said before we end a call by ourselves."},
        {"agent",
         "failure_sentence",
         [](Target t) -> Field { return &t.agent.failure_sentence; },
         Text{},
         "Said when no engine answers, before the call is transferred or ends."},
        {"agent",
         "idle_sentence",
         [](Target t) -> Field { return &t.agent.idle_sentence; },
         Text{},
         "Said when the caller is silent for `[turns] idle_prompt`."},
        {"agent",
         "not_understood",
         [](Target t) -> Field { return &t.agent.not_understood; },
         Text{},
         "Said when nothing was recognised."},
        {"agent",
         "fallback_number",
         [](Target t) -> Field { return &t.agent.fallback_number; },
         Text{},
         "Number or SIP URI to which callers are transferred when everything is down. Empty: we "
         "hang up."},
        {"agent",
         "memory_turns",
         [](Target t) -> Field { return &t.agent.memory_turns; },
         Integer{1, 1000},
         "Turns of the conversation that are remembered."},

        {"api",
         "host",
         [](Target t) -> Field { return &t.config.api.host; },
         Host{},
         "Address on which HTTP is served: webhook, media socket, health, API."},
        {"api",
         "port",
         [](Target t) -> Field { return &t.config.api.port; },
         Integer{0, 65535},
         "TCP port for HTTP. 0: any free one, told at start-up. The environment's `PORT` wins over "
         "everything."},
        {"api",
         "token",
         [](Target t) -> Field { return &t.config.api.token; },
         Secret{},
         "Bearer token of `/api/v1`. Empty: clients on this machine only."},

        {"limits",
         "max_calls",
         [](Target t) -> Field { return &t.config.pipeline.limits.max_calls; },
         Integer{1, any_count},
         "Calls at once; more are refused politely."},
        {"limits",
         "max_call_duration",
         [](Target t) -> Field { return &t.config.pipeline.limits.max_call_duration; },
         Duration{1s, 24h},
         "A call ends with a goodbye after this."},
        {"limits",
         "drain_deadline",
         [](Target t) -> Field { return &t.config.pipeline.limits.drain_deadline; },
         Duration{0s, 24h},
         "On SIGTERM running calls get this long before they are said goodbye to."},
        {"limits",
         "shards",
         [](Target t) -> Field { return &t.config.pipeline.limits.shards; },
         Integer{0, 256},
         "Threads that carry calls. 0: one per core."},
        {"limits",
         "workers",
         [](Target t) -> Field { return &t.config.pipeline.limits.workers; },
         Integer{0, 256},
         "Threads for recognition and synthesis. 0: one per core."},
        {"limits",
         "worker_queue",
         [](Target t) -> Field { return &t.config.pipeline.limits.worker_queue; },
         Integer{1, any_count},
         "Jobs that may wait for a worker; more are refused and counted."},

        {"logging",
         "level",
         [](Target t) -> Field { return &t.config.logging.level; },
         Choice{{"debug", "info", "warn", "error", "off"}},
         "The least important lines that are still written."},
        {"logging",
         "format",
         [](Target t) -> Field { return &t.config.logging.format; },
         Choice{{"console", "json"}},
         "console is for people, json for log collectors."},
        {"logging",
         "file",
         [](Target t) -> Field { return &t.config.logging.file; },
         Path{},
         "Where lines go. Empty: standard error."},
        {"logging",
         "show_personal_data",
         [](Target t) -> Field { return &t.config.logging.show_personal_data; },
         Boolean{},
         "Write transcripts, prompts, numbers and digits in clear. For trials only."},
    };
    return keys;
}

constexpr SectionHelp section_table[]{
    {"telephony", "Where calls come from."},
    {"telephony.opensips",
     "Calls through OpenSIPS: its events come in, commands go to its management interface."},
    {"telephony.twilio", "Calls through Twilio: webhook and Media Streams on the HTTP port."},
    {"stt", "Speech to text."},
    {"stt.pocketsphinx", "The embedded recogniser: English, for a known set of phrases."},
    {"llm", "What is replied."},
    {"llm.scripted", "Replies from a dialogue file, without any model."},
    {"tts", "Text to speech."},
    {"tts.flite", "The embedded English voices."},
    {"tts.espeak-ng", "eSpeak NG, for many languages, as worker processes."},
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
    std::string operator()(const Url&) const {
        const bool fits = text.starts_with("https://") || text.starts_with("http://");
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
    std::string operator()(const Url& url) const { return fmt::format("a {} URL", url.schemes); }
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
    return std::visit(Getter{}, key.field(target));
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
