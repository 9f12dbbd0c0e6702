#include "net/http_client.hpp"

#include "async/deadline.hpp"
#include "async/run_blocking.hpp"
#include "net/http_server.hpp"
#include "support/http.hpp"
#include "support/tls_front.hpp"

#include <boost/asio/read_until.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace oavc::net {
namespace {

using test::fetch;
using test::local_url;
using ::testing::HasSubstr;

/// Answers the first connection with fixed bytes, then closes (or, with none, says nothing).
class CannedServer {
public:
    explicit CannedServer(std::string answer) : answer_{std::move(answer)} {
        thread_ = std::thread{[this] {
            boost::asio::ip::tcp::socket socket{context_};
            acceptor_.accept(socket);
            boost::system::error_code ignored;
            boost::asio::read_until(
                socket, boost::asio::dynamic_buffer(request_), "\r\n\r\n", ignored
            );
            boost::asio::write(socket, boost::asio::buffer(answer_), ignored);
            if (!answer_.empty()) return;
            char more = 0;
            socket.read_some(boost::asio::buffer(&more, 1), ignored);  // until the client leaves
        }};
    }
    ~CannedServer() { thread_.join(); }
    std::string url(std::string_view target = "/") const {
        return local_url("http", acceptor_.local_endpoint().port(), target);
    }
    const std::string& request() const { return request_; }  ///< after the client is done

private:
    std::string answer_;
    std::string request_;
    boost::asio::io_context context_;
    boost::asio::ip::tcp::acceptor acceptor_{
        context_, {boost::asio::ip::address_v4::loopback(), 0}};
    std::thread thread_;
};

HttpClientRequest request_to(std::string url) {
    HttpClientRequest request;
    request.url = std::move(url);
    return request;
}

TEST(HttpRequest, ReadsAChunkedAnswerAndSkipsInterimOnes) {
    CannedServer server{
        "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
        "HTTP/1.1 206 Partial Content\r\nTransfer-Encoding: chunked\r\nContent-Type: a/b\r\n"
        "X-A: 1\r\nX-A: 2\r\n\r\n5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n"};
    const auto response = fetch(request_to(server.url("/p?q")));
    ASSERT_TRUE(response.has_value()) << response.error().message();
    EXPECT_EQ(response->status, 206);
    EXPECT_EQ(response->body, "hello, world");
    EXPECT_EQ(response->content_type, "a/b");
    EXPECT_EQ(response->headers.find("x-a")->second, "1, 2");
}

TEST(HttpRequest, ReadsAnAnswerThatEndsWithTheConnection) {
    CannedServer server{"HTTP/1.1 200 OK\r\n\r\nall of it"};
    EXPECT_EQ(fetch(request_to(server.url()))->body, "all of it");
}

TEST(HttpRequest, AnAnswerThatBreaksOffIsAnError) {
    CannedServer server{"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"};
    EXPECT_TRUE(fetch(request_to(server.url())).has_error());
}

TEST(HttpRequest, RefusesABodyOverItsLimit) {
    CannedServer server{"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world"};
    auto request = request_to(server.url());
    request.max_body = 10;
    EXPECT_TRUE(fetch(request).has_error());
}

TEST(HttpRequest, HandsADownloadOverPieceByPiece) {
    const std::string content(300'000, 'x');
    CannedServer server{"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + content};
    auto request = request_to(server.url());
    request.max_body = 10;
    std::size_t total = 0;
    std::size_t pieces = 0;
    request.on_body = [&](const HttpResponse& head, std::string_view piece) {
        EXPECT_EQ(head.headers.find("content-length")->second, "300000");
        total += piece.size();
        ++pieces;
        return true;
    };
    const auto response = fetch(request);
    ASSERT_TRUE(response.has_value()) << response.error().message();
    EXPECT_EQ(total, content.size());
    EXPECT_GT(pieces, 1u);
    EXPECT_EQ(response->body, "");
}

TEST(HttpRequest, ADownloadStopsWhenItsReceiverSaysSo) {
    CannedServer server{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"};
    auto request = request_to(server.url());
    request.on_body = [](const HttpResponse&, std::string_view) { return false; };
    EXPECT_EQ(fetch(request).error(), NetErrc::stopped_by_sink);
}

TEST(HttpRequest, AStalledDownloadTimesOutBeforeTheWholeLimit) {
    boost::asio::io_context context;
    boost::asio::ip::tcp::acceptor silent{context, {boost::asio::ip::address_v4::loopback(), 0}};
    std::thread peer{[&] {
        boost::asio::ip::tcp::socket socket{context};
        silent.accept(socket);
        boost::asio::write(
            socket,
            boost::asio::buffer(std::string{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"})
        );
        boost::system::error_code ignored;
        std::array<char, 1024> sink;
        while (socket.read_some(boost::asio::buffer(sink), ignored) != 0) {
        }
    }};
    auto request = request_to(local_url("http", silent.local_endpoint().port(), "/"));
    request.stall_limit = 50ms;
    std::string got;
    request.on_body = [&got](const HttpResponse&, std::string_view piece) {
        got += piece;
        return true;
    };
    EXPECT_EQ(fetch(request, 1h).error(), asio::error::timed_out);
    EXPECT_EQ(got, "half");
    peer.join();
}

TEST(HttpRequest, TheLimitCoversASilentServer) {
    CannedServer server{""};
    EXPECT_EQ(fetch(request_to(server.url()), 50ms).error(), asio::error::timed_out);
}

TEST(HttpRequest, NothingListeningIsRefused) {
    std::uint16_t port = 0;
    {
        boost::asio::io_context context;
        boost::asio::ip::tcp::acceptor closed{
            context, {boost::asio::ip::address_v4::loopback(), 0}};
        port = closed.local_endpoint().port();
    }
    EXPECT_EQ(
        fetch(request_to(local_url("http", port, "/"))).error(), asio::error::connection_refused
    );
}

TEST(HttpRequest, SpeaksHttpOnly) {
    EXPECT_EQ(fetch(request_to("ws://127.0.0.1/")).error(), NetErrc::bad_url);
    EXPECT_EQ(fetch(request_to("no url")).error(), NetErrc::bad_url);
}

asio::awaitable<void> try_request(async::Shard& shard, std::string url, Result<HttpResponse>& out) {
    auto request = request_to(std::move(url));
    out = co_await http_request(shard, std::move(request), 1h);
}

TEST(HttpRequest, EndsWhenItsTaskIsCancelled) {
    CannedServer server{""};
    async::Shard shard{1};
    Result<HttpResponse> result{HttpResponse{}};
    async::TaskGroup group{shard.executor(), [](std::exception_ptr) { FAIL(); }};
    group.spawn(try_request(shard, server.url(), result));
    shard.context().run_for(20ms);
    group.cancel();
    async::run_blocking(shard, group.join());
    EXPECT_TRUE(result.has_error());
}

asio::awaitable<HttpResponse> hello(async::Shard&, HttpRequest request) {
    HttpResponse response;
    response.body = "hello " + std::string{request.header("host")};
    co_return response;
}

asio::awaitable<void> echo_once(async::Shard&, HttpRequest, std::unique_ptr<WebSocket> socket) {
    const auto message = co_await socket->read();
    if (message.has_value()) socket->send_text(message->data);
    co_await socket->close(1000, "");
}

std::optional<HttpResponse> welcome(const HttpRequest&) { return std::nullopt; }

/// Our server behind a TLS proxy with a certificate of our own making.
class TlsTest : public ::testing::Test {
protected:
    using TlsFront = test::TlsFront;

    TlsTest() {
        HttpServer::Options options;
        options.host = "127.0.0.1";
        server_.emplace(pool_, options);
        server_->handle("GET", "/", hello);
        server_->handle_websocket("/ws", welcome, echo_once);
        server_->start();
        pool_.start();
    }
    std::string url(std::string_view scheme, const TlsFront& front, std::string_view path) {
        return std::string{scheme} + "://localhost:" + std::to_string(front.port()) +
               std::string{path};
    }
    async::ShardPool pool_{1};
    std::optional<HttpServer> server_;
    test::SelfMadeCertificate ours_{::testing::TempDir(), "localhost"};
};

TEST_F(TlsTest, SpeaksHttpsToACertificateOfATrustedIssuer) {
    TlsFront front{ours_, server_->port()};
    auto request = request_to(url("https", front, "/"));
    request.tls.ca_file = ours_.certificate_file;
    const auto response = fetch(request);
    ASSERT_TRUE(response.has_value()) << response.error().message();
    EXPECT_EQ(response->body, "hello localhost:" + std::to_string(front.port()));
}

TEST_F(TlsTest, RefusesACertificateNobodyVouchesFor) {
    TlsFront front{ours_, server_->port()};
    const auto response = fetch(request_to(url("https", front, "/")));
    ASSERT_TRUE(response.has_error());
    EXPECT_THAT(response.error().message(), HasSubstr("certificate verify failed"));
    EXPECT_EQ(server_->stats().requests, 0u) << "nothing was told to the stranger";
}

TEST_F(TlsTest, RefusesACertificateOfAnotherName) {
    const test::SelfMadeCertificate other{::testing::TempDir(), "other.test"};
    TlsFront front{other, server_->port()};
    auto request = request_to(url("https", front, "/"));
    request.tls.ca_file = other.certificate_file;
    const auto response = fetch(request);
    ASSERT_TRUE(response.has_error());
    EXPECT_THAT(response.error().message(), HasSubstr("certificate verify failed"));
}

asio::awaitable<void> echo_over_tls(
    async::Shard& shard, std::string url, std::string ca_file, std::string& out
) {
    auto socket = co_await websocket_connect(shard, url, {}, 10s, WsLimits{}, {.ca_file = ca_file});
    if (socket.has_error()) {
        out = socket.error().message();
        co_return;
    }
    (*socket)->send_text("through two layers");
    const auto message = co_await (*socket)->read();
    out = message.has_value() ? std::string{message->data} : message.error().message();
    const auto end = co_await (*socket)->read();
    EXPECT_EQ(end.error(), asio::error::eof);
}

TEST_F(TlsTest, SpeaksWebSocketOverTlsWithTheSameChecks) {
    TlsFront front{ours_, server_->port()};
    async::Shard shard{1};
    std::string got;
    async::run_blocking(
        shard, echo_over_tls(shard, url("wss", front, "/ws"), ours_.certificate_file, got)
    );
    EXPECT_EQ(got, "through two layers");
    async::run_blocking(shard, echo_over_tls(shard, url("wss", front, "/ws"), "", got));
    EXPECT_THAT(got, HasSubstr("certificate verify failed"));
}

}  // namespace
}  // namespace oavc::net
