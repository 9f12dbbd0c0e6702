#include "app/doctor/checks.hpp"
#include "app/doctor/text.hpp"

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/network_v4.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace oavc::app::doctor {

namespace {

namespace asio = boost::asio;

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

}  // namespace

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

}  // namespace oavc::app::doctor
