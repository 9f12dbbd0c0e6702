#include "net/http_stream.hpp"

#include "async/deadline.hpp"
#include "net/http_server.hpp"
#include "support/await.hpp"
#include "support/scripted_http_server.hpp"
#include "support/tls_front.hpp"

#include <boost/asio/error.hpp>

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

namespace oavc::net {
namespace {

using test::ScriptedHttpServer;
using Exchange = ScriptedHttpServer::Exchange;
using Request = HttpConnections::Request;

class HttpStreamTest : public ::testing::Test {
protected:
    ~HttpStreamTest() override {
        shard_.context().restart();
        shard_.context().run_for(10s);  // what was cancelled ends
    }

    HttpConnections::Options options(std::string url, bool keep_warm = false) {
        HttpConnections::Options made;
        made.url = std::move(url);
        made.keep_warm = keep_warm;
        return made;
    }
    static Request to(std::string target) {
        Request request;
        request.target = std::move(target);
        request.body = "question";
        return request;
    }
    Result<std::unique_ptr<HttpStream>> ask(HttpConnections& connections, Request request) {
        return test::result_of(shard_, connections.request(std::move(request)));
    }
    Result<std::string> read(HttpStream& stream) {
        const auto piece = test::result_of(shard_, stream.read());
        if (piece.has_error()) return piece.error();
        return std::string{*piece};
    }
    Result<std::string> rest(HttpStream& stream) {
        return test::result_of(shard_, read_rest(stream, 1 << 20));
    }
    /// The whole answer.
    Result<std::string> fetch(HttpConnections& connections, std::string target = "/") {
        auto stream = ask(connections, to(std::move(target)));
        if (stream.has_error()) return stream.error();
        return rest(**stream);
    }
    bool run_until(const std::function<bool()>& done) {
        const auto give_up = Clock::now() + 30s;
        while (!done() && Clock::now() < give_up) {
            shard_.context().restart();
            shard_.context().run_one_for(5ms);
        }
        return done();
    }

    async::Shard shard_{9};
};

TEST_F(HttpStreamTest, PiecesComeBeforeTheEndDoes) {
    std::atomic<bool> go_on{false};
    ScriptedHttpServer server{[&](Exchange& http) {
        http.begin(200, "text/plain");
        http.send("first");
        while (!go_on && http.pause(1ms)) {
        }
        http.send("second");
        http.end();
    }};
    HttpConnections connections{shard_, options(server.url())};
    const auto stream = ask(connections, to("/"));
    ASSERT_TRUE(stream.has_value()) << stream.error().message();
    EXPECT_EQ((*stream)->head().status, 200);
    EXPECT_EQ((*stream)->head().content_type, "text/plain");
    EXPECT_EQ(*read(**stream), "first");
    go_on = true;
    EXPECT_EQ(*read(**stream), "second");
    EXPECT_EQ(read(**stream).error(), asio::error::eof);
    EXPECT_EQ(read(**stream).error(), asio::error::eof) << "an end stays the end";
}

TEST_F(HttpStreamTest, TheRequestArrivesBelowTheUrlsPath) {
    std::string seen;
    ScriptedHttpServer server{[&](Exchange& http) {
        const auto& request = http.request();
        seen = request.method + " " + request.target + " " + request.headers.at("content-type") +
               " " + request.headers.at("x-key") + " " + request.body;
        http.respond(200, "text/plain", "ok");
    }};
    auto made = options(server.url("/v1/?a=b"));
    made.headers.emplace("X-Key", "k");
    made.headers.emplace("X-Smuggled", "a\r\nX-Key: b");
    HttpConnections connections{shard_, made};
    EXPECT_EQ(*fetch(connections, "/chat"), "ok");
    EXPECT_EQ(seen, "POST /v1/chat application/json k question");
}

TEST_F(HttpStreamTest, EveryFormOfBodyIsReadHoweverItArrives) {
    const std::string chunked =
        "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n"
        "Transfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n7\r\n, world\r\n0\r\nT: t\r\n\r\n";
    const std::string counted = "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nhello, world";
    const std::string until_the_end = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello, world";
    std::mutex mutex;
    std::string next_answer;
    bool single_bytes = false;
    ScriptedHttpServer server{[&](Exchange& http) {
        std::unique_lock lock{mutex};
        const std::string answer = next_answer;
        const std::size_t step = single_bytes ? 1 : answer.size();
        lock.unlock();
        for (std::size_t at = 0; at < answer.size(); at += step)
            http.raw(std::string_view{answer}.substr(at, step));
        if (answer != until_the_end) http.keep_open();
    }};
    HttpConnections connections{shard_, options(server.url())};
    for (const auto& each : {chunked, counted, until_the_end}) {
        for (const bool single : {false, true}) {
            {
                const std::lock_guard lock{mutex};
                next_answer = each;
                single_bytes = single;
            }
            const auto body = fetch(connections);
            ASSERT_TRUE(body.has_value()) << body.error().message() << "\n" << each;
            EXPECT_EQ(*body, "hello, world");
        }
    }
    EXPECT_EQ(server.connections(), 2u) << "kept but where the end of the connection is the end";
}

TEST_F(HttpStreamTest, AnAnswerThatIsNotWantedClosesItsConnection) {
    std::atomic<bool> left{false};
    ScriptedHttpServer server{[&](Exchange& http) {
        http.begin(200, "text/plain");
        http.send("first");
        http.hang();
        left = true;
    }};
    HttpConnections connections{shard_, options(server.url())};
    {
        auto stream = ask(connections, to("/"));
        EXPECT_EQ(*read(**stream), "first");
    }
    EXPECT_TRUE(run_until([&] { return left.load(); }));
}

TEST_F(HttpStreamTest, AConnectionIsOpenBeforeTheFirstRequestAndAfterEach) {
    ScriptedHttpServer server{[](Exchange& http) {
        http.begin(200, "text/plain");
        http.send("first");
        if (http.request().target == "/endless") return http.hang();
        http.end();
    }};
    HttpConnections connections{shard_, options(server.url(), true)};
    EXPECT_TRUE(run_until([&] { return connections.warm(); }));
    EXPECT_EQ(*fetch(connections), "first");
    EXPECT_TRUE(connections.warm());
    EXPECT_EQ(*fetch(connections), "first");
    EXPECT_EQ(connections.stats().opened, 1u);
    EXPECT_EQ(connections.stats().reused, 2u);
    ask(connections, to("/endless"));  // and not wanted: dropped
    EXPECT_FALSE(connections.warm());
    EXPECT_TRUE(run_until([&] { return connections.warm(); })) << "replaced at once";
    EXPECT_EQ(connections.stats().opened, 2u);
}

TEST_F(HttpStreamTest, ARequestWaitsForTheConnectionThatIsBeingMade) {
    ScriptedHttpServer server{[](Exchange& http) { http.respond(200, "text/plain", "ok"); }};
    HttpConnections connections{shard_, options(server.url(), true)};
    EXPECT_EQ(*fetch(connections), "ok");
    EXPECT_EQ(connections.stats().opened, 1u);
}

TEST_F(HttpStreamTest, AKeptConnectionThatDiesIsReplacedBeforeAnybodyAsks) {
    ScriptedHttpServer server{[](Exchange& http) { http.respond(200, "text/plain", "ok"); }};
    HttpConnections connections{shard_, options(server.url(), true)};
    EXPECT_TRUE(run_until([&] { return connections.warm(); }));
    server.stop();
    EXPECT_TRUE(run_until([&] { return !connections.warm(); }));
    server.start();
    EXPECT_TRUE(run_until([&] { return connections.warm(); }));
    EXPECT_EQ(*fetch(connections), "ok");
    EXPECT_EQ(connections.stats().retried, 0u);
}

TEST_F(HttpStreamTest, AKeptConnectionThatTurnsOutDeadIsTriedOnceMore) {
    ScriptedHttpServer server{[](Exchange& http) {
        if (http.request().on_connection == 0) http.respond(200, "text/plain", "ok");
    }};
    HttpConnections connections{shard_, options(server.url())};
    EXPECT_EQ(*fetch(connections), "ok");
    EXPECT_EQ(*fetch(connections), "ok");
    EXPECT_EQ(server.requests(), 3u);
    EXPECT_EQ(connections.stats().retried, 1u);
}

TEST_F(HttpStreamTest, AFreshConnectionThatFailsIsNotTriedAgain) {
    ScriptedHttpServer server{[](Exchange&) {}};
    HttpConnections connections{shard_, options(server.url())};
    EXPECT_TRUE(fetch(connections).has_error());
    EXPECT_EQ(server.requests(), 1u);
}

TEST_F(HttpStreamTest, AnAnswerThatBeganIsNotAskedForAgain) {
    ScriptedHttpServer server{[](Exchange& http) {
        if (http.request().on_connection == 0) return http.respond(200, "text/plain", "ok");
        http.raw("HTTP/1.1 20");
    }};
    HttpConnections connections{shard_, options(server.url())};
    EXPECT_EQ(*fetch(connections), "ok");
    EXPECT_TRUE(fetch(connections).has_error());
    EXPECT_EQ(server.requests(), 2u);
}

TEST_F(HttpStreamTest, BytesThatNobodyAskedForEndAConnection) {
    ScriptedHttpServer server{[](Exchange& http) {
        http.raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 408 Late\r\n\r\n");
        http.keep_open();
    }};
    HttpConnections connections{shard_, options(server.url())};
    EXPECT_EQ(*fetch(connections), "ok");
    EXPECT_EQ(*fetch(connections), "ok");
    EXPECT_EQ(connections.stats().opened, 2u);
}

TEST_F(HttpStreamTest, ABodyThatBreaksOffIsAnError) {
    for (const std::string answer :
         {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n"}) {
        ScriptedHttpServer server{[&](Exchange& http) { http.raw(answer); }};
        HttpConnections connections{shard_, options(server.url())};
        auto stream = ask(connections, to("/"));
        ASSERT_TRUE(stream.has_value()) << stream.error().message();
        EXPECT_EQ(*read(**stream), "half");
        const auto end = read(**stream);
        EXPECT_TRUE(end.has_error());
        EXPECT_NE(end.error(), asio::error::eof) << answer;
    }
}

TEST_F(HttpStreamTest, EndlessHeadsAreGivenUp) {
    const std::string endless(2'000'000, 'x');
    for (const std::string begin :
         {"",
          "HTTP/1.1 200 OK\r\nX: ",
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n5;"}) {
        ScriptedHttpServer server{[&](Exchange& http) { http.raw(begin + endless); }};
        HttpConnections connections{shard_, options(server.url())};
        EXPECT_TRUE(fetch(connections).has_error()) << begin;
    }
}

TEST_F(HttpStreamTest, ACancelledReadIsRepeatedWithoutLoss) {
    std::atomic<bool> go_on{false};
    ScriptedHttpServer server{[&](Exchange& http) {
        http.begin(200, "text/plain");
        while (!go_on && http.pause(1ms)) {
        }
        http.send("late");
        http.end();
    }};
    HttpConnections connections{shard_, options(server.url())};
    auto stream = ask(connections, to("/"));
    const auto nothing =
        test::result_of(shard_, async::with_deadline((*stream)->read(), milliseconds{10}));
    EXPECT_EQ(nothing.error(), asio::error::timed_out);
    go_on = true;
    EXPECT_EQ(*rest(**stream), "late");
}

TEST_F(HttpStreamTest, ACancelledRequestDropsItsConnection) {
    std::atomic<bool> left{false};
    ScriptedHttpServer server{[&](Exchange& http) {
        http.hang();
        left = true;
    }};
    HttpConnections connections{shard_, options(server.url())};
    auto request = to("/");
    const auto late = test::result_of(
        shard_, async::with_deadline(connections.request(std::move(request)), milliseconds{50})
    );
    EXPECT_EQ(late.error(), asio::error::timed_out);
    EXPECT_TRUE(run_until([&] { return left.load(); }));
}

TEST_F(HttpStreamTest, WhatIsLeftIsReadBehindTheCallersBack) {
    ScriptedHttpServer server{[](Exchange& http) {
        http.begin(200, "text/plain");
        http.send("all that matters");
        if (http.request().target == "/endless") return http.hang();
        http.pause(10ms);
        http.end();
    }};
    HttpConnections connections{shard_, options(server.url())};
    auto stream = ask(connections, to("/"));
    EXPECT_EQ(*read(**stream), "all that matters");
    connections.finish(std::move(*stream));
    EXPECT_TRUE(run_until([&] { return connections.warm(); }));
    stream = ask(connections, to("/endless"));
    EXPECT_EQ(*read(**stream), "all that matters");
    connections.finish(std::move(*stream));
    shard_.context().restart();
    shard_.context().run_for(10s);  // ends when the second has passed: nothing is left to do
    EXPECT_FALSE(connections.warm());
}

TEST_F(HttpStreamTest, LongAnswersAreCollectedUpToALimit) {
    ScriptedHttpServer server{
        [](Exchange& http) { http.respond(500, "text/html", std::string(5000, 'x')); }};
    HttpConnections connections{shard_, options(server.url())};
    auto stream = ask(connections, to("/"));
    EXPECT_EQ((*stream)->head().status, 500);
    EXPECT_TRUE(test::result_of(shard_, read_rest(**stream, 4999)).has_error());
    stream = ask(connections, to("/"));
    EXPECT_EQ(test::result_of(shard_, read_rest(**stream, 5000))->size(), 5000u);
}

TEST_F(HttpStreamTest, WhereNobodyListensIsToldAtOnce) {
    ScriptedHttpServer server{[](Exchange&) {}};
    server.stop();
    for (const bool keep_warm : {false, true}) {
        HttpConnections connections{shard_, options(server.url(), keep_warm)};
        EXPECT_EQ(fetch(connections).error(), asio::error::connection_refused);
        EXPECT_FALSE(connections.warm());
    }
    for (const auto* url : {"", "ollama:11434", "ws://ollama"}) {
        HttpConnections connections{shard_, options(url, true)};
        EXPECT_EQ(fetch(connections).error(), NetErrc::bad_url) << url;
    }
}

TEST_F(HttpStreamTest, ConnectionsOverTlsAreKeptToo) {
    ScriptedHttpServer server{[](Exchange& http) { http.respond(200, "text/plain", "ok"); }};
    const test::SelfMadeCertificate certificate{
        std::filesystem::temp_directory_path().string(), "localhost"};
    test::TlsFront front{certificate, server.port()};
    auto made = options("https://localhost:" + std::to_string(front.port()), true);
    made.tls.ca_file = certificate.certificate_file;
    HttpConnections connections{shard_, made};
    EXPECT_TRUE(run_until([&] { return connections.warm(); }));
    for (int i = 0; i < 3; ++i)
        EXPECT_EQ(*fetch(connections), "ok");
    EXPECT_EQ(connections.stats().opened, 1u) << "session tickets are no end of it";
    made.tls.ca_file.clear();
    HttpConnections distrustful{shard_, made};
    EXPECT_TRUE(fetch(distrustful).has_error());
}

TEST_F(HttpStreamTest, OurOwnServerIsAPeerLikeAnyOther) {
    async::ShardPool pool{1};
    HttpServer::Options served;
    served.host = "127.0.0.1";
    HttpServer server{pool, served};
    server.handle("POST", "/echo", [](async::Shard&, HttpRequest request) {
        return [](HttpRequest asked) -> asio::awaitable<HttpResponse> {
            HttpResponse response;
            response.body = std::move(asked.body);
            co_return response;
        }(std::move(request));
    });
    server.start();
    pool.start();
    {
        HttpConnections connections{
            shard_, options("http://127.0.0.1:" + std::to_string(server.port()))};
        EXPECT_EQ(*fetch(connections, "/echo"), "question");
        EXPECT_EQ(*fetch(connections, "/echo"), "question");
        EXPECT_EQ(connections.stats().opened, 1u);
    }
    server.stop();
    pool.drain_and_join();
}

}  // namespace
}  // namespace oavc::net
