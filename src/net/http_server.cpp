#include "net/http_server.hpp"

#include "async/run_blocking.hpp"
#include "async/task_group.hpp"
#include "base/assert.hpp"
#include "net/detail/client_hello.hpp"
#include "net/detail/http_connection.hpp"
#include "net/detail/http_serving.hpp"
#include "net/detail/listen_http.hpp"
#include "net/detail/moving_socket.hpp"
#include "net/detail/peer_address.hpp"
#include "net/detail/tls_state.hpp"
#include "net/tls.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include <stdexcept>

namespace oavc::net {

using asio::ip::tcp;
using detail::count;
using detail::HttpLane;
using detail::MovingSocket;

struct HttpServer::Impl {
    enum class Spoken { plain, tls };

    Impl(async::ShardPool& pool, Options given)
        : shards{pool},
          serving{.options = std::move(given)},
          acceptor{pool[0].context()},
          tls_acceptor{pool[0].context()} {
        const auto report = [this](std::exception_ptr error) {
            serving.log_exception(error, "connection");
        };
        for (std::size_t i = 0; i < pool.size(); ++i) {
            auto poller = detail::SocketPoller::make(pool[i].context());
            serving.lanes.emplace_back(new HttpLane{
                .shard = pool[i],
                .tasks = {pool[i].executor(), report},
                .poller = std::move(poller)});
        }
        accepting = std::make_unique<async::TaskGroup>(pool[0].executor(), report);
    }

    // --- accepting: shard 0 ---

    asio::awaitable<void> accept_loop(tcp::acceptor* from, Spoken spoken) {
        asio::steady_timer pause{from->get_executor()};
        log::RateLimit complaints{std::chrono::seconds{10}};
        for (;;) {
            auto [error, socket] = co_await from->async_accept(as_result);
            if (error == asio::error::operation_aborted) co_return;
            if (error) {  // out of descriptors, or the peer left already
                if (complaints.allow(Clock::now())) {
                    serving.log.warn("cannot accept a connection", log::kv("error", error));
                }
                pause.expires_after(milliseconds{20});
                co_await pause.async_wait(as_result);
                continue;
            }
            error_code ignored;
            const auto peer = socket.remote_endpoint(ignored);
            auto place = serving.places.take(detail::source_of(peer));
            if (!place) {
                const bool full = place.error() == ConnectionPlaces::Refusal::full;
                count(full ? serving.counters.refused : serving.counters.refused_source);
                if (complaints.allow(Clock::now())) {
                    serving.log.warn(
                        full ? "connection refused: too many"
                             : "connection refused: too many of this source",
                        log::kv("peer", peer.address().to_string()),
                        log::kv("more", complaints.suppressed())
                    );
                }
                continue;
            }
            count(serving.counters.accepted);
            auto moving = MovingSocket::leave(std::move(socket), peer.protocol());
            if (moving) deal(std::move(*moving), peer, spoken, std::move(*place));
        }
    }

    /// To the next shard in turn.
    void deal(
        MovingSocket moving, const tcp::endpoint& peer, Spoken spoken, ConnectionPlaces::Place place
    ) {
        auto& lane = *serving.lanes[next_lane++ % serving.lanes.size()];
        lane.shard.post([this, &lane, peer, spoken, m = std::move(moving), p = std::move(place)](
                        ) mutable {
            auto socket = m.arrive(lane.shard.context());
            if (!socket) return;
            error_code ignored;
            socket->set_option(tcp::no_delay{true}, ignored);
            const auto serve = spoken == Spoken::tls ? detail::serve_https : detail::serve_http;
            lane.tasks.spawn(serve(serving, lane, std::move(*socket), peer, std::move(p)));
        });
    }

    asio::awaitable<void> stop_accepting() {
        accepting->cancel();
        error_code ignored;
        acceptor.close(ignored);
        tls_acceptor.close(ignored);
        co_await accepting->join();
    }

    // --- certificates: main ---

    std::shared_ptr<const TlsContext> load_certificates() const {
        try {
            auto context = std::make_shared<const TlsContext>(serving.options.tls->identity);
            detail::stop_at_client_hello(context->state().server.native_handle());
            return context;
        } catch (const std::runtime_error& error) {
            throw std::runtime_error{fmt::format("[api] {}", error.what())};
        }
    }
    void set_context(const std::shared_ptr<const TlsContext>& context) {
        for (auto& lane : serving.lanes)
            lane->shard.post([&tls = lane->tls, context] { tls = context; });
    }

    async::ShardPool& shards;  ///< given to us
    detail::HttpServing serving;

    // state
    tcp::acceptor acceptor;
    tcp::acceptor tls_acceptor;  ///< open if TLS is served
    tcp::endpoint bound;
    tcp::endpoint tls_bound;
    std::unique_ptr<async::TaskGroup> accepting;
    std::size_t next_lane{0};  ///< shard 0's
    bool started{false};
    bool stopped{false};
};

HttpServer::HttpServer(async::ShardPool& shards, Options options)
    : impl_{std::make_unique<Impl>(shards, std::move(options))} {}

HttpServer::~HttpServer() { stop(); }

void HttpServer::handle(std::string method, std::string path, HttpHandler handler) {
    OAVC_ASSERT(!impl_->started);
    impl_->serving.routes.add({std::move(method), std::move(path), false, std::move(handler), {}});
}

void HttpServer::handle_prefix(std::string method, std::string prefix, HttpHandler handler) {
    OAVC_ASSERT(!impl_->started && prefix.ends_with('/'));
    impl_->serving.routes.add({std::move(method), std::move(prefix), true, std::move(handler), {}});
}

void HttpServer::handle_long(std::string method, std::string path, HttpLongHandler handler) {
    OAVC_ASSERT(!impl_->started);
    impl_->serving.routes.add({std::move(method), std::move(path), false, {}, std::move(handler)});
}

void HttpServer::handle_websocket(
    std::string path, WebSocketGate gate, WebSocketHandler handler, std::optional<std::size_t> shard
) {
    OAVC_ASSERT(!impl_->started && shard.value_or(0) < impl_->serving.lanes.size());
    impl_->serving.routes.add_websocket(
        std::move(path), {std::move(gate), std::move(handler), shard}
    );
}

void HttpServer::start() {
    auto& impl = *impl_;
    OAVC_ASSERT(!impl.started);
    if (impl.serving.options.tls) {
        impl.set_context(impl.load_certificates());
        const auto& tls = *impl.serving.options.tls;
        impl.tls_bound =
            detail::listen_http(impl.tls_acceptor, tls.host, tls.port, "tls_host", "tls_port");
    }
    impl.bound = detail::listen_http(
        impl.acceptor, impl.serving.options.host, impl.serving.options.port, "host", "port"
    );
    impl.started = true;
    impl.shards[0].post([&impl] {
        impl.accepting->spawn(impl.accept_loop(&impl.acceptor, Impl::Spoken::plain));
        if (!impl.serving.options.tls) return;
        impl.accepting->spawn(impl.accept_loop(&impl.tls_acceptor, Impl::Spoken::tls));
    });
}

std::uint16_t HttpServer::port() const noexcept { return impl_->bound.port(); }
std::uint16_t HttpServer::tls_port() const noexcept { return impl_->tls_bound.port(); }

void HttpServer::reload_certificates() {
    if (impl_->serving.options.tls) impl_->set_context(impl_->load_certificates());
}

void HttpServer::stop() {
    auto& impl = *impl_;
    if (!impl.started || impl.stopped) return;
    impl.stopped = true;
    async::run_blocking(impl.shards[0], impl.stop_accepting());
    for (auto& lane : impl.serving.lanes) {
        lane->shard.post([&tasks = lane->tasks] { tasks.cancel(); });
    }
    // Twice: what the last connections to end sent to another shard has arrived there then.
    for (int round = 0; round < 2; ++round) {
        for (auto& lane : impl.serving.lanes)
            async::run_blocking(lane->shard, lane->tasks.join());
    }
}

std::vector<std::pair<std::string, std::string>> HttpServer::routes() const {
    return impl_->serving.routes.list();
}

HttpServer::Stats HttpServer::stats() const noexcept {
    auto stats = impl_->serving.counters.read();
    stats.open = impl_->serving.places.open();
    return stats;
}

}  // namespace oavc::net
