#include "transports/rtp/local_address.hpp"

#include "net/udp.hpp"

namespace oavc::transports::rtp {

std::string local_address(const Config& config, std::initializer_list<std::string_view> towards) {
    constexpr std::uint16_t any_port = 9;  // nothing is sent: the system is asked for a route
    if (!config.advertised_ip.empty()) return config.advertised_ip;
    if (const auto bound = net::parse_endpoint(config.bind_ip, 0);
        bound && !bound->address().is_unspecified()) {
        return config.bind_ip;
    }
    for (const auto address : towards) {
        const auto remote = net::parse_endpoint(std::string{address}, any_port);
        if (!remote || remote->address().is_unspecified()) continue;
        if (const auto ours = net::source_address_towards(*remote)) return ours->to_string();
    }
    return "127.0.0.1";
}

}  // namespace oavc::transports::rtp
