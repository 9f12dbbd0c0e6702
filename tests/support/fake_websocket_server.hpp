#pragma once

// What fakes of WebSocket servers have in common: a real server on a loopback port and a thread of
// its own, and the ways in which servers fail. Knobs may be turned from any thread but the server's
// at any time and hold for what begins after that.
//
//     server.refuse(503);        // handshakes get this status; refuse(0): no more
//     server.freeze();           // like SIGSTOP: connections open, nothing answers; thaw()
//     server.stop();             // port closed, connections reset; start(): same port again
//     server.trouble({.delay = 300ms, .stall_after = 3});   // of what is sent by answer()

#include "async/deadline.hpp"
#include "net/http_server.hpp"
#include "support/connection_count.hpp"
#include "support/freezer.hpp"
#include "support/http.hpp"

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace oavc::test {

/// How a server misbehaves in each answer. Counts are messages of the answer.
struct Trouble {
    milliseconds delay{0};                   ///< before the first message
    milliseconds pause{0};                   ///< between messages
    std::optional<std::size_t> stall_after;  ///< then nothing, the connection stays open
    std::optional<std::size_t> close_after;  ///< then a close frame …
    std::uint16_t close_code{1011};          ///< … with this code
    std::optional<std::size_t> drop_after;   ///< then the TCP connection is reset
    bool garbage{false};                     ///< text that is no JSON, before every message
};

class FakeWebSocketServer {
public:
    FakeWebSocketServer(const FakeWebSocketServer&) = delete;
    FakeWebSocketServer& operator=(const FakeWebSocketServer&) = delete;

    std::string url(std::size_t path = 0) const { return local_url("ws", port_, paths_.at(path)); }
    std::uint16_t port() const { return port_; }

    void start() {
        net::HttpServer::Options options;
        options.host = "127.0.0.1";
        options.port = port_;
        options.websocket.max_message = 8u << 20;
        options.websocket.max_queued_bytes = 64u << 20;
        server_ = std::make_unique<net::HttpServer>(pool_, options);
        for (const auto& path : paths_) {
            server_->handle_websocket(
                path,
                [this](const net::HttpRequest& request) { return gate(request); },
                [this](async::Shard&, net::HttpRequest request, auto socket) {
                    return run(this, std::move(request), std::move(socket));
                }
            );
        }
        server_->start();
        port_ = server_->port();
    }
    void stop() {
        thaw();
        if (server_) server_->stop();
        server_.reset();
    }

    void refuse(int status) { refuse_with_ = status; }
    void freeze() { freezer_.freeze(pool_[0]); }
    void thaw() { freezer_.thaw(); }
    void trouble(const Trouble& trouble) {
        const std::lock_guard lock{mutex_};
        trouble_ = trouble;
    }

    /// Spares included.
    const ConnectionCount& connections() const { return connections_; }
    /// Handshakes so far, accepted or not.
    std::vector<net::HttpRequest> handshakes() const {
        const std::lock_guard lock{mutex_};
        return handshakes_;
    }

protected:
    explicit FakeWebSocketServer(std::vector<std::string> paths) : paths_{std::move(paths)} {
        pool_.start();
    }
    /// Derived classes stop() in their destructors: their handlers end before they do.
    ~FakeWebSocketServer() { pool_.drain_and_join(); }

    /// One connection, until it ends.
    virtual asio::awaitable<void> serve(
        const net::HttpRequest& handshake, net::WebSocket& socket
    ) = 0;

    /// A status to refuse this handshake with; 0: welcome.
    virtual int check(const net::HttpRequest& request) {
        static_cast<void>(request);
        return 0;
    }

    Trouble current_trouble() const {
        const std::lock_guard lock{mutex_};
        return trouble_;
    }

    struct Outgoing {
        std::string data;
        bool binary{false};
    };

    /// Sends an answer with the trouble of the moment. False: the connection is of no more use.
    asio::awaitable<bool> answer(net::WebSocket& socket, std::vector<Outgoing> messages) {
        const auto how = current_trouble();
        if (how.delay > 0ms) co_await async::sleep_for(how.delay);
        for (std::size_t sent = 0; sent <= messages.size(); ++sent) {
            if (how.stall_after == sent) {
                co_await until_closed(socket);
                co_return false;
            }
            if (how.close_after == sent) {
                co_await socket.close(how.close_code, "trouble");
                co_return false;
            }
            if (how.drop_after == sent) co_return false;
            if (sent == messages.size()) break;
            if (how.pause > 0ms && sent > 0) co_await async::sleep_for(how.pause);
            if (how.garbage) socket.send_text("{\"this is\": not JSON");
            const auto& message = messages[sent];
            const bool taken =
                message.binary ? socket.send_binary(message.data) : socket.send_text(message.data);
            if (!taken) co_return false;
        }
        co_return true;
    }

    static asio::awaitable<void> until_closed(net::WebSocket& socket) {
        for (;;) {
            const auto message = co_await socket.read();
            if (!message) co_return;
        }
    }

    mutable std::mutex mutex_;  ///< of derived classes' knobs too

private:
    std::optional<net::HttpResponse> gate(const net::HttpRequest& request) {
        {
            const std::lock_guard lock{mutex_};
            handshakes_.push_back(request);
        }
        const int status = refuse_with_ != 0 ? refuse_with_.load() : check(request);
        if (status == 0) return std::nullopt;
        net::HttpResponse refusal;
        refusal.status = status;
        refusal.body = R"({"err_code":"REFUSED","err_msg":"as the test wants it"})";
        return refusal;
    }

    static asio::awaitable<void> run(
        FakeWebSocketServer* self,
        net::HttpRequest handshake,
        std::unique_ptr<net::WebSocket> socket
    ) {
        const ConnectionCount::Open open{self->connections_};
        co_await self->serve(handshake, *socket);
    }

    const std::vector<std::string> paths_;
    std::uint16_t port_{0};
    std::atomic<int> refuse_with_{0};
    Trouble trouble_;
    ConnectionCount connections_;
    std::vector<net::HttpRequest> handshakes_;
    Freezer freezer_;
    async::ShardPool pool_{1};
    std::unique_ptr<net::HttpServer> server_;
};

}  // namespace oavc::test
