#pragma once

#include "async/deadline.hpp"
#include "async/shard_pool.hpp"
#include "net/http_server.hpp"
#include "support/http.hpp"

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace oavc::test {

/// What fakes of WebSocket servers share: a port of the loopback that stays the same over stop()
/// and start(), on a thread of its own, and troubles that have nothing to do with the protocol.
/// Everything may be called from any thread but the server's. Destructors of fakes call stop().
class FakeSocketServer {
public:
    explicit FakeSocketServer(std::vector<std::string> paths) : paths_{std::move(paths)} {
        pool_.start();
    }
    FakeSocketServer(const FakeSocketServer&) = delete;
    FakeSocketServer& operator=(const FakeSocketServer&) = delete;
    virtual ~FakeSocketServer() { pool_.drain_and_join(); }

    std::uint16_t port() const { return port_; }
    std::string url(std::size_t path = 0) const { return local_url("ws", port_, paths_.at(path)); }

    /// The process dies, with all its connections …
    void stop() {
        stopping_ = true;
        if (server_) server_->stop();
        server_.reset();
    }
    /// … and comes back.
    void start() {
        stopping_ = false;
        net::HttpServer::Options options;
        options.host = "127.0.0.1";
        options.port = port_;
        options.websocket.max_message = 8 << 20;
        options.websocket.max_queued_bytes = 8 << 20;
        server_ = std::make_unique<net::HttpServer>(pool_, options);
        for (const auto& path : paths_) {
            server_->handle_websocket(
                path,
                [this](const net::HttpRequest& request) { return gate(request); },
                [this](async::Shard& shard, net::HttpRequest request, auto socket) {
                    return serve(shard, std::move(request), std::move(socket));
                }
            );
        }
        server_->start();
        port_ = server_->port();
    }

    /// Handshakes are answered with this status; 0: accepted.
    void refuse(int status) { refusal_ = status; }
    /// Connections are accepted by the kernel, and that is all, until thaw().
    void freeze(bool frozen = true) { frozen_ = frozen; }
    void thaw() { frozen_ = false; }
    /// Every handshake takes this long.
    void delay_handshakes(milliseconds delay) { handshake_delay_ = delay; }

    /// Handshakes so far, accepted or not.
    std::vector<net::HttpRequest> handshakes() const {
        const std::lock_guard lock{requests_mutex_};
        return requests_;
    }
    /// Connections open now, spares included.
    int open() const { return open_; }

protected:
    virtual asio::awaitable<void> serve(
        async::Shard& shard, net::HttpRequest request, std::unique_ptr<net::WebSocket> socket
    ) = 0;

    /// Counts a connection while it lives.
    class Open {
    public:
        explicit Open(FakeSocketServer& server) : server_{server} { ++server_.open_; }
        Open(const Open&) = delete;
        Open& operator=(const Open&) = delete;
        ~Open() { --server_.open_; }

    private:
        FakeSocketServer& server_;
    };

    /// Returns when the server is not frozen. False: it was stopped meanwhile.
    asio::awaitable<bool> thawed() {
        while (frozen_) {
            const bool go_on = co_await async::sleep_for(2ms);
            if (!go_on) co_return false;
        }
        co_return true;
    }

private:
    std::optional<net::HttpResponse> gate(const net::HttpRequest& request) {
        {
            const std::lock_guard lock{requests_mutex_};
            requests_.push_back(request);
        }
        const auto ready = Clock::now() + milliseconds{handshake_delay_};
        while (!stopping_ && (frozen_ || Clock::now() < ready))
            std::this_thread::sleep_for(1ms);
        if (refusal_ == 0) return std::nullopt;
        net::HttpResponse response;
        response.status = refusal_;
        response.body = R"({"err_code":"REFUSED","err_msg":"as the test wants it"})";
        return response;
    }

    const std::vector<std::string> paths_;
    std::uint16_t port_{0};
    std::atomic<bool> stopping_{false};
    std::atomic<bool> frozen_{false};
    std::atomic<int> refusal_{0};
    std::atomic<milliseconds> handshake_delay_{0ms};
    std::atomic<int> open_{0};
    mutable std::mutex requests_mutex_;
    std::vector<net::HttpRequest> requests_;
    async::ShardPool pool_{1};
    std::unique_ptr<net::HttpServer> server_;
};

}  // namespace oavc::test
