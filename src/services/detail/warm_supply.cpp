#include "services/detail/warm_supply.hpp"

#include "async/deadline.hpp"
#include "async/signal.hpp"
#include "base/random.hpp"
#include "net/tcp.hpp"
#include "net/websocket.hpp"
#include "services/detail/stream_error.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>

#include <algorithm>
#include <cstdint>
#include <utility>

namespace oavc::services {

namespace {

constexpr Clock::duration first_wait = 250ms;
constexpr Clock::duration longest_wait = 10s;

}  // namespace

template <class C>
struct WarmSupply<C>::State {
    State(async::Shard& on, Connect with)
        : shard{on},
          connect{std::move(with)},
          wanted{shard.executor()},
          answered{shard.executor()} {}

    async::Shard& shard;
    const Connect connect;
    async::Signal wanted;    ///< somebody takes
    async::Signal answered;  ///< `handed` or `error` is set
    bool taking{false};
    std::uint64_t latest_taker{0};
    bool parked{false};
    std::unique_ptr<C> handed;
    error_code error;

    /// Keeps a spare; hands it over when somebody takes.
    static asio::awaitable<void> supply(std::shared_ptr<State> self);
    asio::awaitable<bool> park(C& connection);
};

/// Reads, so that pings are answered and a close is noticed. False: the connection is dead.
template <class C>
asio::awaitable<bool> WarmSupply<C>::State::park(C& connection) {
    using namespace asio::experimental::awaitable_operators;
    parked = true;
    while (!taking) {
        auto outcome = co_await (connection.read() || wanted.wait());
        if (const auto* message = std::get_if<0>(&outcome); message != nullptr && !*message) {
            parked = false;
            co_return false;
        }
        const auto cancelled = co_await asio::this_coro::cancellation_state;
        if (cancelled.cancelled() != asio::cancellation_type::none) co_return false;
    }
    parked = false;
    co_return true;
}

template <class C>
asio::awaitable<void> WarmSupply<C>::State::supply(std::shared_ptr<State> self) {
    using namespace asio::experimental::awaitable_operators;
    Clock::duration wait = first_wait;
    for (;;) {
        const bool asked_for = self->taking;
        auto connection = co_await self->connect(self->shard);
        const auto cancelled = co_await asio::this_coro::cancellation_state;
        if (cancelled.cancelled() != asio::cancellation_type::none) co_return;
        if (connection) {
            const auto opened = Clock::now();
            const bool alive = co_await self->park(**connection);
            if (alive) {
                self->handed = std::move(*connection);
                self->taking = false;
                self->answered.notify();
                wait = first_wait;
                continue;
            }
            if (Clock::now() - opened > longest_wait) wait = first_wait;
        } else if (self->taking && (asked_for || connection.error() == asio::error::timed_out)) {
            // A refusal from before somebody took is no answer to him: the server may be back.
            self->error = service_error(connection.error());
            self->taking = false;
            self->answered.notify();
        }
        // Nobody waits while somebody takes.
        if (!self->taking) {
            co_await (async::sleep_for(with_jitter(wait)) || self->wanted.wait());
            wait = std::min(wait * 2, longest_wait);
        }
    }
}

/// Came back, and waits to be taken again.
template <class C>
struct WarmSupply<C>::Returned {
    std::unique_ptr<C> connection;  ///< null once taken or dead

    /// Reads, as with a spare.
    static asio::awaitable<void> listen(std::shared_ptr<Returned> self) {
        while (self->connection) {
            const auto message = co_await self->connection->read();
            if (!message) self->connection.reset();
        }
    }
};

template <class C>
WarmSupply<C>::WarmSupply(async::Shard& shard, Connect connect)
    : state_{std::make_shared<State>(shard, std::move(connect))},
      // An exception here is a bug or memory running out: the call goes on without a spare.
      background_{shard.executor(), [](std::exception_ptr) {}} {
    background_.spawn(State::supply(state_));
}

template <class C>
WarmSupply<C>::~WarmSupply() = default;

template <class C>
bool WarmSupply<C>::warm() const noexcept {
    return state_->parked;
}

template <class C>
asio::awaitable<Result<std::unique_ptr<C>>> WarmSupply<C>::take() {
    if (returned_) {
        returned_reader_.reset();
        const auto returned = std::exchange(returned_, nullptr);
        if (returned->connection) co_return std::move(returned->connection);
    }
    const auto state = state_;  // outlives us while we wait
    state->error = {};
    state->taking = true;
    state->wanted.notify();
    const auto me = ++state->latest_taker;
    while (state->taking) {
        const bool go_on = co_await state->answered.wait();
        // Somebody else may take already when a cancelled taker wakes up.
        if (state->latest_taker != me) co_return make_error_code(ServiceErrc::cancelled);
        if (!go_on) {
            state->taking = false;
            state->handed.reset();
            co_return make_error_code(ServiceErrc::cancelled);
        }
    }
    if (!state->handed) co_return state->error;
    co_return std::move(state->handed);
}

template <class C>
void WarmSupply<C>::give_back(std::unique_ptr<C> connection) {
    returned_ = std::make_shared<Returned>();
    returned_->connection = std::move(connection);
    returned_reader_.emplace(state_->shard.executor(), [](std::exception_ptr) {});
    returned_reader_->spawn(Returned::listen(returned_));
}

template class WarmSupply<net::WebSocket>;
template class WarmSupply<net::TcpStream>;

}  // namespace oavc::services
