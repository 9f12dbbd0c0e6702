#include "app/banner.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace oavc::app {

namespace {

/// An address that a client on this machine can use.
std::string reachable(const std::string& host) {
    if (host == "0.0.0.0" || host == "::" || host.empty()) return "127.0.0.1";
    return host.find(':') == std::string::npos ? host : "[" + host + "]";
}

class Lines {
public:
    explicit Lines(std::string first) : text_{std::move(first)} {}

    void add(std::string_view name, std::string_view what) {
        text_ += fmt::format("  {:<10}{}\n", name, what);
    }
    std::string take() { return std::move(text_); }

private:
    std::string text_;
};

std::string opensips_line(const config::Config& c) {
    return fmt::format(
        "events on udp {}:{}, commands to {}:{}",
        c.opensips.event_ip,
        c.opensips.event_port,
        c.opensips.mi_ip,
        c.opensips.mi_port
    );
}

std::string sip_line(const config::Config& c) {
    std::string what =
        fmt::format("udp{} {}:{}", c.sip.tcp ? " and tcp" : "", c.sip.bind_ip, c.sip.port);
    if (c.sip.tls_port != 0) what += fmt::format(", tls on port {}", c.sip.tls_port);
    what += fmt::format(", for {}", fmt::join(c.sip.allowed_peers, ", "));
    if (!c.sip.registrar.empty()) what += ", registered at " + c.sip.registrar;
    if (!c.sip.proxy.empty()) what += ", calls out through " + c.sip.proxy;
    return what;
}

std::string twilio_line(const config::Config& c, const std::string& base) {
    return fmt::format(
        "webhook POST {}/, media on /ws{}",
        c.twilio.public_url.empty() ? base : c.twilio.public_url,
        c.twilio.validate_signatures ? "" : "; SIGNATURES ARE NOT CHECKED"
    );
}

std::string https_line(const config::Config& c, std::uint16_t port) {
    return fmt::format(
        "the same on port {} of {}{}",
        port,
        c.api.tls_host.empty() ? c.api.host : c.api.tls_host,
        c.api.tls_verify_client ? ", for clients with a certificate" : ""
    );
}

}  // namespace

std::string banner(const Running& running) {
    const config::Config& c = running.config;
    const auto listens = [&running](std::string_view carrier) {
        return std::ranges::find(running.carriers, carrier) != running.carriers.end();
    };
    const bool opensips = listens("opensips");
    const bool sip = listens("sip");
    const bool twilio = listens("twilio");
    const std::string base = fmt::format("http://{}:{}", reachable(c.api.host), running.http_port);

    Lines lines{fmt::format("oavc {}, configuration {}\n", OAVC_VERSION, running.file)};
    if (opensips) lines.add("opensips", opensips_line(c));
    if (sip) lines.add("sip", sip_line(c));
    if (opensips || sip) {
        const auto& rtp = c.rtp;
        lines.add(
            "rtp", fmt::format("{} ports {} to {}", rtp.bind_ip, rtp.port_start, rtp.port_end)
        );
    }
    if (twilio) lines.add("twilio", twilio_line(c, base));
    if (!c.pipeline.outgoing.dial_allowed.empty()) {
        lines.add(
            "outgoing",
            running.can_dial ? "oavc dial NUMBER, or POST /api/v1/calls"
                             : "NO CARRIER CAN PLACE CALLS: see oavc check-config"
        );
    }
    lines.add("http", base + ", with /health/ready, /metrics and /api/v1/calls");
    if (running.https_port != 0) lines.add("https", https_line(c, running.https_port));
    lines.add("speech", fmt::format("{} → {} → {}", running.stt, running.llm, running.tts));
    lines.add("vad", running.vad);
    if (c.pipeline.agents.size() > 1) {
        for (const pipeline::AgentConfig& agent : c.pipeline.agents)
            lines.add(
                "agent",
                agent.name +
                    (agent.match.empty() ? " for all other numbers" : " for " + agent.match)
            );
    }
    lines.add(
        "limits",
        fmt::format(
            "{} calls on {} shards, {} workers",
            c.pipeline.limits.max_calls,
            running.shards,
            running.workers
        )
    );
    if (opensips || twilio) {
        const auto* const via = opensips ? "opensips" : "twilio";
        lines.add("try", fmt::format("oavc call -c {} --via {}", running.file, via));
    }
    return lines.take();
}

}  // namespace oavc::app
