// Answers that go on, and how many connections one source may hold.

#include "async/deadline.hpp"
#include "net/connection_places.hpp"
#include "net/http_server.hpp"
#include "support/raw_client.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace oavc::net {
namespace {

using test::RawClient;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

HttpResponse stream_head() {
    HttpResponse head;
    head.content_type = "text/event-stream";
    head.body = "begin\n";
    return head;
}

asio::awaitable<std::optional<HttpResponse>> count(
    async::Shard&, HttpRequest request, LongAnswer& answer
) {
    if (request.query() == "refuse") {
        HttpResponse refused;
        refused.status = 503;
        refused.body = "not now\n";
        co_return refused;
    }
    if (!co_await answer.begin(stream_head())) co_return std::nullopt;
    for (int i = 1; i <= 3; ++i) {
        std::string part = std::to_string(i);
        if (!co_await answer.write(std::move(part))) co_return std::nullopt;
    }
    co_return std::nullopt;
}

class HttpLongAnswerTest : public ::testing::Test {
protected:
    HttpLongAnswerTest() { options_.host = "127.0.0.1"; }
    void start(HttpLongHandler handler) {
        server_.emplace(pool_, options_);
        server_->handle_long("GET", "/long", std::move(handler));
        server_->start();
        pool_.start();
    }
    static std::string get(std::string_view target, std::string_view method = "GET") {
        return std::string{method} + " " + std::string{target} + " HTTP/1.1\r\nHost: t\r\n\r\n";
    }
    template <class Condition>
    static void wait_until(Condition done) {
        const auto limit = Clock::now() + 30s;
        while (!done() && Clock::now() < limit)
            std::this_thread::yield();
        EXPECT_TRUE(done());
    }

    async::ShardPool pool_{2};
    HttpServer::Options options_;
    std::optional<HttpServer> server_;
};

TEST_F(HttpLongAnswerTest, SendsPartsAsTheyComeAndEndsWithTheConnection) {
    start(count);
    RawClient client{server_->port()};
    client.send(get("/long"));
    const auto answer = client.read_all();
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(answer, HasSubstr("Content-Type: text/event-stream\r\n"));
    EXPECT_THAT(answer, HasSubstr("Connection: close\r\n"));
    EXPECT_THAT(answer, Not(HasSubstr("Content-Length")));
    EXPECT_THAT(answer, EndsWith("\r\n\r\nbegin\n123"));
}

TEST_F(HttpLongAnswerTest, HeadGetsTheHead) {
    start(count);
    RawClient client{server_->port()};
    client.send(get("/long", "HEAD"));
    EXPECT_THAT(client.read_all(), EndsWith("\r\n\r\n"));
}

TEST_F(HttpLongAnswerTest, ARefusalIsAnOrdinaryAnswerOnAConnectionThatGoesOn) {
    start(count);
    RawClient client{server_->port()};
    client.send(get("/long?refuse"));
    EXPECT_THAT(client.read_until("not now\n"), StartsWith("HTTP/1.1 503 "));
    client.send(get("/long?refuse"));
    EXPECT_THAT(client.read_until("not now\n", 2), HasSubstr("Content-Length: 8\r\n"));
    RawClient other{server_->port()};
    other.send(get("/long", "POST"));
    EXPECT_THAT(other.read_until("\r\n\r\n"), HasSubstr("Allow: GET, HEAD\r\n"));
}

/// Writes until it is told that the client does not take it.
asio::awaitable<std::optional<HttpResponse>> flood(
    async::Shard&, HttpRequest, LongAnswer& answer, std::shared_ptr<std::atomic<bool>> over
) {
    bool taken = co_await answer.begin(stream_head());
    while (taken) {
        std::string part(1 << 16, 'x');
        taken = co_await answer.write(std::move(part));
    }
    *over = true;
    co_return std::nullopt;
}

TEST_F(HttpLongAnswerTest, AClientThatDoesNotReadIsLetGoAndCounted) {
    options_.request_timeout = 300ms;
    const auto over = std::make_shared<std::atomic<bool>>(false);
    start([over](async::Shard& shard, HttpRequest request, LongAnswer& answer) {
        return flood(shard, std::move(request), answer, over);
    });
    RawClient client{server_->port()};
    client.send(get("/long"));
    wait_until([&] { return over->load(); });
    EXPECT_EQ(server_->stats().slow_readers, 1u);
}

TEST_F(HttpLongAnswerTest, AClientThatGoesEndsItsAnswerAndIsNotCountedAsSlow) {
    const auto over = std::make_shared<std::atomic<bool>>(false);
    start([over](async::Shard& shard, HttpRequest request, LongAnswer& answer) {
        return flood(shard, std::move(request), answer, over);
    });
    RawClient client{server_->port()};
    client.send(get("/long"));
    client.read_until("begin");
    client.abort();
    wait_until([&] { return over->load(); });
    EXPECT_EQ(server_->stats().slow_readers, 0u);
}

asio::awaitable<std::optional<HttpResponse>> stay(async::Shard&, HttpRequest, LongAnswer& answer) {
    if (!co_await answer.begin(stream_head())) co_return std::nullopt;
    co_await async::sleep_for(std::chrono::hours{1});
    co_return std::nullopt;
}

TEST_F(HttpLongAnswerTest, OutlivesTheTimeLimitOfOrdinaryAnswersAndEndsWithTheServer) {
    options_.request_timeout = 100ms;
    start(stay);
    RawClient client{server_->port()};
    client.send(get("/long"));
    client.read_until("begin\n");
    RawClient idle{server_->port()};
    EXPECT_EQ(idle.read_all(), "") << "this one said nothing for as long as the limit";
    wait_until([&] { return server_->stats().open == 1; });
    server_->stop();
    EXPECT_THAT(client.read_all(), EndsWith("begin\n"));
}

TEST_F(HttpLongAnswerTest, OneSourceMayNotTakeEveryConnection) {
    options_.max_connections = 10;
    options_.max_connections_per_source = 2;
    start(count);
    RawClient first{server_->port()};
    RawClient second{server_->port()};
    wait_until([&] { return server_->stats().open == 2; });
    RawClient third{server_->port()};
    EXPECT_EQ(third.read_all(), "");
    EXPECT_EQ(server_->stats().refused_source, 1u);
    EXPECT_EQ(server_->stats().refused, 0u);
    first.send(get("/long"));
    EXPECT_THAT(first.read_all(), EndsWith("123")) << "those that are in are not harmed";
}

TEST(ConnectionPlaces, AreCountedInAllAndBySource) {
    ConnectionPlaces places{3, 2};
    std::vector<ConnectionPlaces::Place> taken;
    const auto take = [&](const char* source) {
        auto place = places.take(source);
        if (!place) return static_cast<int>(place.error());
        taken.push_back(std::move(*place));
        return -1;
    };
    EXPECT_EQ(take("a"), -1);
    EXPECT_EQ(take("a"), -1);
    EXPECT_EQ(take("a"), static_cast<int>(ConnectionPlaces::Refusal::source));
    EXPECT_EQ(take("b"), -1);
    EXPECT_EQ(take("c"), static_cast<int>(ConnectionPlaces::Refusal::full));
    EXPECT_EQ(places.open(), 3u);
    taken.pop_back();
    EXPECT_EQ(take("c"), -1);
    taken.clear();
    EXPECT_EQ(places.open(), 0u);
}

}  // namespace
}  // namespace oavc::net
