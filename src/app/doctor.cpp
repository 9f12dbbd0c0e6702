#include "app/doctor.hpp"

#include "app/certificates.hpp"
#include "app/cli.hpp"
#include "app/doctor/call.hpp"
#include "app/doctor/checks.hpp"
#include "app/doctor/finding.hpp"
#include "app/doctor/machine.hpp"
#include "app/doctor/services.hpp"
#include "app/doctor/webhook.hpp"
#include "app/gcp_secrets.hpp"
#include "app/options.hpp"
#include "app/resolve.hpp"
#include "app/server.hpp"
#include "base/bytes.hpp"
#include "net/certificate_expiry.hpp"
#include "net/udp.hpp"
#include "net/url.hpp"
#include "observability/log.hpp"
#include "services/llm/dialogue.hpp"
#include "transports/opensips/mi_protocol.hpp"

#include <boost/json/parse.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace oavc::app {

namespace {

using namespace doctor;

constexpr const char* help =
    R"(usage: oavc doctor [-c FILE] [--public] [--call] [--ca FILE] [--strict] [--json]

Looks at everything that calls need, and says what to change: configuration, ports, limits,
certificates, the address that callers are told, OpenSIPS, Twilio's webhook, each AI service. Works beside a running
server, which it recognises by its HTTP port, and without one. Changes nothing.

  -c, --config FILE   default: the one that `oavc serve` would take
  --public            also goes out: asks through public_url as Twilio would, and Twilio's REST
                      interface whether account and token are right
  --call              also uses each AI service once, and plays a call into the server (or into one
                      of its own, for as long), to hear whether audio passes in both directions
  --ca FILE           of https: PEM file of whom to believe when it asks the server, also through
                      public_url (default: the system's, or $SSL_CERT_FILE)
  --strict            warnings are reason enough for exit status 1
  --json              one JSON object instead of lines

Exit status: 0 nothing is wrong, 1 only warnings and --strict, 2 a fault.

  oavc doctor -c config/dev.ini --call
  docs/networking.md tells what it says behind NAT, in Docker and in Kubernetes
)";

constexpr app::Options::Spec options[]{
    {"--config", "-c", true},
    {"--public", "", false},
    {"--call", "", false},
    {"--ca", "", true},
    {"--strict", "", false},
    {"--json", "", false},
};

struct Wanted {
    bool internet{false};
    bool call{false};
    bool json{false};
    std::string ca_file{};  ///< of https; empty: the system's store
};

/// An address that a client on this machine can use.
std::string reachable(const std::string& host) {
    if (host.empty() || host == "0.0.0.0" || host == "::") return "127.0.0.1";
    return host.find(':') == std::string::npos ? host : "[" + host + "]";
}

/// Without the brackets of IPv6.
std::string bare(std::string host) {
    if (host.starts_with('[')) host = host.substr(1, host.find(']') - 1);
    return host;
}

std::string text_member(const std::string& json, std::string_view name) {
    error_code error;
    const auto document = boost::json::parse(json, error);
    if (error || !document.is_object()) return {};
    const auto* member = document.get_object().if_contains(name);
    return member != nullptr && member->is_string() ? std::string{member->get_string()} : "";
}

/// Where an effective value came from, for people.
std::string origin_of(const config::Loaded& loaded, const char* section, const char* key) {
    const auto* setting = loaded.find(section, key);
    if (setting == nullptr) return {};
    switch (setting->origin.kind) {
        case config::Origin::Kind::environment:
            return setting->origin.name;
        case config::Origin::Kind::file:
            return fmt::format("{}:{}", loaded.file, setting->origin.line);
        case config::Origin::Kind::built_in:
            break;
    }
    return {};
}

class Doctor {
public:
    Doctor(config::Loaded loaded, Wanted wanted) : loaded_{std::move(loaded)}, wanted_{wanted} {}

    std::vector<Finding> examine() {
        add(check_configuration(loaded_));
        if (!loaded_.ok()) return std::move(findings_);
        try {
            resolve_names(loaded_.config);
        } catch (const std::runtime_error& error) {
            add(fault("names", error.what(), "correct the name, or write an address"));
            return std::move(findings_);
        }
        look_at_server();
        look_at_machine();
        look_at_certificates();
        if (config().serves_rtp()) look_at_addresses();
        if (config().serves_opensips()) look_at_opensips();
        if (config().serves_sip() && server_up_) look_at_sip();
        if (config().serves_twilio()) look_at_twilio();
        look_at_services();
        if (wanted_.call) call();
        return std::move(findings_);
    }

private:
    const config::Config& config() const noexcept { return loaded_.config; }

    void add(Finding finding) {
        if (!wanted_.json) {
            fmt::print("{}", to_text(finding));
            std::fflush(stdout);
        }
        findings_.push_back(std::move(finding));
    }
    void add(std::vector<Finding> findings) {
        for (auto& finding : findings)
            add(std::move(finding));
    }

    std::string base_url() const {
        return fmt::format("http://{}:{}", reachable(config().api.host), config().api.port);
    }

    void look_at_server() {
        if (config().api.port == 0) return add(skipped("server", "its HTTP port is any free one"));
        const auto live = http_get(shard_, base_url() + "/health/live", {});
        server_up_ = text_member(live.body, "status") == "alive";
        if (!server_up_) return add(skipped("server", "not running: its ports are tried"));
        instance_ = text_member(live.body, "instance");
        const auto ready = http_get(shard_, base_url() + "/health/ready", {});
        const auto status = text_member(ready.body, "status");
        const auto found = fmt::format(
            "oavc {} runs at {}: {}", text_member(live.body, "version"), base_url(), status
        );
        add(ready.status == 200
                ? fine("server", found)
                : warning("server", found, "see below which service does not answer"));
    }

    // ── this machine ────────────────────────────────────────────────────────────────────────────

    void look_at_port(Port port) {
        port.server_up = server_up_;
        if (port.port != 0) {
            port.error = port.protocol == "TCP" ? try_bind_tcp(port.address, port.port)
                                                : try_bind_udp(port.address, port.port);
            if (port.error) port.holder = holder_of(port.protocol, port.port);
        }
        add(check_port(port));
    }

    void look_at_machine() {
        const auto max_calls = config().pipeline.limits.max_calls;
        look_at_port({"http port", "[api] port", "TCP", config().api.host, config().api.port});
        if (config().serves_opensips()) {
            const auto& opensips = config().opensips;
            Port events{
                "events port",
                "[telephony.opensips] event_port",
                "UDP",
                opensips.event_ip,
                opensips.event_port};
            events.needed_now = true;
            look_at_port(std::move(events));
        }
        if (config().serves_sip()) {
            const auto& sip = config().sip;
            const auto look = [&](const char* protocol, const char* key, std::uint16_t port) {
                Port facts{
                    std::string{"sip "} + protocol,
                    std::string{"[telephony.sip] "} + key,
                    protocol,
                    sip.bind_ip,
                    port};
                facts.needed_now = true;
                look_at_port(std::move(facts));
            };
            look("UDP", "port", sip.port);
            if (sip.tcp) look("TCP", "port", sip.port);
        }
        if (config().serves_rtp()) {
            auto range = look_at_rtp_range(config().rtp);
            range.max_calls = max_calls;
            range.server_up = server_up_;
            add(check_rtp_range(range));
        }
        // RTP and RTCP, or a media socket; and one connection to each service.
        add(check_file_limit({hard_file_limit(), max_calls, config().serves_rtp() ? 5u : 4u}));
        if (config().serves_opensips()) {
            constexpr std::size_t asked_for = 4 << 20;  // as the listener does
            add(check_event_buffer({granted_receive_buffer(asked_for), max_calls}));
        }
        add(check_clock({clock_synchronised(), {}, {}}));
    }

    // ── certificates ────────────────────────────────────────────────────────────────────────────

    void look_at_certificates() {
        for (auto& [key, file] : shown_certificates(config(), config())) {
            Certificate facts{std::move(key), std::move(file), {}, {}, {}};
            facts.now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
            if (const auto ends = net::certificate_expiry(facts.file)) {
                facts.ends = *ends;
            } else {
                facts.error = ends.error().message();
            }
            add(check_certificate(facts));
        }
        const auto& api = config().api;
        if (api.tls_port == 0) return;
        const auto& host = api.tls_host.empty() ? api.host : api.tls_host;
        look_at_port({"https port", "[api] tls_port", "TCP", host, api.tls_port});
        if (!server_up_) return;
        Https facts;
        facts.url = fmt::format("https://{}:{}", reachable(host), api.tls_port);
        facts.wants_certificate = api.tls_verify_client;
        facts.error = https_problem(shard_, facts.url + "/health/live", wanted_.ca_file);
        add(check_https(facts));
    }

    // ── addresses ───────────────────────────────────────────────────────────────────────────────

    void look_at_addresses() {
        MediaAddress facts;
        facts.rtp = config().rtp;
        facts.origin = origin_of(loaded_, "telephony.rtp", "advertised_ip");
        facts.default_route = default_route();
        facts.around = look_around();
        if (config().serves_opensips()) facts.peers.push_back(config().opensips.mi_ip);
        if (config().serves_sip()) {
            const auto& peers = config().sip.allowed_peers;
            facts.peers.insert(facts.peers.end(), peers.begin(), peers.end());
        }
        sdp_address_ = address_in_sdp(facts);
        const Reach reach = reach_of(sdp_address_);
        if (reach == Reach::private_net || reach == Reach::internet) {
            facts.comes_back = comes_back(facts.rtp, sdp_address_);
        }
        add(check_surroundings(facts));
        add(check_media_address(facts));
        if (config().serves_opensips()) {
            add(check_event_address({config().opensips.mi_ip, config().opensips.event_ip, told()}));
        }
        if (config().serves_sip()) {
            const auto& sip = config().sip;
            add(check_sip_address(
                {sip.bind_ip, sip.advertised, facts.default_route, sip.allowed_peers}
            ));
        }
    }

    /// What the server has OpenSIPS send events to.
    std::string told() const {
        const auto& opensips = config().opensips;
        if (!opensips.event_advertised.empty()) return opensips.event_advertised;
        auto bound = net::parse_endpoint(opensips.event_ip, opensips.event_port);
        const auto mi = net::parse_endpoint(opensips.mi_ip, opensips.mi_port);
        if (bound && mi && bound->address().is_unspecified()) {
            if (const auto ours = net::source_address_towards(*mi)) bound->address(*ours);
        }
        return bound ? net::to_string(*bound) : std::string{};
    }

    // ── OpenSIPS ────────────────────────────────────────────────────────────────────────────────

    void look_at_opensips() {
        const auto& opensips = config().opensips;
        Mi facts;
        facts.endpoint = fmt::format("{}:{}", opensips.mi_ip, opensips.mi_port);
        facts.expected = "udp:" + told();
        facts.server_up = server_up_;
        try {
            ask_mi(facts);
        } catch (const std::runtime_error& error) {
            facts.error = error.what();
        }
        add(check_mi(facts));
    }

    void ask_mi(Mi& facts) const {
        namespace mi = transports::opensips;
        UdpPeer peer{config().opensips.mi_ip, config().opensips.mi_port};
        std::uint32_t id = 0;
        const auto ask = [&](const mi::MiCommand& command) -> Result<std::string> {
            const auto request = mi::write_mi_request(++id, command);
            if (!request) return request.error();
            return peer.ask(*request, config().opensips.mi_timeout);
        };
        const auto strings = [&](const mi::MiCommand& command, std::string_view name) {
            const auto answer = ask(command);
            return answer ? strings_in(*answer, name) : std::nullopt;
        };
        const auto up = ask(mi::uptime());
        if (!up) {
            facts.error = up.error().message();
            return;
        }
        if (const auto parsed = mi::parse_mi_response(as_bytes(*up)); !parsed || !parsed->ok) {
            facts.error = "something answers, but not OpenSIPS: " + up->substr(0, 60);
            return;
        } else {
            facts.up_since = parsed->up_since;
        }
        if (const auto version = strings({"version", {}}, "Server"); version && !version->empty()) {
            facts.version = version->front();
        }
        facts.commands = strings({"which", {}}, "");
        facts.events = strings({"events_list", {}}, "name");
        const mi::MiParameter event{"event", std::string{"E_UA_SESSION"}};
        facts.subscribers = strings({"subscribers_list", {event}}, "socket");
        if (server_up_ && facts.subscribers) return;
        // For a second, and to us: nobody misses an event by it.
        const auto subscribed =
            ask(mi::event_subscribe("E_UA_SESSION", "udp:" + peer.local_endpoint(), 1));
        if (!subscribed) return;
        if (const auto parsed = mi::parse_mi_response(as_bytes(*subscribed))) {
            facts.subscribe_error = parsed->ok ? "" : parsed->message;
        }
    }

    // ── SIP ─────────────────────────────────────────────────────────────────────────────────────

    void look_at_sip() {
        const auto& sip = config().sip;
        if (sip.port == 0) return;
        doctor::Options facts;
        const std::string host = bare(reachable(sip.bind_ip));
        facts.endpoint = fmt::format("{}:{}", reachable(sip.bind_ip), sip.port);
        facts.protocol = "UDP";
        try {
            UdpPeer peer{host, sip.port};
            const auto us = peer.local_endpoint();
            const auto here = bare(us.substr(0, us.rfind(':')));
            facts.from_allowed_peer =
                std::find(sip.allowed_peers.begin(), sip.allowed_peers.end(), here) !=
                sip.allowed_peers.end();
            constexpr milliseconds sip_limit{2'000};
            const auto answer = peer.ask(options_request(facts.endpoint, us), sip_limit);
            if (answer) {
                facts.status = status_of(*answer);
            } else {
                facts.error = answer.error().message();
            }
        } catch (const std::runtime_error& error) {
            facts.error = error.what();
        }
        add(check_options(facts));
    }

    // ── Twilio ──────────────────────────────────────────────────────────────────────────────────

    void look_at_twilio() {
        const auto& twilio = config().twilio;
        std::optional<StandIn> stand_in;
        std::string base = base_url();
        if (!server_up_) {
            try {
                stand_in.emplace(config());
                base = fmt::format("http://{}:{}", reachable(config().api.host), stand_in->port());
                instance_ = stand_in->instance();
            } catch (const std::runtime_error&) {
                add(skipped("webhook", "the HTTP port is taken"));
            }
        }
        const bool can_ask = server_up_ || stand_in;
        if (can_ask) look_at_webhook_of(base);

        PublicUrl url;
        url.url = twilio.public_url;
        url.instance = instance_;
        const bool secure = twilio.public_url.starts_with("https://");
        if (const auto parsed = net::parse_url(twilio.public_url); parsed && secure) {
            auto addresses = resolve_host(parsed->host);
            if (addresses) {
                url.addresses = std::move(*addresses);
            } else {
                url.resolve_error = addresses.error();
            }
        }
        url.asked = wanted_.internet && can_ask && url.resolve_error.empty();
        auto public_base = twilio.public_url;
        while (public_base.ends_with('/'))
            public_base.pop_back();
        if (url.asked && secure) {
            url.health = http_get(shard_, public_base + "/health/live", wanted_.ca_file);
        }
        const bool answered = url.asked && secure && url.health.error.empty();
        add(check_public_url(url));
        if (answered) {
            auto signature =
                look_at_webhook(shard_, twilio, public_base, public_base, wanted_.ca_file);
            signature.through_public_url = true;
            add(check_signature(signature));
            add(check_media_socket(
                look_at_media_socket(shard_, twilio, public_base, public_base, wanted_.ca_file)
            ));
        }

        Account account;
        account.sid = twilio.account_sid;
        if (wanted_.internet && !account.sid.empty()) account = look_at_account(shard_, twilio);
        add(check_account(account));
        if (const auto ahead = ahead_of(account.answer.date)) {
            add(check_clock({{}, ahead, "Twilio"}));
        }
    }

    void look_at_webhook_of(const std::string& base) {
        const auto& twilio = config().twilio;
        const bool from_here = reach_of(reachable(config().api.host)) == Reach::loopback;
        if (twilio.public_url.empty() && !from_here) {
            return add(skipped("webhook", "without public_url it answers this machine only"));
        }
        const auto& known = twilio.public_url.empty() ? base : twilio.public_url;
        const auto signature = look_at_webhook(shard_, twilio, base, known, {});
        add(check_signature(signature));
        if (signature.with_right.error.empty()) {
            add(check_media_socket(look_at_media_socket(shard_, twilio, base, known, {})));
        }
    }

    // ── AI services ─────────────────────────────────────────────────────────────────────────────

    void look_at_services() {
        struct Seen {
            ServiceTrial trial;
            Service facts;
        };
        std::vector<Seen> seen;
        for (auto& role : ServiceTrial::roles(config().services)) {
            ServiceTrial trial{std::move(role), config().services, workers_};
            auto facts = trial.look(shard_);
            seen.push_back({std::move(trial), std::move(facts)});
        }
        const auto answers = [](const Service& facts) {
            return facts.made.empty() && !facts.error;
        };
        for (auto& one : seen) {
            for (const auto& other : seen) {
                const bool same_kind = &other != &one && other.facts.kind == one.facts.kind;
                if (same_kind && answers(other.facts)) one.facts.replaced = true;
            }
            add(check_service(one.facts));
        }
        if (!wanted_.call) return;
        const auto& agent = config().pipeline.agents.front();
        for (auto& one : seen) {
            if (!answers(one.facts)) continue;
            add(check_round_trip(
                one.trial.use(shard_, {agent.language, agent.system_prompt, what_callers_say()})
            ));
        }
    }

    /// Something that the configured conversation understands.
    std::string what_callers_say() const {
        const auto& services = config().services;
        if (services.llm_provider == "scripted") {
            const auto dialogue = services::load_dialogue(services.scripted.dialogue_file);
            // A phrase of several words is heard more surely than one.
            if (dialogue) {
                std::string longest;
                for (const auto& phrase : dialogue->phrases("en")) {
                    if (phrase.size() > longest.size() && phrase.size() < 40) longest = phrase;
                }
                if (!longest.empty()) return longest;
            }
        }
        return "hello, can you hear me?";
    }

    // ── a call ──────────────────────────────────────────────────────────────────────────────────

    void call() {
        // A real OpenSIPS cannot be made to call: it is played, into a server of our own.
        if (config().serves_rtp()) call_own_server("opensips");
        if (!config().serves_twilio()) return;
        if (!server_up_) return call_own_server("twilio");
        CallPlan plan{config(), "twilio", base_url(), what_callers_say(), {}, wanted_.ca_file};
        if (wanted_.internet && !config().twilio.public_url.empty()) {
            plan.url = config().twilio.public_url;
        }
        add(check_call(place_call(plan)));
    }

    void call_own_server(const std::string& via) {
        Call call;
        call.via = via;
        const bool rtp = via != "twilio";
        try {
            auto loaded = beside(loaded_);
            loaded.config.telephony.provider = via;
            Server server{loaded};
            server.start();
            CallPlan plan{loaded.config, via, {}, what_callers_say(), "127.0.0.1", {}};
            if (rtp) plan.phone_ip = phone_address();
            call = place_call(plan);
            server.stop();
        } catch (const std::exception& error) {
            call.error = error.what();
        }
        if (rtp) call.rtp_to = sdp_address_;
        add(check_call(call));
    }

    /// Where a phone on this machine sends to the address in SDP from.
    std::string phone_address() const {
        constexpr std::uint16_t any_port = 9;
        const auto remote = net::parse_endpoint(sdp_address_, any_port);
        if (!remote) return "127.0.0.1";
        const auto ours = net::source_address_towards(*remote);
        return ours ? ours->to_string() : "127.0.0.1";
    }

    config::Loaded loaded_;
    const Wanted wanted_;
    async::Shard shard_{0};
    async::WorkerPool workers_{2, 64};
    std::vector<Finding> findings_;
    bool server_up_{false};
    std::string instance_;     ///< of the server, or of what stands in for it
    std::string sdp_address_;  ///< what callers are told
};

}  // namespace

int doctor_command(std::span<const std::string_view> arguments) {
    const app::Options given{"doctor", arguments, options, 0};
    if (given.help()) {
        fmt::print("{}", help);
        return 0;
    }
    log::Settings quiet;
    quiet.level = log::Level::error;
    log::configure(quiet);
    std::signal(SIGPIPE, SIG_IGN);
    const config::Environment environment = config::process_environment();
    config::Loaded loaded = config::load(
        find_config_file(given.value("--config"), environment),
        environment,
        gcp_secrets(environment)
    );
    const Wanted wanted{
        given.has("--public"),
        given.has("--call"),
        given.has("--json"),
        std::string{given.value("--ca").value_or("")}};
    Doctor doctor{std::move(loaded), wanted};
    const auto findings = doctor.examine();
    fmt::print("{}", wanted.json ? to_json(findings) + "\n" : "\n" + summary(findings));
    return exit_status(findings, given.has("--strict"));
}

}  // namespace oavc::app
