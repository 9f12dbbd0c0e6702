#pragma once

#include "async/awaitable.hpp"
#include "base/result.hpp"
#include "base/time.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include <utility>
#include <variant>

namespace oavc::async {

/// Waits `duration`. False when cancelled.
inline asio::awaitable<bool> sleep_for(Clock::duration duration) {
    asio::steady_timer timer{co_await asio::this_coro::executor, duration};
    auto [error] = co_await timer.async_wait(as_result);
    co_return !error;
}

/// The result of `work`, or asio::error::timed_out after `limit`; `work` is cancelled then and
/// waited for, so its references stay valid.
template <class T>
asio::awaitable<Result<T>> with_deadline(asio::awaitable<Result<T>> work, Clock::duration limit) {
    using namespace asio::experimental::awaitable_operators;
    asio::steady_timer timer{co_await asio::this_coro::executor, limit};
    auto outcome = co_await (std::move(work) || timer.async_wait(as_result));
    if (outcome.index() == 0) co_return std::move(std::get<0>(outcome));
    co_return error_code{asio::error::timed_out};
}

}  // namespace oavc::async
