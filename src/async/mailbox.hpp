#pragma once

#include "async/awaitable.hpp"
#include "base/result.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include <cstddef>
#include <deque>
#include <utility>

namespace oavc::async {

/// Queue from plain calls to one waiting coroutine, both on one thread. At most `bound` items;
/// what to do when `try_push` says no is the producer's decision (and counter).
template <class T>
class Mailbox {
public:
    Mailbox(asio::any_io_executor executor, std::size_t bound)
        : filled_{std::move(executor)}, bound_{bound} {
        filled_.expires_at(asio::steady_timer::time_point::max());
    }

    /// False when full or closed.
    bool try_push(T item) {
        if (closed_ || items_.size() >= bound_) return false;
        items_.push_back(std::move(item));
        filled_.cancel();
        return true;
    }

    /// Drops the oldest item when full; returns false then. For live data where new beats old.
    bool push_or_drop_oldest(T item) {
        if (closed_) return false;
        const bool dropped = items_.size() >= bound_;
        if (dropped) items_.pop_front();
        items_.push_back(std::move(item));
        filled_.cancel();
        return !dropped;
    }

    /// No more items: `pop` drains what is left, then fails with `reason`.
    void close(error_code reason = asio::error::eof) {
        if (closed_) return;
        closed_ = true;
        reason_ = reason;
        filled_.cancel();
    }

    /// The next item. Fails with the reason of `close`, or operation_aborted when cancelled. One
    /// waiter at a time.
    asio::awaitable<Result<T>> pop() {
        while (items_.empty()) {
            if (closed_) co_return reason_;
            co_await filled_.async_wait(as_result);
            const auto state = co_await asio::this_coro::cancellation_state;
            if (state.cancelled() != asio::cancellation_type::none) {
                co_return error_code{asio::error::operation_aborted};
            }
        }
        T item = std::move(items_.front());
        items_.pop_front();
        co_return item;
    }

    /// The next item if one is there.
    bool try_pop(T& item) {
        if (items_.empty()) return false;
        item = std::move(items_.front());
        items_.pop_front();
        return true;
    }

    void clear() { items_.clear(); }
    std::size_t size() const noexcept { return items_.size(); }
    bool closed() const noexcept { return closed_; }

private:
    asio::steady_timer filled_;  ///< cancelled when an item comes in
    std::deque<T> items_;
    const std::size_t bound_;
    bool closed_{false};
    error_code reason_;
};

}  // namespace oavc::async
