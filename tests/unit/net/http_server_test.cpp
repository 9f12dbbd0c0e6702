#include "net/http_server.hpp"

#include "async/deadline.hpp"
#include "async/run_blocking.hpp"
#include "support/comes_true.hpp"
#include "support/http.hpp"
#include "support/raw_client.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <stdexcept>

namespace oavc::net {
namespace {

using test::fetch;
using test::local_url;
using test::RawClient;
using namespace std::string_view_literals;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

asio::awaitable<HttpResponse> describe_request(async::Shard&, HttpRequest request) {
    HttpResponse response;
    response.body = request.method + "|" + std::string{request.path()} + "|" +
                    std::string{request.query()} + "|" + std::string{request.header("x-tag")} +
                    "|" + request.body + "|" + request.peer_ip +
                    (request.peer_is_loopback ? "|local" : "");
    co_return response;
}

asio::awaitable<HttpResponse> fail(async::Shard&, HttpRequest) {
    throw std::runtime_error{"a handler's bug"};
    co_return HttpResponse{};
}

asio::awaitable<HttpResponse> wait_forever(async::Shard&, HttpRequest) {
    co_await async::sleep_for(std::chrono::hours{1});
    co_return HttpResponse{};
}

HttpResponse named(std::string_view name) {
    HttpResponse response;
    response.body = name;
    return response;
}
asio::awaitable<HttpResponse> answer_exact(async::Shard&, HttpRequest) { co_return named("exact"); }
asio::awaitable<HttpResponse> answer_short(async::Shard&, HttpRequest) { co_return named("short"); }
asio::awaitable<HttpResponse> answer_long(async::Shard&, HttpRequest) { co_return named("long"); }

asio::awaitable<HttpResponse> split_response(async::Shard&, HttpRequest) {
    HttpResponse response;
    response.headers.emplace("X-Good", "1");
    response.headers.emplace("X-Bad", "1\r\nX-Injected: 1");
    co_return response;
}

std::string get(std::string_view path) {
    return "GET " + std::string{path} + " HTTP/1.1\r\nHost: test\r\n\r\n";
}

class HttpServerTest : public ::testing::Test {
protected:
    HttpServerTest() { options_.host = "127.0.0.1"; }

    void start() {
        server_.emplace(pool_, options_);
        server_->handle("GET", "/", describe_request);
        server_->handle("POST", "/", describe_request);
        server_->handle("GET", "/fail", fail);
        server_->handle("GET", "/forever", wait_forever);
        server_->handle("GET", "/split", split_response);
        server_->handle("GET", "/a/exact", answer_exact);
        server_->handle_prefix("GET", "/a/", answer_short);
        server_->handle_prefix("GET", "/a/b/", answer_long);
        server_->start();
        pool_.start();
    }
    std::string url(std::string_view target) const {
        return local_url("http", server_->port(), target);
    }
    Result<HttpResponse> get_url(std::string_view target) {
        HttpClientRequest request;
        request.url = url(target);
        return fetch(request);
    }
    /// Connections end on the shards' threads, a moment after the peer's end.
    void expect_all_closed() {
        const auto limit = Clock::now() + 5s;
        while (server_->stats().open != 0 && Clock::now() < limit)
            std::this_thread::yield();
        EXPECT_EQ(server_->stats().open, 0u);
    }

    async::ShardPool pool_{2};
    HttpServer::Options options_;
    std::optional<HttpServer> server_;
};

TEST_F(HttpServerTest, HandsOverMethodPathQueryHeadersBodyAndPeer) {
    start();
    HttpClientRequest request;
    request.method = "POST";
    request.url = url("/?a=1&b=%20");
    request.headers.emplace("X-TAG", "yes");
    request.body = "the body";
    const auto response = fetch(request);
    ASSERT_TRUE(response.has_value()) << response.error().message();
    EXPECT_EQ(response->status, 200);
    EXPECT_EQ(response->body, "POST|/|a=1&b=%20|yes|the body|127.0.0.1|local");
    EXPECT_EQ(response->content_type, "text/plain; charset=utf-8");
    EXPECT_EQ(response->headers.find("server")->second, "oavc");
    EXPECT_TRUE(response->headers.contains("Date"));
}

TEST_F(HttpServerTest, JoinsRepeatedHeaders) {
    start();
    RawClient client{server_->port()};
    client.send("GET / HTTP/1.1\r\nHost: t\r\nX-Tag: a\r\nx-tag: b\r\nConnection: close\r\n\r\n");
    EXPECT_THAT(client.read_all(), HasSubstr("|a, b|"));
}

TEST_F(HttpServerTest, AnswersHeadLikeGetWithoutTheBody) {
    start();
    RawClient client{server_->port()};
    client.send("HEAD / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
    const auto answer = client.read_all();
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(answer, HasSubstr("Content-Length: 25\r\n"));
    EXPECT_THAT(answer, EndsWith("\r\n\r\n"));
}

TEST_F(HttpServerTest, SaysWhatIsWrongWithAnUnknownPathOrMethod) {
    start();
    EXPECT_EQ(get_url("/nothing")->status, 404);
    EXPECT_EQ(get_url("/nothing")->body, "404 there is nothing at this path\n");
    const auto json = get_url("/api/v1/nothing");
    EXPECT_EQ(json->content_type, "application/json");
    EXPECT_EQ(json->body, "{\"error\":\"there is nothing at this path\",\"status\":404}\n");
    HttpClientRequest request;
    request.method = "DELETE";
    request.url = url("/");
    const auto refused = fetch(request);
    EXPECT_EQ(refused->status, 405);
    EXPECT_EQ(refused->headers.find("Allow")->second, "GET, HEAD, POST");
}

TEST_F(HttpServerTest, PrefersTheExactPathThenTheLongestPrefix) {
    start();
    EXPECT_EQ(get_url("/a/exact")->body, "exact");
    EXPECT_EQ(get_url("/a/other")->body, "short");
    EXPECT_EQ(get_url("/a/b/c?d")->body, "long");
    EXPECT_EQ(get_url("/a")->status, 404);
}

TEST_F(HttpServerTest, AnswersPipelinedRequestsInOrderOnOneConnection) {
    start();
    RawClient client{server_->port()};
    client.send(get("/?1") + get("/?2") + get("/?3"));
    const auto answers = client.read_until("|local", 3);
    const auto first = answers.find("GET|/|1|");
    const auto second = answers.find("GET|/|2|");
    const auto third = answers.find("GET|/|3|");
    ASSERT_NE(third, std::string::npos);
    EXPECT_LT(first, second);
    EXPECT_LT(second, third);
    EXPECT_EQ(server_->stats().accepted, 1u);
    EXPECT_EQ(server_->stats().requests, 3u);
}

TEST_F(HttpServerTest, ClosesAfterTheAnswerWhenAskedOrSpokenToInOldHttp) {
    start();
    RawClient client{server_->port()};
    client.send("GET / HTTP/1.0\r\n\r\n");
    EXPECT_THAT(client.read_all(), StartsWith("HTTP/1.0 200 OK\r\n"));
    expect_all_closed();
}

TEST_F(HttpServerTest, AnswersGarbageWith400AndGoesOnServing) {
    start();
    RawClient client{server_->port()};
    client.send("\x16\x03\x01\x02\x00\x01\x00\x01\xfc garbage\r\n\r\n\0\0"sv);
    EXPECT_THAT(client.read_all(), StartsWith("HTTP/1.1 400 "));
    RawClient without_host{server_->port()};
    without_host.send("GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
    EXPECT_THAT(without_host.read_all(), StartsWith("HTTP/1.1 400 "));
    EXPECT_EQ(get_url("/")->status, 200);
    EXPECT_EQ(server_->stats().bad_requests, 2u);
    expect_all_closed();
}

TEST_F(HttpServerTest, DropsAClientThatSendsItsHeaderTooSlowly) {
    options_.request_timeout = 60ms;
    start();
    RawClient client{server_->port()};
    client.send("GET / HTTP/1.1\r\nHost:");
    EXPECT_EQ(client.read_all(), "");
    expect_all_closed();
    EXPECT_EQ(server_->stats().bad_requests, 1u);
    RawClient silent{server_->port()};
    EXPECT_EQ(silent.read_all(), "");
    expect_all_closed();
}

TEST_F(HttpServerTest, ClosesAnIdleConnection) {
    options_.idle_timeout = 60ms;
    start();
    RawClient client{server_->port()};
    client.send(get("/"));
    EXPECT_THAT(client.read_all(), HasSubstr("200 OK"));
    EXPECT_EQ(server_->stats().bad_requests, 0u);
}

TEST_F(HttpServerTest, RefusesAnEndlessHeader) {
    start();
    RawClient client{server_->port()};
    client.send("GET / HTTP/1.1\r\nHost: t\r\nX-Long: " + std::string(70'000, 'x'));
    EXPECT_THAT(client.read_all(), StartsWith("HTTP/1.1 431 "));
}

TEST_F(HttpServerTest, RefusesAnEndlessChunkHeaderAndEndlessTrailers) {
    options_.request_timeout = 2s;
    start();
    const std::string chunked = "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (const std::string_view endless : {"5;", "0\r\nX-Long: "}) {
        RawClient client{server_->port()};
        client.send(chunked + std::string{endless} + std::string(200'000, 'x'));
        EXPECT_THAT(client.read_all(), StartsWith("HTTP/1.1 431 ")) << endless;
    }
    expect_all_closed();
}

TEST_F(HttpServerTest, ABodyWithoutACertainLengthHidesNoSecondRequest) {
    start();
    for (const std::string_view framing :
         {"Transfer-Encoding: gzip\r\n",
          "Transfer-Encoding: identity\r\n",
          "Transfer-Encoding: chunked, gzip\r\n",
          "Transfer-Encoding: xchunked\r\n",
          "Transfer-Encoding: identity\r\nContent-Length: 0\r\n",
          "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
          "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
          "Content-Length: 0\r\nContent-Length: 5\r\n",
          "Content-Length: 0, 5\r\n",
          "Content-Length: -1\r\n",
          "Content-Length: +0\r\n",
          "Content-Length: 0x0\r\n",
          "Content-Length : 0\r\n"}) {
        RawClient client{server_->port()};
        client.send(
            "POST / HTTP/1.1\r\nHost: t\r\n" + std::string{framing} + "\r\n" + get("/?hidden")
        );
        const auto answer = client.read_all();
        EXPECT_THAT(answer, StartsWith("HTTP/1.1 400 ")) << framing;
        EXPECT_THAT(answer, Not(HasSubstr("hidden"))) << framing;
    }
    // HTTP/1.0 knows no transfer codings (RFC 9112 §6.1).
    RawClient old{server_->port()};
    old.send(
        "POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" +
        get("/?hidden")
    );
    EXPECT_THAT(old.read_all(), Not(HasSubstr("hidden")));
}

TEST_F(HttpServerTest, TrailersAreNotTakenForHeaders) {
    start();
    RawClient client{server_->port()};
    client.send(
        "POST / HTTP/1.1\r\nHost: t\r\nX-Tag: header\r\nConnection: close\r\n"
        "Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nX-Tag: trailer\r\n\r\n"
    );
    EXPECT_THAT(client.read_all(), HasSubstr("|header|body|"));
}

TEST_F(HttpServerTest, RefusesABodyOverTheLimitAnnouncedOrChunked) {
    options_.max_body = 1000;
    start();
    HttpClientRequest request;
    request.method = "POST";
    request.url = url("/");
    request.body.assign(1000, 'x');
    EXPECT_EQ(fetch(request)->status, 200);
    request.body += 'x';
    EXPECT_EQ(fetch(request)->status, 413);
    RawClient client{server_->port()};
    std::string chunked = "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (int i = 0; i < 20; ++i)
        chunked += "64\r\n" + std::string(100, 'x') + "\r\n";
    client.send(chunked + "0\r\n\r\n");
    EXPECT_THAT(client.read_all(), StartsWith("HTTP/1.1 413 "));
}

TEST_F(HttpServerTest, AClientThatGetsAllItsBodyRefusedStillReadsWhy) {
    options_.max_body = 1000;
    start();
    HttpClientRequest request;
    request.method = "POST";
    request.url = url("/");
    request.body.assign(800'000, 'x');
    const auto response = fetch(request);
    ASSERT_TRUE(response.has_value()) << response.error().message();
    EXPECT_EQ(response->status, 413);
}

TEST_F(HttpServerTest, SaysContinueToAClientThatAsksFirst) {
    start();
    RawClient client{server_->port()};
    client.send(
        "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\nExpect: 100-continue\r\n"
        "Connection: close\r\n\r\n"
    );
    EXPECT_THAT(client.read_until("\r\n\r\n"), StartsWith("HTTP/1.1 100 Continue\r\n"));
    client.send("body");
    EXPECT_THAT(client.read_all(), HasSubstr("|body|"));
}

TEST_F(HttpServerTest, SaysContinueToNobodyWhoSpeaksOldHttp) {  // RFC 9110 §10.1.1
    start();
    RawClient client{server_->port()};
    client.send("POST / HTTP/1.0\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nbody");
    EXPECT_THAT(client.read_all(), StartsWith("HTTP/1.0 200 OK\r\n"));
}

TEST_F(HttpServerTest, SurvivesAClientThatVanishesInTheMiddle) {
    start();
    for (int i = 0; i < 5; ++i) {
        RawClient client{server_->port()};
        client.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\nhalf");
        client.abort();
    }
    EXPECT_EQ(get_url("/")->status, 200);
    expect_all_closed();
}

TEST_F(HttpServerTest, CarriesAHundredConnectionsAtOnceAndClosesTheOneTooMany) {
    options_.max_connections = 100;
    start();
    std::vector<std::unique_ptr<RawClient>> clients;
    for (int i = 0; i < 100; ++i)
        clients.push_back(std::make_unique<RawClient>(server_->port()));
    for (auto& client : clients)
        client->send(get("/"));
    for (auto& client : clients)
        EXPECT_THAT(client->read_until("|local"), HasSubstr("200 OK"));
    EXPECT_EQ(server_->stats().open, 100u);
    RawClient too_many{server_->port()};
    EXPECT_EQ(too_many.read_all(), "");
    EXPECT_EQ(server_->stats().refused, 1u);
    clients.clear();
    expect_all_closed();
    EXPECT_EQ(get_url("/")->status, 200);
}

TEST_F(HttpServerTest, AHandlersFaultIsItsRequestsOnly) {
    options_.request_timeout = 100ms;
    start();
    EXPECT_EQ(get_url("/fail")->status, 500);
    EXPECT_EQ(get_url("/fail")->body, "500 internal error\n") << "nothing of the inside shows";
    EXPECT_EQ(get_url("/forever")->status, 503);
    EXPECT_EQ(get_url("/")->status, 200);
}

TEST_F(HttpServerTest, NoHeaderValueStartsANewLine) {
    start();
    const auto response = get_url("/split");
    EXPECT_TRUE(response->headers.contains("X-Good"));
    EXPECT_FALSE(response->headers.contains("X-Bad"));
    EXPECT_FALSE(response->headers.contains("X-Injected"));
}

TEST_F(HttpServerTest, ASecondServerOnThePortSaysWhatToDo) {
    start();
    HttpServer::Options same = options_;
    same.port = server_->port();
    HttpServer second{pool_, same};
    try {
        second.start();
        FAIL() << "two servers on one port";
    } catch (const std::runtime_error& e) {
        EXPECT_EQ(
            std::string{e.what()},
            "TCP 127.0.0.1:" + std::to_string(server_->port()) +
                " is in use by another process: stop it or set [api] port"
        );
    }
    HttpServer::Options named = options_;
    named.host = "localhost!";
    HttpServer third{pool_, named};
    EXPECT_THROW(third.start(), std::runtime_error);
}

TEST_F(HttpServerTest, StopEndsIdleConnectionsAndRunningHandlers) {
    start();
    RawClient idle{server_->port()};
    idle.send(get("/"));
    idle.read_until("|local");
    RawClient waiting{server_->port()};
    waiting.send(get("/forever"));
    RawClient fresh{server_->port()};
    const auto limit = Clock::now() + 5s;
    while (server_->stats().requests < 2 && Clock::now() < limit)
        std::this_thread::yield();
    server_->stop();
    EXPECT_EQ(server_->stats().open, 0u);
    EXPECT_THAT(idle.read_all(), EndsWith("|local"));
    EXPECT_EQ(waiting.read_all(), "");
    server_->stop();  // twice is harmless
}

TEST_F(HttpServerTest, StopWaitsForAConnectionOnItsWayToAnotherShard) {
    server_.emplace(pool_, options_);
    std::promise<void> asked;
    std::promise<void> let;
    const auto gate = [&](const HttpRequest&) -> std::optional<HttpResponse> {
        asked.set_value();
        let.get_future().wait();
        return std::nullopt;
    };
    const auto handler = [](async::Shard&,
                            HttpRequest,
                            std::unique_ptr<WebSocket>) -> asio::awaitable<void> { co_return; };
    server_->handle_websocket("/ws", gate, handler, 0);
    server_->start();
    pool_.start();
    RawClient first{server_->port()};  // to shard 0
    RawClient moving{server_->port()};
    moving.send(
        "GET /ws HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    asked.get_future().wait();
    auto stopped = std::async(std::launch::async, [&] { server_->stop(); });
    ASSERT_TRUE(test::comes_true([&] { return server_->stats().open == 1; }));
    EXPECT_EQ(stopped.wait_for(50ms), std::future_status::timeout) << "shard 1 is still asked";
    std::promise<void> go_on;
    pool_[0].post([&] { go_on.get_future().wait(); });
    let.set_value();  // the connection leaves shard 1; shard 0 has no time for it
    EXPECT_EQ(stopped.wait_for(300ms), std::future_status::timeout);
    go_on.set_value();
    stopped.get();
    EXPECT_EQ(server_->stats().open, 0u);
}

TEST_F(HttpServerTest, StopsOnShardsThatNeverRan) {
    HttpServer server{pool_, options_};
    server.start();
    RawClient client{server.port()};
    server.stop();
    EXPECT_EQ(client.read_all(), "");
}

}  // namespace
}  // namespace oavc::net
