#pragma once

#include <boost/asio/ip/tcp.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace oavc::net::detail {

/// Opens `acceptor`, binds and listens, exclusively. Throws std::runtime_error with what to do;
/// `host_key` and `port_key` of [api] say it.
boost::asio::ip::tcp::endpoint listen_http(
    boost::asio::ip::tcp::acceptor& acceptor,
    const std::string& host,
    std::uint16_t port,
    std::string_view host_key,
    std::string_view port_key
);

}  // namespace oavc::net::detail
