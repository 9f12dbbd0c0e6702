#pragma once

#include "async/awaitable.hpp"
#include "base/time.hpp"

#include <boost/asio/steady_timer.hpp>

namespace oavc::async {

/// Wakes coroutines that wait for a condition which the waker made true. Spurious wake-ups happen:
/// wait in a loop over the condition. Thread: one.
class Signal {
public:
    explicit Signal(asio::any_io_executor executor) : timer_{std::move(executor)} {
        timer_.expires_at(asio::steady_timer::time_point::max());
    }
    void notify() { timer_.cancel(); }

    /// Returns at the next notify(), or when cancelled (false then).
    asio::awaitable<bool> wait() {
        co_await timer_.async_wait(as_result);
        const auto state = co_await asio::this_coro::cancellation_state;
        co_return state.cancelled() == asio::cancellation_type::none;
    }

    /// Returns at `deadline` too. For one waiter at a time.
    asio::awaitable<bool> wait_until(TimePoint deadline) {
        timer_.expires_at(deadline);
        const bool go_on = co_await wait();
        timer_.expires_at(asio::steady_timer::time_point::max());
        co_return go_on;
    }

private:
    asio::steady_timer timer_;
};

}  // namespace oavc::async
