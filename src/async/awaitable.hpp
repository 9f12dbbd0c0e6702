#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace oavc {

namespace asio = boost::asio;

/// `auto [ec, n] = co_await socket.async_receive(buffer, as_result);`
inline constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

}  // namespace oavc
