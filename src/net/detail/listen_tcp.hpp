#pragma once

#include "async/shard.hpp"
#include "base/result.hpp"
#include "net/tcp.hpp"

#include <boost/asio/ip/tcp.hpp>

#include <cstdint>
#include <string>

namespace oavc::net::detail {

/// Binds exclusively and listens. Errors: asio::error.
Result<asio::ip::tcp::acceptor> open_acceptor(
    async::Shard& shard, const std::string& address, std::uint16_t port
);

/// The next connection, TCP_NODELAY on; fills in whom it is from. Errors: asio::error.
asio::awaitable<Result<asio::ip::tcp::socket>> accept_tcp(
    asio::ip::tcp::acceptor& acceptor, AcceptedTcp& from
);

}  // namespace oavc::net::detail
