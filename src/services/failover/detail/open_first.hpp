#pragma once

#include "async/awaitable.hpp"
#include "async/deadline.hpp"
#include "base/result.hpp"
#include "services/errors.hpp"
#include "services/failover/detail/choice.hpp"

#include <boost/asio/this_coro.hpp>

#include <cstddef>
#include <functional>
#include <utility>

namespace oavc::services {

/// A session gives all of open() three seconds; each candidate gets its share.
inline constexpr Clock::duration time_to_open = 2800ms;

template <class Opened>
struct FirstOpened {
    std::size_t index;
    Opened opened;
};

/// Opens a call's stream or session with the first candidate that can be opened. Errors: the last
/// candidate's; unavailable when every breaker is open. Cancellable. `choice` outlives the wait.
template <class Opened>
asio::awaitable<Result<FirstOpened<Opened>>> open_first(
    Choice& choice, std::function<asio::awaitable<Result<Opened>>(std::size_t index)> open
) {
    error_code last = make_error_code(ServiceErrc::unavailable);
    const auto limit = time_to_open / choice.size();
    Choice::Asked asked;
    while (auto picked = choice.pick(asked, Clock::now())) {
        auto opening = open(picked->index);
        auto opened = co_await async::with_deadline(std::move(opening), limit);
        const auto cancelled = co_await asio::this_coro::cancellation_state;
        if (cancelled.cancelled() != asio::cancellation_type::none) {
            co_return make_error_code(ServiceErrc::cancelled);
        }
        if (opened) {
            picked->attempt.withdraw();
            co_return FirstOpened<Opened>{picked->index, std::move(*opened)};
        }
        last = fault(opened.error());
        const auto now = Clock::now();
        picked->attempt.failed(last, now);
        choice.let_down(picked->index, now);
    }
    co_return last;
}

}  // namespace oavc::services
