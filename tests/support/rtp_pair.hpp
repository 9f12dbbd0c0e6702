#pragma once

#include "net/media_socket.hpp"
#include "support/fake_opensips.hpp"
#include "transports/rtp/rtp_ports.hpp"

#include <boost/asio/ip/address.hpp>

#include <cstdint>
#include <stdexcept>

namespace oavc::test {

/// Two sockets for a leg, on ports that were free a moment ago.
inline transports::rtp::RtpPortPair rtp_pair(const char* host = "127.0.0.1") {
    const auto address = boost::asio::ip::make_address(host);
    for (int attempt = 0; attempt < 100; ++attempt) {
        const auto any = UdpPeer{}.port();
        if (any > 65'000) continue;
        const auto even = static_cast<std::uint16_t>((any + 1) / 2 * 2);
        transports::rtp::RtpPorts ports{address, even, static_cast<std::uint16_t>(even + 1)};
        if (auto pair = ports.allocate(TimePoint{})) return std::move(*pair);
    }
    throw std::runtime_error{"no two neighbouring ports for a test"};
}

}  // namespace oavc::test
