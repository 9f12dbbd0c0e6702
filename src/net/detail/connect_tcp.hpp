#pragma once

#include "async/awaitable.hpp"
#include "base/result.hpp"
#include "base/time.hpp"

#include <boost/asio/ip/tcp.hpp>

#include <cstdint>
#include <string>

namespace oavc::net::detail {

/// Looks the name up and connects to the first of its addresses that answers. TCP_NODELAY is on.
/// Errors: asio::error (host_not_found, connection_refused, timed_out …).
asio::awaitable<Result<asio::ip::tcp::socket>> connect_tcp(
    asio::any_io_executor executor, std::string host, std::uint16_t port, TimePoint deadline
);

}  // namespace oavc::net::detail
