#include "services/detail/warm_websocket.hpp"

#include "async/deadline.hpp"
#include "async/signal.hpp"
#include "base/random.hpp"
#include "net/http_client.hpp"
#include "services/detail/stream_error.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>

#include <algorithm>
#include <cstdint>
#include <utility>

namespace oavc::services {

namespace {

constexpr Clock::duration first_wait = 250ms;
constexpr Clock::duration longest_wait = 10s;

/// Half to all of it, so that the calls of a dead server do not come back in step.
Clock::duration with_jitter(Clock::duration wait) {
    return wait / 2 + wait / 2 * (random_u32() % 1000) / 1000;
}

}  // namespace

struct WarmWebSocket::State {
    State(async::Shard& on, Options with)
        : shard{on},
          options{std::move(with)},
          wanted{shard.executor()},
          answered{shard.executor()} {}

    async::Shard& shard;
    const Options options;
    async::Signal wanted;    ///< somebody takes
    async::Signal answered;  ///< `handed` or `error` is set
    bool taking{false};
    std::uint64_t latest_taker{0};
    bool parked{false};
    std::unique_ptr<net::WebSocket> handed;
    error_code error;

    /// Keeps a spare; hands it over when somebody takes.
    static asio::awaitable<void> supply(std::shared_ptr<State> self);
    asio::awaitable<bool> park(net::WebSocket& socket);
};

/// Reads, so that pings are answered and a close is noticed. False: the connection is dead.
asio::awaitable<bool> WarmWebSocket::State::park(net::WebSocket& socket) {
    using namespace asio::experimental::awaitable_operators;
    parked = true;
    while (!taking) {
        auto outcome = co_await (socket.read() || wanted.wait());
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

asio::awaitable<void> WarmWebSocket::State::supply(std::shared_ptr<State> self) {
    using namespace asio::experimental::awaitable_operators;
    const auto& endpoint = self->options.endpoint;
    Clock::duration wait = first_wait;
    for (;;) {
        auto socket = co_await net::websocket_connect(
            self->shard,
            endpoint.url,
            self->options.headers,
            endpoint.connect_timeout,
            self->options.limits,
            endpoint.ca_file
        );
        const auto cancelled = co_await asio::this_coro::cancellation_state;
        if (cancelled.cancelled() != asio::cancellation_type::none) co_return;
        if (socket) {
            const auto opened = Clock::now();
            const bool alive = co_await self->park(**socket);
            if (alive) {
                self->handed = std::move(*socket);
                self->taking = false;
                self->answered.notify();
                wait = first_wait;
                continue;
            }
            if (Clock::now() - opened > longest_wait) wait = first_wait;
        } else if (self->taking) {
            self->error = service_error(socket.error());
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
struct WarmWebSocket::Returned {
    std::unique_ptr<net::WebSocket> socket;  ///< null once taken or dead

    /// Reads, as with a spare.
    static asio::awaitable<void> listen(std::shared_ptr<Returned> self) {
        while (self->socket) {
            const auto message = co_await self->socket->read();
            if (!message) self->socket.reset();
        }
    }
};

WarmWebSocket::WarmWebSocket(async::Shard& shard, Options options)
    : state_{std::make_shared<State>(shard, std::move(options))},
      // An exception here is a bug or memory running out: the call goes on without a spare.
      background_{shard.executor(), [](std::exception_ptr) {}} {
    background_.spawn(State::supply(state_));
}

WarmWebSocket::~WarmWebSocket() = default;

bool WarmWebSocket::warm() const noexcept { return state_->parked; }

asio::awaitable<Result<std::unique_ptr<net::WebSocket>>> WarmWebSocket::take() {
    if (returned_) {
        returned_reader_.reset();
        const auto returned = std::exchange(returned_, nullptr);
        if (returned->socket) co_return std::move(returned->socket);
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

void WarmWebSocket::give_back(std::unique_ptr<net::WebSocket> socket) {
    returned_ = std::make_shared<Returned>();
    returned_->socket = std::move(socket);
    returned_reader_.emplace(state_->shard.executor(), [](std::exception_ptr) {});
    returned_reader_->spawn(Returned::listen(returned_));
}

}  // namespace oavc::services
