#include "config/checks.hpp"

#include "config/load.hpp"
#include "config/schema.hpp"
#include "observability/privacy.hpp"
#include "pipeline/transfer_target.hpp"
#include "services/endpoints.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <utility>

namespace oavc::config {

namespace {

namespace fs = std::filesystem;

class Checker {
    static constexpr std::chrono::milliseconds whole_utterance{8'000};
    static constexpr std::chrono::milliseconds margin{1'000};

public:
    explicit Checker(Loaded& loaded) noexcept : loaded_{loaded}, config_{loaded.config} {}

    void run() {
        check_api();
        check_telephony();
        if (config_.serves_rtp()) check_rtp();
        if (config_.serves_opensips()) check_opensips();
        if (config_.serves_sip()) check_sip();
        if (config_.serves_twilio()) check_twilio();
        check_services();
        check_vad();
        check_agents();
    }

private:
    /// A problem at the line where the key was given, if it was.
    void report(
        Severity severity, std::string_view section, std::string_view key, std::string what
    ) {
        const Setting* setting = loaded_.find(section, key);
        loaded_.problems.push_back(
            {severity,
             std::string{section},
             setting == nullptr ? 0 : setting->origin.line,
             fmt::format("[{}] {}: {}", section, key, what)}
        );
    }

    void note(std::string_view section, std::string what) {
        loaded_.problems.push_back({Severity::note, std::string{section}, 0, std::move(what)});
    }

    /// After a value was changed here: what --explain shows.
    void refresh(std::string_view section, std::string_view key) {
        for (Setting& setting : loaded_.settings) {
            if (setting.section != section || setting.key->name != key) continue;
            setting.value = get_value(*setting.key, config_, config_.pipeline.agents.back());
        }
    }

    bool given(std::string_view section, std::string_view key) const {
        const Setting* setting = loaded_.find(section, key);
        return setting != nullptr && setting->origin.kind != Origin::Kind::built_in;
    }

    void check_api() {
        const auto& api = config_.api;
        const auto wrong = [this](std::string_view key, std::string what) {
            report(Severity::error, "api", key, std::move(what));
        };
        if (api.tls_certificate.empty() != api.tls_private_key.empty()) {
            wrong("tls_private_key", "belongs to tls_certificate: both or none");
        }
        if (api.tls_verify_client && api.tls_ca.empty()) {
            wrong("tls_verify_client", "needs tls_ca: whose certificates are good enough?");
        }
        if (api.tls_port == 0) return;
        if (api.tls_certificate.empty()) wrong("tls_port", "needs tls_certificate");
        if (api.tls_port == api.port) wrong("tls_port", "must not be port: that one stays plain");
    }

    void check_telephony() {
        auto& telephony = config_.telephony;
        check_fallback("telephony", telephony.provider, telephony.fallback_provider);
        if (telephony.fallback_provider == "both") {
            report(
                Severity::error,
                "telephony",
                "fallback_provider",
                "is one carrier: opensips, sip or twilio"
            );
        }
        if (config_.pipeline.outgoing.dial_allowed.empty()) return;
        if (config_.uses("opensips") && config_.opensips.dial_domain.empty()) {
            note(
                "telephony.opensips",
                "[telephony.opensips] dial_domain is empty: SIP URIs can be called, but no numbers"
            );
        }
        if (!config_.uses("twilio")) return;
        const auto& twilio = config_.twilio;
        const auto need = [this](std::string_view key, const std::string& value) {
            if (!value.empty()) return;
            report(
                Severity::warning, "telephony.twilio", key, "is needed to place calls over Twilio"
            );
        };
        need("account_sid", twilio.account_sid);
        need("auth_token", twilio.auth_token);
        need("phone_number", twilio.phone_number);
        need("public_url", twilio.public_url);
    }

    void check_rtp() {
        const auto& rtp = config_.rtp;
        auto& limits = config_.pipeline.limits;
        constexpr std::string_view section = "telephony.rtp";
        if (rtp.port_start > rtp.port_end) {
            report(
                Severity::error,
                section,
                "port_end",
                fmt::format("{} lies below port_start = {}", rtp.port_end, rtp.port_start)
            );
            return;
        }
        for (const auto& codec : rtp.unknown_codecs()) {
            report(
                Severity::error,
                section,
                "codecs",
                fmt::format("\"{}\" is none of opus, g722, pcmu, pcma, l16", codec)
            );
        }
        if (rtp.codecs.empty()) report(Severity::error, section, "codecs", "names no codec");
        const std::size_t room = rtp.port_capacity();
        const std::string range = fmt::format("{} to {}", rtp.port_start, rtp.port_end);
        if (room == 0) {
            report(
                Severity::error,
                section,
                "port_end",
                fmt::format("the range {} has no even port with an odd one above it", range)
            );
        } else if (limits.max_calls > room && given("limits", "max_calls")) {
            report(
                Severity::error,
                "limits",
                "max_calls",
                fmt::format(
                    "{} calls do not fit the RTP ports {}, which hold {} (two ports each); widen "
                    "[telephony.rtp] port_start … port_end or lower the limit",
                    limits.max_calls,
                    range,
                    room
                )
            );
        } else if (limits.max_calls > room) {
            note(
                "limits",
                fmt::format(
                    "[limits] max_calls is {} instead of {}: the RTP ports {} hold no more",
                    room,
                    limits.max_calls,
                    range
                )
            );
            limits.max_calls = room;
            refresh("limits", "max_calls");
        }
    }

    void check_opensips() {
        auto& opensips = config_.opensips;
        const auto& rtp = config_.rtp;
        constexpr std::string_view section = "telephony.opensips";
        if (opensips.event_port >= rtp.port_start && opensips.event_port <= rtp.port_end) {
            report(
                Severity::error,
                section,
                "event_port",
                fmt::format(
                    "{} lies among the RTP ports {} to {}",
                    opensips.event_port,
                    rtp.port_start,
                    rtp.port_end
                )
            );
        }
        if (!given(section, "allowed_peers") && given(section, "mi_ip") &&
            opensips.mi_ip != "127.0.0.1") {
            opensips.allowed_peers.push_back(opensips.mi_ip);
            refresh(section, "allowed_peers");
            note(
                section,
                fmt::format(
                    "[{}] allowed_peers is {}: OpenSIPS, as mi_ip names it, is believed",
                    section,
                    fmt::join(opensips.allowed_peers, ", ")
                )
            );
        }
        if (opensips.allowed_peers.empty()) {
            report(
                Severity::error,
                section,
                "allowed_peers",
                "is empty, so every event would be ignored; name OpenSIPS's address"
            );
        }
    }

    void check_sip() {
        auto& sip = config_.sip;
        const auto& rtp = config_.rtp;
        constexpr std::string_view section = "telephony.sip";
        if (sip.port >= rtp.port_start && sip.port <= rtp.port_end) {
            report(
                Severity::error,
                section,
                "port",
                fmt::format(
                    "{} lies among the RTP ports {} to {}", sip.port, rtp.port_start, rtp.port_end
                )
            );
        }
        if (config_.telephony.provider != "sip" && !given(section, "allowed_peers") &&
            sip.allowed_peers != config_.opensips.allowed_peers) {
            // One OpenSIPS, named once.
            sip.allowed_peers = config_.opensips.allowed_peers;
            refresh(section, "allowed_peers");
        }
        if (sip.allowed_peers.empty()) {
            report(
                Severity::error,
                section,
                "allowed_peers",
                "is empty, so every call would be ignored; name the proxy's address"
            );
        }
        if (!sip.registrar.empty() && sip.username.empty()) {
            report(Severity::error, section, "registrar", "needs username: whom to register?");
        }
    }

    void check_twilio() {
        const auto& twilio = config_.twilio;
        constexpr std::string_view section = "telephony.twilio";
        if (twilio.validate_signatures && twilio.auth_token.empty()) {
            report(
                Severity::error,
                section,
                "auth_token",
                "is needed to check Twilio's signatures (console: Account Info); for a trial "
                "without Twilio set validate_signatures = false"
            );
        }
        if (!twilio.validate_signatures) {
            report(
                Severity::warning,
                section,
                "validate_signatures",
                "is off: anybody who reaches the port can place calls"
            );
        }
        if (twilio.public_url.starts_with("http://") && !is_local(twilio.public_url)) {
            report(
                Severity::warning,
                section,
                "public_url",
                "is not https:// and Twilio opens media sockets only as wss://"
            );
        }
        const std::string& number = twilio.phone_number;
        const bool e164 = number.size() >= 3 && number.size() <= 16 && number.front() == '+' &&
                          number.find_first_not_of("0123456789", 1) == std::string::npos;
        if (!number.empty() && !e164) {
            report(
                Severity::warning, section, "phone_number", "is not E.164, such as +12025550123"
            );
        }
    }

    static bool is_local(std::string_view url) noexcept {
        const std::string_view host = url.substr(url.find("//") + 2);
        return host.starts_with("127.") || host.starts_with("localhost") ||
               host.starts_with("[::1]");
    }

    void check_file(std::string_view section, std::string_view key, const std::string& path) {
        std::error_code error;
        if (path.empty() || fs::exists(path, error)) return;
        report(Severity::error, section, key, fmt::format("there is no \"{}\"", path));
    }

    /// Is that provider asked, first or as fallback?
    static bool uses(
        const std::string& provider, const std::string& fallback, std::string_view name
    ) noexcept {
        return provider == name || fallback == name;
    }

    void check_key(std::string_view section, std::string_view key, const std::string& value) {
        if (!value.empty()) return;
        report(Severity::error, section, key, "is needed: the service refuses everybody without");
    }

    /// Nobody takes over from itself.
    void check_fallback(
        std::string_view section, const std::string& provider, std::string& fallback
    ) {
        if (fallback.empty() || fallback != provider) return;
        note(
            section,
            fmt::format("[{}] fallback_provider is {} like the provider: nobody", section, fallback)
        );
        fallback.clear();
        refresh(section, "fallback_provider");
    }

    /// What is read for TLS towards a service or a collector.
    void check_identity(
        std::string_view section,
        const std::string& ca,
        const std::string& certificate,
        const std::string& key
    ) {
        check_file(section, "ca_file", ca);
        check_file(section, "certificate_file", certificate);
        check_file(section, "key_file", key);
        if (certificate.empty() == key.empty()) return;
        report(Severity::error, section, "key_file", "belongs to certificate_file: both or none");
    }

    void check_services() {
        auto& services = config_.services;
        const auto& tracing = config_.tracing;
        check_identity("tracing", tracing.ca_file, tracing.certificate_file, tracing.key_file);
        for (const auto& [section, endpoint] : services::endpoints_in_use(services)) {
            const auto& tls = endpoint.tls;
            check_identity(section, tls.ca_file, tls.certificate_file, tls.key_file);
        }
        check_fallback("stt", services.stt_provider, services.stt_fallback);
        check_fallback("llm", services.llm_provider, services.llm_fallback);
        check_fallback("tts", services.tts_provider, services.tts_fallback);
        if (uses(services.stt_provider, services.stt_fallback, "deepgram")) {
            check_key("stt.deepgram", "api_key", services.deepgram_stt.api_key);
        }
        if (uses(services.tts_provider, services.tts_fallback, "deepgram")) {
            check_key("tts.deepgram", "api_key", services.deepgram_tts.api_key);
        }
        if (uses(services.tts_provider, services.tts_fallback, "elevenlabs")) {
            check_key("tts.elevenlabs", "api_key", services.elevenlabs.api_key);
            if (services.elevenlabs.voice_id.empty()) {
                report(Severity::error, "tts.elevenlabs", "voice_id", "is needed");
            }
        }
        if (uses(services.stt_provider, services.stt_fallback, "faster-whisper")) {
            check_file("stt.faster-whisper", "model_path", services.whisper.model_path);
        }
        allow_for_whisper();
        check_deadlines();
        if (uses(services.stt_provider, services.stt_fallback, "pocketsphinx")) {
            check_file("stt.pocketsphinx", "phrases_file", services.pocketsphinx.phrases_file);
            std::error_code error;
            const std::string& model = services.pocketsphinx.model_dir;
            if (!fs::exists(model, error)) {
                report(
                    Severity::error,
                    "stt.pocketsphinx",
                    "model_dir",
                    fmt::format(
                        "there is no \"{}\"; on Debian: apt-get install pocketsphinx-en-us", model
                    )
                );
            }
        }
        if (uses(services.stt_provider, services.stt_fallback, "scripted") &&
            services.scripted_stt.lines.empty()) {
            report(
                Severity::error,
                "stt.scripted",
                "lines",
                "is needed: what every caller is to have said"
            );
        }
        if (uses(services.llm_provider, services.llm_fallback, "scripted")) {
            if (services.scripted.dialogue_file.empty()) {
                report(
                    Severity::error,
                    "llm.scripted",
                    "dialogue_file",
                    "is needed: the scripted replies come from it"
                );
            }
            check_file("llm.scripted", "dialogue_file", services.scripted.dialogue_file);
        }
    }

    /// Whisper decodes an utterance as a whole after its end, which takes a processor core seconds:
    /// the limits that are right for a recogniser that streams would take it for dead.
    void allow_for_whisper() {
        auto& services = config_.services;
        if (services.stt_provider != "faster-whisper" && services.stt_fallback != "faster-whisper")
            return;
        if (!given("failover", "final_transcript")) {
            services.failover.final_transcript = whole_utterance;
            refresh("failover", "final_transcript");
        }
        if (!given("turns", "final_transcript")) {
            const auto asked = services.failover.final_transcript;
            auto& whole = config_.pipeline.turns.final_transcript;
            whole = std::max(whole, asked * (services.stt_fallback.empty() ? 1 : 2) + margin);
            refresh("turns", "final_transcript");
        }
    }

    /// The pipeline gives a turn up after [turns]; a fallback needs to have had its time by then.
    void check_deadlines() {
        const auto& services = config_.services;
        const auto& limits = services.failover;
        const auto& turns = config_.pipeline.turns;
        const auto check = [this](
                               std::string_view key,
                               bool fallback,
                               std::chrono::milliseconds one,
                               std::chrono::milliseconds whole
                           ) {
            const auto needed = one * (fallback ? 2 : 1);
            if (needed <= whole) return;
            report(
                Severity::warning,
                "failover",
                key,
                fmt::format(
                    "is {}{}, but [turns] {} gives the turn up after {}",
                    format_duration(one),
                    fallback ? ", twice with a fallback" : "",
                    key,
                    format_duration(whole)
                )
            );
        };
        const bool stt = !services.stt_fallback.empty();
        const bool llm = !services.llm_fallback.empty();
        const bool tts = !services.tts_fallback.empty();
        check("final_transcript", stt, limits.final_transcript, turns.final_transcript);
        check("first_token", llm, limits.first_token, turns.first_token);
        check("first_audio", tts, limits.first_audio, turns.first_audio);
    }

    void check_vad() {
        const auto& vad = config_.pipeline.vad;
        if (vad.engine != "webrtc") check_file("vad", "model", vad.model);
    }

    void check_agents() {
        const auto& agents = config_.pipeline.agents;
        for (std::size_t i = 0; i + 2 < agents.size(); ++i) {
            if (agents[i].match != ".*" && agents[i].match != ".+") continue;
            report(
                Severity::warning,
                fmt::format("agent.{}", to_section(agents[i].name)),
                "match",
                "takes every call, so no agent below it is ever reached"
            );
        }
        for (const auto& agent : agents) {
            const bool common = &agent == &agents.back();
            check_masks(agent, agents.back());
            check_recording(agent, common);
            if (!common && agent.transfer_targets == agents.back().transfer_targets) continue;
            for (const auto& item : agent.transfer_targets) {
                if (pipeline::parse_transfer_target(item)) continue;
                report(
                    Severity::error,
                    common ? "agent" : fmt::format("agent.{}", to_section(agent.name)),
                    "transfer_targets",
                    fmt::format(
                        "'{}' is not written like name:target, such as sales:sip:sales@example.com",
                        item
                    )
                );
            }
        }
    }

    void check_recording(const pipeline::AgentConfig& agent, bool common) {
        const auto& recording = config_.pipeline.recording;
        if (!agent.record || (!common && config_.pipeline.agents.back().record)) return;
        for (const auto& [name, value] :
             {std::pair{"folder", recording.folder}, std::pair{"key", recording.key}}) {
            if (!value.empty()) continue;
            report(
                Severity::error,
                "recording",
                name,
                fmt::format("is needed: agent {} records its calls", agent.name)
            );
        }
    }

    void check_masks(const pipeline::AgentConfig& agent, const pipeline::AgentConfig& common) {
        const bool own = &agent == &common || agent.mask_personal_data != common.mask_personal_data;
        for (const auto& name : agent.mask_personal_data) {
            if (!own || privacy::kind_named(name)) continue;
            report(
                Severity::error,
                &agent == &common ? "agent" : fmt::format("agent.{}", to_section(agent.name)),
                "mask_personal_data",
                fmt::format("'{}' is none of {}", name, privacy::kind_names)
            );
        }
    }

    static std::string to_section(std::string name) {
        std::transform(name.begin(), name.end(), name.begin(), [](char c) {
            return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
        });
        return name;
    }

    Loaded& loaded_;
    Config& config_;
};

}  // namespace

void check(Loaded& loaded) { Checker{loaded}.run(); }

}  // namespace oavc::config
