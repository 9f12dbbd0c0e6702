#include "app/doctor/checks.hpp"

#include "base/random.hpp"
#include "services/errors.hpp"
#include "sip/text.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/network_v4.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace oavc::app::doctor {

namespace {

namespace asio = boost::asio;
namespace errc = boost::system::errc;

/// One event is a SIP message in JSON; every call may raise one in the same moment.
constexpr std::size_t event_bytes = 4096;
/// Files, logs, the HTTP server's connections, spare connections to the services.
constexpr std::size_t other_files = 128;

bool contains(const std::vector<std::string>& list, std::string_view text) {
    return std::find(list.begin(), list.end(), text) != list.end();
}

/// "10.0.0.9" of "10.0.0.9:8090" and of "[::1]:8090".
std::string_view host_of(std::string_view endpoint) noexcept {
    endpoint = endpoint.substr(0, endpoint.rfind(':'));
    if (endpoint.starts_with('[') && endpoint.ends_with(']')) {
        endpoint = endpoint.substr(1, endpoint.size() - 2);
    }
    return endpoint;
}

/// The peer that is farthest away decides.
Reach farthest(const std::vector<std::string>& peers) noexcept {
    Reach far = Reach::loopback;
    for (const auto& peer : peers) {
        const Reach reach = reach_of(peer);
        if (reach == Reach::internet || reach == Reach::documentation) return Reach::internet;
        if (reach == Reach::private_net) far = reach;
    }
    return far;
}

/// At most about sixty letters of it, whole words.
std::string shortened(const std::string& text) {
    constexpr std::size_t enough = 60;
    if (text.size() <= enough) return text;
    return text.substr(0, text.rfind(' ', enough)) + " …";
}

std::string ports_of(const transports::rtp::Config& rtp) {
    return fmt::format("{}–{}", rtp.port_start, rtp.port_end);
}

}  // namespace

// ── configuration ───────────────────────────────────────────────────────────────────────────────

std::vector<Finding> check_configuration(const config::Loaded& loaded) {
    const std::string check = "configuration";
    std::vector<Finding> findings;
    const std::string advice =
        fmt::format("correct {}; docs/configuration.md explains every key", loaded.file);
    for (const auto& problem : loaded.problems) {
        if (problem.severity == config::Severity::error) {
            findings.push_back(fault(check, to_string(problem, loaded.file), advice));
        } else if (problem.severity == config::Severity::warning) {
            findings.push_back(warning(check, to_string(problem, loaded.file), advice));
        }
    }
    if (findings.empty()) findings.push_back(fine(check, loaded.file + " has no problems"));
    return findings;
}

// ── addresses ───────────────────────────────────────────────────────────────────────────────────

Reach reach_of(std::string_view text) noexcept {
    error_code error;
    auto address = asio::ip::make_address(text, error);
    if (error) return Reach::none;
    if (address.is_v6() && address.to_v6().is_v4_mapped()) {
        address = asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
    }
    if (address.is_unspecified()) return Reach::unspecified;
    if (address.is_loopback()) return Reach::loopback;
    if (address.is_multicast()) return Reach::multicast;
    if (address.is_v6()) {
        const auto bytes = address.to_v6().to_bytes();
        if (address.to_v6().is_link_local()) return Reach::link_local;
        if ((bytes[0] & 0xFEu) == 0xFCu) return Reach::private_net;  // RFC 4193
        const bool example =
            bytes[0] == 0x20 && bytes[1] == 0x01 && bytes[2] == 0x0D && bytes[3] == 0xB8;
        return example ? Reach::documentation : Reach::internet;
    }
    struct Net {
        std::uint32_t prefix;
        unsigned bits;
        Reach reach;
    };
    constexpr std::array nets{
        Net{0x0A000000, 8, Reach::private_net},     // RFC 1918
        Net{0xAC100000, 12, Reach::private_net},    // RFC 1918
        Net{0xC0A80000, 16, Reach::private_net},    // RFC 1918
        Net{0x64400000, 10, Reach::private_net},    // RFC 6598
        Net{0xA9FE0000, 16, Reach::link_local},     // RFC 3927
        Net{0xC0000200, 24, Reach::documentation},  // RFC 5737, as the next two
        Net{0xC6336400, 24, Reach::documentation},
        Net{0xCB007100, 24, Reach::documentation},
    };
    const std::uint32_t number = address.to_v4().to_uint();
    for (const auto& net : nets) {
        if (number >> (32 - net.bits) == net.prefix >> (32 - net.bits)) return net.reach;
    }
    return Reach::internet;
}

std::string_view to_string(Reach reach) noexcept {
    switch (reach) {
        case Reach::none:
            return "no IP address";
        case Reach::unspecified:
            return "no address at all";
        case Reach::loopback:
            return "this machine only";
        case Reach::link_local:
            return "this network cable only";
        case Reach::private_net:
            return "private";
        case Reach::documentation:
            return "an address from an example";
        case Reach::multicast:
            return "multicast";
        case Reach::internet:
            return "public";
    }
    return "";
}

std::string address_in_sdp(const MediaAddress& facts) {
    if (!facts.rtp.advertised_ip.empty()) return facts.rtp.advertised_ip;
    if (reach_of(facts.rtp.bind_ip) != Reach::unspecified) return facts.rtp.bind_ip;
    return facts.default_route.empty() ? "127.0.0.1" : facts.default_route;
}

std::vector<Finding> check_media_address(const MediaAddress& facts) {
    const std::string check = "media address";
    const auto& rtp = facts.rtp;
    const std::string address = address_in_sdp(facts);
    const bool ours = contains(facts.around.addresses, address);
    const Reach reach = reach_of(address);
    const Reach bound = reach_of(rtp.bind_ip);
    const Reach peer = farthest(facts.peers);
    const std::string found = fmt::format(
        "callers are told {} ({}), from {}",
        address,
        to_string(reach),
        !rtp.advertised_ip.empty()    ? facts.origin.empty() ? "advertised_ip" : facts.origin
        : bound != Reach::unspecified ? "[telephony.rtp] bind_ip"
                                      : "the default route"
    );
    const std::string set_it =
        "set [telephony.rtp] advertised_ip, or RTP_HOST_IP, to the address that callers reach";

    switch (reach) {
        case Reach::none:
        case Reach::unspecified:
        case Reach::multicast:
        case Reach::documentation:
        case Reach::link_local:
            return {fault(check, found, set_it)};
        case Reach::loopback: {
            const std::string advice =
                "set [telephony.rtp] bind_ip = 0.0.0.0" +
                std::string{
                    rtp.advertised_ip.empty() ? ""
                                              : " and advertised_ip to the address "
                                                "that callers reach"};
            if (peer != Reach::loopback) {
                return {
                    fault(check, found + ": callers elsewhere would talk to themselves", advice)};
            }
            return {warning(check, found + ": nobody elsewhere can talk to it", advice)};
        }
        case Reach::private_net:
        case Reach::internet:
            break;
    }
    if (bound == Reach::loopback) {
        return {fault(
            check,
            fmt::format("{}, but audio is received on {} only", found, rtp.bind_ip),
            "set [telephony.rtp] bind_ip = 0.0.0.0"
        )};
    }
    if (ours && bound != Reach::unspecified && rtp.bind_ip != address) {
        return {fault(
            check,
            fmt::format("{}, but audio is received on {} only", found, rtp.bind_ip),
            fmt::format("set [telephony.rtp] bind_ip = 0.0.0.0, or to {}", address)
        )};
    }
    std::vector<Finding> findings;
    if (reach == Reach::private_net && peer == Reach::internet) {
        findings.push_back(warning(
            check,
            found + ", but OpenSIPS is on the internet: its callers cannot send there",
            set_it + "; not needed where OpenSIPS relays media (rtpengine, rtpproxy)"
        ));
    } else {
        findings.push_back(fine(
            check,
            ours ? found
                 : fmt::format(
                       "{}; not of this machine: UDP {} there must come here, same numbers",
                       found,
                       ports_of(rtp)
                   )
        ));
    }
    if (facts.comes_back && !*facts.comes_back) {
        findings.push_back(warning(
            "way to there",
            fmt::format("a packet from here to {} did not come in on our RTP port", address),
            fmt::format(
                "let UDP {} through the firewall and map it to this machine; some NATs work from "
                "outside only: then a call from there is the proof",
                ports_of(rtp)
            )
        ));
    } else if (facts.comes_back) {
        findings.push_back(
            fine("way to there", fmt::format("a packet to {} comes in on our RTP port", address))
        );
    }
    return findings;
}

Finding check_surroundings(const MediaAddress& facts) {
    const std::string check = "surroundings";
    const auto& around = facts.around;
    const std::string what = around.kubernetes ? "a Kubernetes pod" : "a Docker container";
    if (!around.docker && !around.kubernetes) return fine(check, "no container");
    if (!around.own_network) return fine(check, what + " with the host's network");
    const std::string ports = ports_of(facts.rtp);
    if (!facts.rtp.advertised_ip.empty()) {
        return fine(
            check,
            fmt::format(
                "{} with a network of its own: UDP {} must be mapped here, same numbers",
                what,
                ports
            )
        );
    }
    if (around.kubernetes) {
        return warning(
            check,
            what + " with a network of its own: callers outside the cluster cannot send audio here",
            "set hostNetwork: true and RTP_HOST_IP from status.hostIP (docs/networking.md), unless "
            "all peers are in the cluster"
        );
    }
    return warning(
        check,
        what + " with a network of its own: only its host reaches the address in SDP",
        fmt::format(
            "run it with --network host, or with -p {0}-{1}:{0}-{1}/udp and RTP_HOST_IP = the "
            "host's address",
            facts.rtp.port_start,
            facts.rtp.port_end
        )
    );
}

Finding check_event_address(const EventAddress& facts) {
    const std::string check = "event address";
    const std::string found =
        fmt::format("OpenSIPS at {} sends its events to {}", facts.mi_ip, facts.told);
    const Reach to = reach_of(host_of(facts.told));
    if (to == Reach::unspecified || to == Reach::multicast || to == Reach::documentation) {
        return fault(
            check,
            found + ", which is " + std::string{to_string(to)},
            "set [telephony.opensips] event_advertised to our address as OpenSIPS sees it, with "
            "the port"
        );
    }
    if (to == Reach::loopback && reach_of(facts.mi_ip) != Reach::loopback) {
        return fault(
            check,
            found + ": to itself",
            "set [telephony.opensips] event_ip = 0.0.0.0 and event_advertised to our address as "
            "OpenSIPS sees it, with the port"
        );
    }
    if (to != Reach::loopback && reach_of(facts.event_ip) == Reach::loopback) {
        return fault(
            check,
            fmt::format("{}, but they are received on {} only", found, facts.event_ip),
            "set [telephony.opensips] event_ip = 0.0.0.0"
        );
    }
    return fine(check, found);
}

Finding check_sip_address(const SipAddress& facts) {
    const std::string check = "sip address";
    const bool any = reach_of(facts.bind_ip) == Reach::unspecified;
    std::string told = facts.advertised;
    if (told.empty()) told = any ? "the address that faces them" : facts.bind_ip;
    const std::string found = fmt::format("SIP peers are told {}", told);
    Reach reach = reach_of(told);
    if (reach == Reach::none && !facts.advertised.empty()) reach = reach_of(host_of(told));
    const Reach peer = farthest(facts.peers);
    if (reach == Reach::unspecified || reach == Reach::multicast || reach == Reach::documentation ||
        (reach == Reach::loopback && peer != Reach::loopback)) {
        return fault(
            check,
            fmt::format("{} ({})", found, to_string(reach)),
            "set [telephony.sip] bind_ip = 0.0.0.0, and advertised to our address as peers see it"
        );
    }
    if (reach_of(facts.bind_ip) == Reach::loopback && reach != Reach::loopback) {
        return fault(
            check,
            fmt::format("{}, but SIP is received on {} only", found, facts.bind_ip),
            "set [telephony.sip] bind_ip = 0.0.0.0"
        );
    }
    if (peer == Reach::internet && any && facts.advertised.empty() &&
        reach_of(facts.default_route) == Reach::private_net) {
        return warning(
            check,
            fmt::format("{}: {}, which is private", found, facts.default_route),
            "set [telephony.sip] advertised to the public address"
        );
    }
    return fine(check, found);
}

// ── this machine ────────────────────────────────────────────────────────────────────────────────

Finding check_port(const Port& facts) {
    const std::string where = fmt::format("{} {}:{}", facts.protocol, facts.address, facts.port);
    if (facts.port == 0) return skipped(facts.check, facts.protocol + ": any free port");
    if (!facts.error) {
        if (!facts.server_up) return fine(facts.check, where + " is free");
        if (!facts.needed_now) return skipped(facts.check, where + " is not held by the server");
        return warning(
            facts.check,
            where + " is free, although the server runs",
            "restart the server: it runs with another configuration than this one"
        );
    }
    if (facts.error == asio::error::address_in_use) {
        const std::string by = facts.holder.empty() ? "" : " by " + facts.holder;
        if (facts.server_up) return fine(facts.check, where + " is held" + by);
        return fault(
            facts.check,
            fmt::format("{} is held{}", where, by.empty() ? " by another process" : by),
            fmt::format("stop that, or change {}", facts.key)
        );
    }
    if (facts.error == errc::address_not_available) {
        return fault(
            facts.check,
            fmt::format("{}: this machine has no such address", where),
            fmt::format(
                "bind to 0.0.0.0 or an own address ({}); a public address behind NAT belongs into "
                "the advertised one",
                facts.key
            )
        );
    }
    if (facts.error == asio::error::access_denied) {
        return fault(
            facts.check,
            fmt::format("{}: not allowed", where),
            fmt::format("ports below 1024 are the system's: change {}", facts.key)
        );
    }
    return fault(
        facts.check,
        fmt::format("{}: {}", where, facts.error.message()),
        fmt::format("change {}", facts.key)
    );
}

Finding check_rtp_range(const RtpRange& facts) {
    const std::string check = "rtp ports";
    const std::size_t capacity = facts.rtp.port_capacity();
    const std::string range = fmt::format("UDP {} {}", facts.rtp.bind_ip, ports_of(facts.rtp));
    if (facts.error) {
        return fault(
            check,
            fmt::format("{}: {}", range, facts.error.message()),
            "set [telephony.rtp] bind_ip to 0.0.0.0 or an address of this machine, and "
            "advertised_ip to the one that callers reach"
        );
    }
    const std::string needed = fmt::format("[limits] max_calls is {}", facts.max_calls);
    if (capacity < facts.max_calls) {
        return fault(
            check,
            fmt::format("{} holds {} calls, but {}", range, capacity, needed),
            "widen [telephony.rtp] port_start to port_end, or lower max_calls"
        );
    }
    if (facts.server_up) {
        return fine(
            check,
            fmt::format("{} holds {} calls; {} pairs in use", range, capacity, facts.taken.size())
        );
    }
    const std::size_t left = capacity - std::min(capacity, facts.taken.size());
    if (left < facts.max_calls) {
        return fault(
            check,
            fmt::format(
                "{}: others hold {} of {} pairs ({}, …), and {}",
                range,
                facts.taken.size(),
                capacity,
                facts.taken.front(),
                needed
            ),
            "move [telephony.rtp] port_start and port_end to free ports"
        );
    }
    if (!facts.taken.empty()) {
        return warning(
            check,
            fmt::format(
                "{} holds {} calls; others hold {} pairs ({}, …)",
                range,
                left,
                facts.taken.size(),
                facts.taken.front()
            ),
            "they are passed over; another range in [telephony.rtp] is safer"
        );
    }
    return fine(check, fmt::format("{} are free and hold {} calls", range, capacity));
}

Finding check_file_limit(const FileLimit& facts) {
    const std::string check = "open files";
    const std::size_t needed = facts.max_calls * facts.sockets_per_call + other_files;
    const std::string found =
        fmt::format("{} may be open; {} calls need about {}", facts.hard, facts.max_calls, needed);
    if (facts.hard >= needed) return fine(check, found);
    return fault(
        check,
        found,
        fmt::format(
            "raise the hard limit (LimitNOFILE={0} for systemd, --ulimit nofile={0} for Docker), "
            "or lower [limits] max_calls",
            needed
        )
    );
}

Finding check_event_buffer(const EventBuffer& facts) {
    const std::string check = "event buffer";
    const std::size_t needed = facts.max_calls * event_bytes;
    const auto kib = [](std::size_t bytes) { return (bytes + 1023) / 1024; };
    const std::string found = fmt::format(
        "the kernel queues {} KiB; an event of each of {} calls takes {} KiB",
        kib(facts.granted),
        facts.max_calls,
        kib(needed)
    );
    if (facts.granted >= needed) return fine(check, found);
    return warning(check, found, fmt::format("sysctl -w net.core.rmem_max={}", needed));
}

Finding check_clock(const ClockFacts& facts) {
    const std::string check = "clock";
    constexpr std::chrono::seconds much{60};
    constexpr std::chrono::seconds little{5};
    if (facts.ahead && std::chrono::abs(*facts.ahead) > little) {
        const auto off = std::chrono::abs(*facts.ahead);
        const std::string found = fmt::format(
            "{} s {} that of {}",
            off.count(),
            facts.ahead->count() > 0 ? "ahead of" : "behind",
            facts.compared_with
        );
        const std::string advice = "synchronise it: timedatectl set-ntp true, or chrony";
        return off > much ? fault(check, found + ": TLS and tokens fail", advice)
                          : warning(check, found, advice);
    }
    if (facts.ahead) return fine(check, "agrees with that of " + facts.compared_with);
    if (!facts.synchronised) return skipped(check, "the kernel does not tell whether it is right");
    if (*facts.synchronised) return fine(check, "synchronised");
    return warning(
        check,
        "nothing keeps it right here, as far as the kernel knows",
        "run chrony or systemd-timesyncd, unless the host of this machine sets it"
    );
}

// ── peers ───────────────────────────────────────────────────────────────────────────────────────

namespace {

void collect(
    const boost::json::value& value,
    std::string_view name,
    bool wanted,
    int depth,
    std::vector<std::string>& out
) {
    constexpr int deepest = 8;
    if (depth > deepest) return;
    if (const auto* object = value.if_object()) {
        for (const auto& [key, member] : *object)
            collect(member, name, name.empty() || key == name, depth + 1, out);
    } else if (const auto* array = value.if_array()) {
        for (const auto& item : *array)
            collect(item, name, wanted, depth + 1, out);
    } else if (const auto* text = value.if_string(); text != nullptr && wanted) {
        out.emplace_back(*text);
    }
}

/// OpenSIPS 4 says "b2b_entities:ua_session_reply".
bool has_command(const std::vector<std::string>& commands, std::string_view name) {
    return std::any_of(commands.begin(), commands.end(), [name](const std::string& command) {
        return command == name || command.ends_with(":" + std::string{name});
    });
}

}  // namespace

std::optional<std::vector<std::string>> strings_in(std::string_view answer, std::string_view name) {
    error_code error;
    const auto document = boost::json::parse(answer, error);
    if (error || !document.is_object()) return std::nullopt;
    const auto* result = document.get_object().if_contains("result");
    if (result == nullptr) return std::nullopt;
    std::vector<std::string> out;
    collect(*result, name, name.empty(), 0, out);
    return out;
}

std::vector<Finding> check_mi(const Mi& facts) {
    const std::string check = "opensips";
    if (!facts.error.empty()) {
        return {fault(
            check,
            fmt::format("no answer at UDP {}: {}", facts.endpoint, facts.error),
            "start OpenSIPS, and set [telephony.opensips] mi_ip and mi_port to its mi_datagram "
            "socket (modparam(\"mi_datagram\", \"socket_name\", \"udp:IP:PORT\"))"
        )};
    }
    std::vector<Finding> findings;
    findings.push_back(fine(
        check,
        fmt::format(
            "{} answers at UDP {}{}",
            facts.version.empty() ? "its management interface" : facts.version,
            facts.endpoint,
            facts.up_since.empty() ? "" : ", up since " + facts.up_since
        )
    ));
    if (facts.commands) {
        std::string missing;
        for (const std::string_view command :
             {"event_subscribe", "ua_session_reply", "ua_session_update", "ua_session_terminate"}) {
            if (has_command(*facts.commands, command)) continue;
            missing.append(missing.empty() ? "" : ", ").append(command);
        }
        findings.push_back(
            missing.empty() ? fine("ua sessions", "its commands are there")
                            : fault(
                                  "ua sessions",
                                  "OpenSIPS does not know " + missing,
                                  "add loadmodule \"b2b_entities.so\" to opensips.cfg (OpenSIPS "
                                  "3.6 or later)"
                              )
        );
    }
    if (facts.events && !contains(*facts.events, "E_UA_SESSION")) {
        findings.push_back(fault(
            "events",
            "OpenSIPS has no event E_UA_SESSION",
            "add loadmodule \"b2b_entities.so\" to opensips.cfg (OpenSIPS 3.6 or later)"
        ));
        return findings;
    }
    if (facts.server_up && facts.subscribers) {
        if (contains(*facts.subscribers, facts.expected)) {
            findings.push_back(fine("events", "our server is subscribed as " + facts.expected));
        } else {
            findings.push_back(fault(
                "events",
                facts.subscribers->empty() ? "nobody is subscribed, although our server runs"
                                           : fmt::format(
                                                 "{} is not subscribed; {} is",
                                                 facts.expected,
                                                 fmt::join(*facts.subscribers, ", ")
                                             ),
                "see the server's log: it must reach this OpenSIPS, with this configuration"
            ));
        }
        return findings;
    }
    if (facts.subscribe_error) {
        findings.push_back(
            facts.subscribe_error->empty()
                ? fine("events", "E_UA_SESSION can be subscribed to")
                : fault(
                      "events",
                      "OpenSIPS refuses the subscription: " + *facts.subscribe_error,
                      "add loadmodule \"event_datagram.so\" to opensips.cfg"
                  )
        );
    }
    return findings;
}

std::string options_request(std::string_view to, std::string_view from) {
    const std::string id = random_hex(8);
    return fmt::format(
        "OPTIONS sip:{0} SIP/2.0\r\n"
        "Via: SIP/2.0/UDP {1};branch=z9hG4bK{2};rport\r\n"
        "Max-Forwards: 1\r\n"
        "From: <sip:doctor@{1}>;tag={2}\r\n"
        "To: <sip:{0}>\r\n"
        "Call-ID: {2}\r\n"
        "CSeq: 1 OPTIONS\r\n"
        "Contact: <sip:doctor@{1}>\r\n"
        "Content-Length: 0\r\n\r\n",
        to,
        from,
        id
    );
}

int status_of(std::string_view response) noexcept {
    constexpr std::string_view version = "SIP/2.0 ";
    if (!response.starts_with(version)) return 0;
    return sip::parse_number<int>(response.substr(version.size(), 3)).value_or(0);
}

Finding check_options(const Options& facts) {
    const std::string check = "sip " + facts.protocol;
    const std::string where = fmt::format("{} {}", facts.protocol, facts.endpoint);
    if (!facts.error.empty()) {
        if (!facts.from_allowed_peer) {
            return skipped(check, where + " does not answer us: we are not in allowed_peers");
        }
        return fault(
            check,
            fmt::format("no answer to OPTIONS at {}: {}", where, facts.error),
            "restart the server with this configuration; see [telephony.sip] allowed_peers"
        );
    }
    const auto found = fmt::format("{} answers OPTIONS with {}", where, facts.status);
    if (facts.status == 200) return fine(check, found);
    return warning(check, found, "503 means full or draining: see /health/ready");
}

std::vector<Finding> check_public_url(const PublicUrl& facts) {
    const std::string check = "public url";
    if (facts.url.empty()) {
        return {warning(
            check,
            "none: only this machine can call",
            "set [telephony.twilio] public_url to the https address that Twilio calls"
        )};
    }
    if (!facts.url.starts_with("https://")) {
        return {warning(
            check,
            facts.url + " is not https: Twilio opens media sockets over TLS only",
            "put a TLS proxy in front and name its https address in [telephony.twilio] public_url"
        )};
    }
    if (!facts.resolve_error.empty()) {
        return {fault(
            check,
            fmt::format("{}: no address: {}", facts.url, facts.resolve_error),
            "correct [telephony.twilio] public_url, or the name's DNS entry"
        )};
    }
    std::vector<Finding> findings;
    const auto known = [](const std::string& address) {
        const Reach reach = reach_of(address);
        return reach == Reach::internet || reach == Reach::none;
    };
    if (std::none_of(facts.addresses.begin(), facts.addresses.end(), known)) {
        findings.push_back(fault(
            check,
            fmt::format(
                "{} is {}: Twilio cannot reach that", facts.url, fmt::join(facts.addresses, ", ")
            ),
            "give the name a public address, or use a tunnel's name in [telephony.twilio] "
            "public_url"
        ));
    }
    if (!facts.asked) {
        if (findings.empty()) {
            findings.push_back(fine(
                check,
                fmt::format(
                    "{} is {}; --public asks there", facts.url, fmt::join(facts.addresses, ", ")
                )
            ));
        }
        return findings;
    }
    const auto& answer = facts.health;
    if (!answer.error.empty()) {
        findings.push_back(fault(
            check,
            fmt::format("{} does not answer: {}", facts.url, answer.error),
            "start the proxy or tunnel that leads here, and let TCP 443 in"
        ));
    } else if (facts.instance.empty() || answer.body.find(facts.instance) != std::string::npos) {
        findings.push_back(
            answer.status == 200 ? fine(check, facts.url + " leads here")
                                 : warning(
                                       check,
                                       fmt::format("{} answers with {}", facts.url, answer.status),
                                       "let the proxy forward all paths, /health/live too"
                                   )
        );
    } else if (answer.body.find("\"instance\"") != std::string::npos) {
        findings.push_back(warning(
            check,
            facts.url + " leads to another oavc than the one here",
            "fine behind a load balancer; else point the proxy to this machine"
        ));
    } else {
        findings.push_back(fault(
            check,
            fmt::format("{} leads to something else: status {}", facts.url, answer.status),
            "point the proxy, ingress or tunnel to our HTTP port ([api] port)"
        ));
    }
    return findings;
}

Finding check_signature(const Signature& facts) {
    const std::string check = facts.through_public_url ? "public webhook" : "webhook";
    if (!facts.with_right.error.empty()) {
        return fault(
            check,
            fmt::format("{} does not answer: {}", facts.url, facts.with_right.error),
            "start the server, or the proxy in front of it"
        );
    }
    if (!facts.validated) {
        return warning(
            check,
            "signatures are not checked: anybody can make calls",
            "set [telephony.twilio] validate_signatures = true"
        );
    }
    const int right = facts.with_right.status;
    const int wrong = facts.with_wrong.status;
    // What we ask carries no call: past the signature that is a bad request.
    if (right == 400 && wrong == 403) {
        return fine(check, facts.url + " takes what Twilio signs and refuses what it does not");
    }
    if (right == 403) {
        return fault(
            check,
            facts.url + " refuses a request that is signed as Twilio does",
            "restart the server with this configuration: its auth_token or public_url differ"
        );
    }
    if (right == 400) {
        return fault(
            check,
            fmt::format("{} answers {} to a wrong signature", facts.url, wrong),
            "set [telephony.twilio] validate_signatures = true and restart the server"
        );
    }
    return fault(
        check,
        fmt::format("{} answers {}: not our webhook", facts.url, right),
        "let the proxy forward POST / to our HTTP port unchanged; number's webhook: URL with the "
        "slash"
    );
}

Finding check_media_socket(const MediaSocket& facts) {
    const std::string check = "media socket";
    if (facts.error.empty()) return fine(check, facts.url + " opens");
    if (facts.status == 403) {
        return fault(
            check,
            facts.url + " refuses a socket that is signed as Twilio does",
            "restart the server with this configuration: its auth_token or public_url differ"
        );
    }
    return fault(
        check,
        facts.status != 0 ? fmt::format("{} answers {}", facts.url, facts.status)
                          : fmt::format("{}: {}", facts.url, facts.error),
        "let the proxy forward WebSocket upgrades of /ws (headers Upgrade and Connection, HTTP/1.1)"
    );
}

Finding check_account(const Account& facts) {
    const std::string check = "twilio account";
    const std::string keys = "[telephony.twilio] account_sid and auth_token";
    if (facts.sid.empty()) return skipped(check, "no account_sid: not checked");
    if (!facts.asked) return skipped(check, "--public asks Twilio about " + facts.sid);
    const auto& answer = facts.answer;
    if (!answer.error.empty()) {
        return warning(
            check,
            "Twilio's REST interface does not answer: " + answer.error,
            "let TCP 443 out to api.twilio.com: transfers and outgoing calls need it"
        );
    }
    if (answer.status == 401 || answer.status == 403) {
        return fault(check, "Twilio does not know this SID with this token", "correct " + keys);
    }
    if (answer.status == 404) {
        return fault(check, "Twilio has no account " + facts.sid, "correct " + keys);
    }
    if (answer.status != 200) {
        return warning(
            check, fmt::format("Twilio answers {}", answer.status), "see status.twilio.com"
        );
    }
    if (answer.body.find("\"suspended\"") != std::string::npos ||
        answer.body.find("\"closed\"") != std::string::npos) {
        return fault(check, facts.sid + " is not active", "see Twilio's console");
    }
    return fine(check, facts.sid + " and its token are right");
}

// ── AI services ─────────────────────────────────────────────────────────────────────────────────

namespace {

std::string advice_for(const Service& facts) {
    const std::string section = fmt::format("[{}.{}]", facts.kind, facts.provider);
    const std::string page = fmt::format("docs/providers/{}.md", facts.provider);
    if (!facts.connection.empty()) {
        return fmt::format("start it, or correct {} url; see {}", section, page);
    }
    if (facts.error == services::ServiceErrc::rejected) {
        return fmt::format("correct the key or the model in {}; see {}", section, page);
    }
    return fmt::format("see {} and the server's own log", page);
}

}  // namespace

Finding check_service(const Service& facts) {
    const std::string check = facts.kind + (facts.fallback ? " fallback" : "");
    std::string who = facts.provider;
    if (!facts.where.empty()) who += " " + facts.where;
    if (!facts.made.empty()) {
        return fault(
            check,
            fmt::format("{} cannot be used: {}", who, facts.made),
            fmt::format("see docs/providers/{}.md", facts.provider)
        );
    }
    if (!facts.error) {
        return fine(
            check,
            facts.where.empty() ? who + " is ready, in this process"
                                : fmt::format("{} answers ({:.0f} ms)", who, facts.took.count())
        );
    }
    const std::string found = fmt::format(
        "{} does not answer: {}",
        who,
        facts.connection.empty() ? facts.error.message() : facts.connection
    );
    if (facts.fallback) return warning(check, found, advice_for(facts));
    if (facts.replaced) {
        return warning(check, found + "; the fallback does its work", advice_for(facts));
    }
    return fault(check, found, advice_for(facts));
}

Finding check_round_trip(const RoundTrip& facts) {
    const std::string check = facts.kind + " trial";
    if (facts.error) {
        return fault(
            check,
            fmt::format(
                "{} failed on \"{}\": {}", facts.provider, facts.asked, facts.error.message()
            ),
            fmt::format("see docs/providers/{}.md and its own log", facts.provider)
        );
    }
    if (facts.answered.empty()) {
        return warning(
            check,
            fmt::format("{} made nothing of \"{}\"", facts.provider, facts.asked),
            fmt::format(
                "see docs/providers/{}.md: is its model for [agent] language?", facts.provider
            )
        );
    }
    return fine(
        check,
        fmt::format(
            "{} made \"{}\" of \"{}\", beginning after {:.0f} ms",
            facts.provider,
            facts.answered,
            facts.asked,
            facts.first.count()
        )
    );
}

// ── a call ──────────────────────────────────────────────────────────────────────────────────────

std::vector<Finding> check_call(const Call& facts) {
    const std::string check = facts.via + " call";
    const auto& report = facts.report;
    if (!facts.error.empty() || !report.answered) {
        return {fault(
            check,
            "was not answered: " + (facts.error.empty() ? report.result : facts.error),
            "the lines above tell why; else see the server's log"
        )};
    }
    std::vector<Finding> findings;
    findings.push_back(fine(check, fmt::format("answered after {:.0f} ms", report.setup_ms)));

    const std::string out = "  to the caller";
    std::string heard;
    std::string understood;
    for (const auto& turn : report.turns) {
        if (heard.empty()) heard = turn.connector_said;
        if (understood.empty()) understood = turn.caller_said;
    }
    if (report.rtp.received == 0) {
        findings.push_back(fault(
            out,
            "no audio came",
            facts.rtp_to.empty() ? "see the server's log"
                                 : "let UDP out from " + facts.rtp_to + " to callers"
        ));
    } else if (report.heard_ms == 0) {
        findings.push_back(fault(
            out,
            fmt::format("{} packets came, all silent", report.rtp.received),
            "the lines about tts above tell why"
        ));
    } else if (!facts.rtp_to.empty() && !report.rtp.from.empty() &&
               host_of(report.rtp.from) != facts.rtp_to) {
        findings.push_back(warning(
            out,
            fmt::format("audio comes from {}, but SDP says {}", report.rtp.from, facts.rtp_to),
            "phones and firewalls may drop that: let the NAT send from the advertised address"
        ));
    } else {
        findings.push_back(fine(
            out,
            heard.empty() ? fmt::format("{:.1f} s of speech heard", report.heard_ms / 1000)
                          : fmt::format("heard \"{}\"", shortened(heard))
        ));
    }

    const std::string in = "  from the caller";
    if (understood.empty()) {
        findings.push_back(fault(
            in,
            fmt::format("nothing was understood of {} packets", report.rtp.sent),
            facts.rtp_to.empty()
                ? "the lines about stt above tell why"
                : fmt::format(
                      "UDP must come in at {}: firewall, port mapping, [telephony.rtp] "
                      "advertised_ip; if it does, see stt above",
                      facts.rtp_to
                  )
        ));
    } else {
        findings.push_back(fine(in, fmt::format("understood \"{}\"", understood)));
    }
    if (report.result != "ok" && count(findings, Finding::Verdict::fault) == 0) {
        findings.push_back(
            warning(check, report.result, "oavc call plays the same call and shows where time went")
        );
    }
    return findings;
}

}  // namespace oavc::app::doctor
