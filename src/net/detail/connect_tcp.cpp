#include "net/detail/connect_tcp.hpp"

#include "async/deadline.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/steady_timer.hpp>

#include <memory>
#include <utility>
#include <vector>

namespace oavc::net::detail {

using asio::ip::tcp;

namespace {

/// A look-up runs in getaddrinfo, which nothing can interrupt: whoever waits may leave, the answer
/// then comes to this state and goes with it.
struct LookUp : std::enable_shared_from_this<LookUp> {
    explicit LookUp(const asio::any_io_executor& executor) : resolver{executor}, signal{executor} {}

    void start(const std::string& host, std::uint16_t port) {
        resolver.async_resolve(
            host,
            std::to_string(port),
            [self =
                 shared_from_this()](const error_code& failed, tcp::resolver::results_type found) {
                self->done = true;
                self->error = failed;
                for (const auto& entry : found)
                    self->endpoints.push_back(entry.endpoint());
                self->signal.cancel();
            }
        );
    }

    tcp::resolver resolver;
    asio::steady_timer signal;  ///< expires at the caller's deadline, cancelled by the answer
    bool done{false};
    error_code error;
    std::vector<tcp::endpoint> endpoints;
};

asio::awaitable<Result<std::vector<tcp::endpoint>>> resolve(
    const asio::any_io_executor& executor,
    const std::string& host,
    std::uint16_t port,
    TimePoint deadline
) {
    std::vector<tcp::endpoint> endpoints;
    error_code not_numeric;
    const auto address = asio::ip::make_address(host, not_numeric);
    if (!not_numeric) {
        endpoints.emplace_back(address, port);
        co_return endpoints;
    }
    const auto look_up = std::make_shared<LookUp>(executor);
    look_up->signal.expires_at(deadline);
    look_up->start(host, port);
    if (!look_up->done) co_await look_up->signal.async_wait(as_result);
    if (!look_up->done) {
        look_up->resolver.cancel();
        const bool late = Clock::now() >= deadline;
        co_return error_code{late ? asio::error::timed_out : asio::error::operation_aborted};
    }
    if (look_up->error) co_return look_up->error;
    co_return std::move(look_up->endpoints);
}

asio::awaitable<Result<tcp::socket>> connect_any(
    asio::any_io_executor executor, std::vector<tcp::endpoint> endpoints
) {
    tcp::socket socket{executor};
    auto [error, chosen] = co_await asio::async_connect(socket, endpoints, as_result);
    if (error) co_return error;
    error_code ignored;
    socket.set_option(tcp::no_delay{true}, ignored);
    co_return socket;
}

}  // namespace

asio::awaitable<Result<tcp::socket>> connect_tcp(
    asio::any_io_executor executor, std::string host, std::uint16_t port, TimePoint deadline
) {
    auto endpoints = co_await resolve(executor, host, port, deadline);
    if (endpoints.has_error()) co_return endpoints.error();
    auto connecting = connect_any(executor, std::move(*endpoints));
    co_return co_await async::with_deadline(std::move(connecting), deadline - Clock::now());
}

}  // namespace oavc::net::detail
