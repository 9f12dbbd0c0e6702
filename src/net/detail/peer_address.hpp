#pragma once

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <algorithm>
#include <string>

namespace oavc::net::detail {

/// IPv4 that came in IPv6's clothes is IPv4.
inline boost::asio::ip::address plain_address(const boost::asio::ip::address& address) {
    if (!address.is_v6() || !address.to_v6().is_v4_mapped()) return address;
    return boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, address.to_v6());
}

/// Who counts as one: an IPv4 address, or the /64 that an IPv6 host has to itself.
inline std::string source_of(const boost::asio::ip::tcp::endpoint& peer) {
    const auto address = plain_address(peer.address());
    if (address.is_v4()) return address.to_string();
    auto bytes = address.to_v6().to_bytes();
    std::fill(bytes.begin() + 8, bytes.end(), static_cast<unsigned char>(0));
    return boost::asio::ip::address_v6{bytes}.to_string();
}

}  // namespace oavc::net::detail
