#include "services/detail/warm_websocket.hpp"

#include "async/deadline.hpp"
#include "async/signal.hpp"
#include "async/task_group.hpp"
#include "net/http_server.hpp"
#include "services/errors.hpp"
#include "support/await.hpp"
#include "support/http.hpp"

#include <boost/asio/ip/tcp.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <optional>

namespace oavc::services {
namespace {

/// Greets, then echoes; "die" makes it drop the connection.
asio::awaitable<void> serve(
    async::Shard&, net::HttpRequest, std::unique_ptr<net::WebSocket> socket, std::atomic<int>* open
) {
    ++*open;
    socket->send_text("welcome");
    for (;;) {
        const auto message = co_await socket->read();
        if (message.has_error()) break;
        const std::string copy{message->data};
        if (copy == "die") break;
        socket->send_text(copy);
    }
    --*open;
}

asio::awaitable<Result<int>> never() {
    async::Signal nothing{co_await asio::this_coro::executor};
    co_await nothing.wait();
    co_return 0;
}

asio::awaitable<void> take_into(WarmWebSocket* warm, error_code* outcome) {
    const auto socket = co_await warm->take();
    if (outcome != nullptr) *outcome = socket.has_error() ? socket.error() : error_code{};
}

class WarmWebSocketTest : public ::testing::Test {
protected:
    void start_server(std::uint16_t port = 0) {
        net::HttpServer::Options options;
        options.host = "127.0.0.1";
        options.port = port;
        server_ = std::make_unique<net::HttpServer>(pool_, options);
        std::atomic<int>* const open = &open_;
        server_->handle_websocket(
            "/",
            [](const net::HttpRequest&) { return std::nullopt; },
            [open](async::Shard& shard, net::HttpRequest request, auto socket) {
                return serve(shard, std::move(request), std::move(socket), open);
            }
        );
        server_->start();
    }
    void SetUp() override { pool_.start(); }
    void TearDown() override {
        if (server_) server_->stop();
        run_until([this] { return open_ == 0; });
        shard_.context().restart();
        shard_.context().run_for(1s);  // background work ends
        pool_.drain_and_join();
    }

    WarmWebSocket::Options options() const {
        WarmWebSocket::Options made;
        made.endpoint.url = test::local_url("ws", server_ ? server_->port() : 1, "/");
        return made;
    }
    void run_until(const std::function<bool()>& done) {
        const auto give_up = Clock::now() + 30s;
        while (!done() && Clock::now() < give_up) {
            shard_.context().restart();
            shard_.context().run_one_for(10ms);
        }
        EXPECT_TRUE(done());
    }

    std::atomic<int> open_{0};
    async::ShardPool pool_{1};
    async::Shard shard_{9};
    std::unique_ptr<net::HttpServer> server_;
};

TEST_F(WarmWebSocketTest, TheSpareIsOpenBeforeAnybodyAsks) {
    start_server();
    WarmWebSocket warm{shard_, options()};
    run_until([&] { return warm.warm(); });
    const auto socket = test::value_of(shard_, warm.take());
    run_until([&] { return warm.warm(); });
    run_until([&] { return open_ == 2; });  // one in use, one in reserve
}

TEST_F(WarmWebSocketTest, ATakenSocketBelongsToTheTaker) {
    start_server();
    WarmWebSocket warm{shard_, options()};
    const auto socket = test::value_of(shard_, warm.take());
    socket->send_text("hello");
    std::string said;
    do {
        said = std::string{test::value_of(shard_, socket->read()).data};
    } while (said == "welcome");  // still unread when it was taken at once
    EXPECT_EQ(said, "hello");
}

TEST_F(WarmWebSocketTest, ARefusedConnectionIsToldAtOnce) {
    WarmWebSocket warm{shard_, options()};
    const auto socket = test::result_of(shard_, warm.take());
    EXPECT_EQ(socket.error(), ServiceErrc::unavailable);
}

TEST_F(WarmWebSocketTest, AServerThatComesBackIsUsedAgain) {
    start_server();
    const auto port = server_->port();
    WarmWebSocket warm{shard_, options()};
    run_until([&] { return warm.warm(); });
    server_->stop();
    run_until([&] { return !warm.warm(); });
    EXPECT_TRUE(test::result_of(shard_, warm.take()).has_error());
    start_server(port);
    run_until([&] { return warm.warm(); });
    EXPECT_TRUE(test::result_of(shard_, warm.take()).has_value());
}

TEST_F(WarmWebSocketTest, ACancelledTakeLeavesTheSpareForTheNext) {
    start_server();
    WarmWebSocket warm{shard_, options()};
    const auto late = test::result_of(shard_, async::with_deadline(warm.take(), 0ms));
    EXPECT_TRUE(late.has_error());
    EXPECT_TRUE(test::result_of(shard_, warm.take()).has_value());
}

TEST_F(WarmWebSocketTest, ANewTakerNeedNotWaitForACancelledOneToWakeUp) {
    // Connects and never shakes hands.
    asio::ip::tcp::acceptor mute{shard_.context(), {asio::ip::address_v4::loopback(), 0}};
    auto slow = options();
    slow.endpoint.url = test::local_url("ws", mute.local_endpoint().port(), "/");
    slow.endpoint.connect_timeout = 200ms;
    WarmWebSocket warm{shard_, slow};
    async::TaskGroup old{shard_.executor(), [](std::exception_ptr) {}};
    old.spawn(take_into(&warm, nullptr));
    shard_.context().poll();  // it waits now
    error_code outcome;
    async::TaskGroup young{shard_.executor(), [](std::exception_ptr) {}};
    old.cancel();
    young.spawn(take_into(&warm, &outcome));
    run_until([&] { return old.empty() && young.empty(); });
    EXPECT_EQ(outcome, ServiceErrc::timed_out);
}

TEST_F(WarmWebSocketTest, AConnectionThatIsGivenBackIsTakenAgain) {
    start_server();
    WarmWebSocket warm{shard_, options()};
    auto socket = test::value_of(shard_, warm.take());
    const auto* const first = socket.get();
    run_until([&] { return warm.warm(); });
    socket->send_text("nobody reads this answer");
    warm.give_back(std::move(socket));
    test::result_of(shard_, async::with_deadline(never(), 50ms));
    socket = test::value_of(shard_, warm.take());
    EXPECT_EQ(socket.get(), first);
    socket->send_text("hello");
    EXPECT_EQ(test::value_of(shard_, socket->read()).data, "hello");
    EXPECT_EQ(open_, 2);
}

TEST_F(WarmWebSocketTest, AConnectionThatDiesAfterItCameBackIsNotGivenOut) {
    start_server();
    WarmWebSocket warm{shard_, options()};
    auto socket = test::value_of(shard_, warm.take());
    run_until([&] { return warm.warm() && open_ == 2; });
    socket->send_text("die");
    warm.give_back(std::move(socket));
    run_until([&] { return open_ == 1; });
    const WarmWebSocket later{shard_, options()};  // opened after the end was sent
    run_until([&] { return later.warm(); });
    socket = test::value_of(shard_, warm.take());
    socket->send_text("hello");
    std::string said;
    do {
        said = std::string{test::value_of(shard_, socket->read()).data};
    } while (said == "welcome");
    EXPECT_EQ(said, "hello");
}

TEST_F(WarmWebSocketTest, DestructionWhileConnectingIsQuiet) {
    start_server();
    { const WarmWebSocket warm{shard_, options()}; }
    {
        const WarmWebSocket warm{shard_, options()};
        shard_.context().restart();
        shard_.context().poll();
    }
}

}  // namespace
}  // namespace oavc::services
