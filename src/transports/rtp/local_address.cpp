#include "transports/rtp/local_address.hpp"

#include "net/udp.hpp"

namespace oavc::transports::rtp {

namespace {

/// An address that no route but the default one leads to (RFC 5737).
constexpr std::string_view elsewhere = "192.0.2.1";

}  // namespace

std::string local_address(const Config& config, std::initializer_list<std::string_view> towards) {
    constexpr std::uint16_t any_port = 9;  // nothing is sent: the system is asked for a route
    if (!config.advertised_ip.empty()) return config.advertised_ip;
    if (const auto bound = net::parse_endpoint(config.bind_ip, 0);
        bound && !bound->address().is_unspecified()) {
        return config.bind_ip;
    }
    const auto route_towards = [](std::string_view address) -> std::string {
        const auto remote = net::parse_endpoint(std::string{address}, any_port);
        if (!remote || remote->address().is_unspecified()) return {};
        const auto ours = net::source_address_towards(*remote);
        return ours ? ours->to_string() : std::string{};
    };
    for (const auto address : towards) {
        if (auto ours = route_towards(address); !ours.empty()) return ours;
    }
    const auto by_default = route_towards(elsewhere);
    return by_default.empty() ? "127.0.0.1" : by_default;
}

}  // namespace oavc::transports::rtp
