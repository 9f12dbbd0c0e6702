#include "async/deadline.hpp"
#include "async/run_blocking.hpp"
#include "net/errors.hpp"
#include "net/http_client.hpp"
#include "net/http_server.hpp"
#include "support/http.hpp"
#include "support/masked_frame.hpp"
#include "support/raw_client.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <future>

namespace oavc::net {
namespace {

using test::local_url;
using test::RawClient;
using ::testing::HasSubstr;

/// What the server's side of a test saw.
struct Seen {
    std::promise<error_code> ended;
    std::atomic<std::uint16_t> close_code{0};
    std::atomic<bool> overflowed{false};
};

asio::awaitable<void> echo(
    async::Shard&, HttpRequest, std::unique_ptr<WebSocket> socket, Seen* seen
) {
    for (;;) {
        const auto message = co_await socket->read();
        if (message.has_error()) {
            seen->close_code = socket->peer_close_code();
            seen->ended.set_value(message.error());
            co_return;
        }
        if (message->data == "close me") {
            co_await socket->close(4001, "as you wish");
            seen->close_code = socket->peer_close_code();
            seen->ended.set_value({});
            co_return;
        }
        if (message->data == "flood me") {
            const std::string block(1000, 'x');
            int accepted = 0;
            while (accepted < 1000 && socket->send_text(block))
                ++accepted;
            seen->overflowed = accepted < 1000;
            continue;
        }
        const std::string copy{message->data};
        if (message->binary) {
            socket->send_binary(copy);
        } else {
            socket->send_text(copy);
        }
    }
}

std::optional<HttpResponse> gate(const HttpRequest& request) {
    if (request.header("x-secret") != "wrong") return std::nullopt;
    HttpResponse refusal;
    refusal.status = 403;
    return refusal;
}

class WebSocketTest : public ::testing::Test {
public:
    void stop() { server_->stop(); }

protected:
    WebSocketTest() {
        HttpServer::Options options;
        options.host = "127.0.0.1";
        options.websocket.max_message = 10'000;
        options.websocket.max_queued_bytes = 50'000;
        server_.emplace(pool_, options);
        Seen* const seen = &seen_;
        server_->handle_websocket(
            "/ws",
            gate,
            [seen](async::Shard& shard, HttpRequest request, std::unique_ptr<WebSocket> socket) {
                return echo(shard, std::move(request), std::move(socket), seen);
            }
        );
        server_->start();
        pool_.start();
    }

    using Script = asio::awaitable<void> (*)(WebSocketTest&, WebSocket&);

    static asio::awaitable<void> connect_and_run(WebSocketTest& test, Script script) {
        auto socket = co_await test.connect("/ws", {});
        if (socket.has_error()) {
            ADD_FAILURE() << socket.error().message();
            co_return;
        }
        co_await script(test, **socket);
    }
    asio::awaitable<Result<std::unique_ptr<WebSocket>>> connect(
        std::string path, HttpHeaders headers
    ) {
        return websocket_connect(
            client_, local_url("ws", server_->port(), path), std::move(headers), 10s, WsLimits{}
        );
    }
    static asio::awaitable<void> connect_into(
        WebSocketTest& test, std::string path, HttpHeaders headers, error_code& error
    ) {
        const auto socket = co_await test.connect(std::move(path), std::move(headers));
        if (socket.has_error()) error = socket.error();
    }
    error_code connect_error(std::string path, HttpHeaders headers = {}) {
        error_code error;
        async::run_blocking(
            client_, connect_into(*this, std::move(path), std::move(headers), error)
        );
        return error;
    }
    void run(Script script) { async::run_blocking(client_, connect_and_run(*this, script)); }
    error_code server_end() { return seen_.ended.get_future().get(); }

    async::ShardPool pool_{1};
    async::Shard client_{9};
    Seen seen_;
    std::optional<HttpServer> server_;
};

asio::awaitable<void> exchange_messages(WebSocketTest&, WebSocket& socket) {
    for (int i = 0; i < 100; ++i)
        EXPECT_TRUE(socket.send_text("message " + std::to_string(i)));
    for (int i = 0; i < 100; ++i) {
        const auto message = co_await socket.read();
        EXPECT_TRUE(message.has_value());
        if (message.has_error()) co_return;
        EXPECT_EQ(message->data, "message " + std::to_string(i));
        EXPECT_FALSE(message->binary);
    }
    EXPECT_TRUE(socket.send_binary(std::string_view{"\0\xFF", 2}));
    const auto message = co_await socket.read();
    EXPECT_EQ(message->data, (std::string_view{"\0\xFF", 2}));
    EXPECT_TRUE(message->binary);
}

TEST_F(WebSocketTest, CarriesTextAndBinaryInOrderBothWays) { run(exchange_messages); }

asio::awaitable<void> close_from_client(WebSocketTest&, WebSocket& socket) {
    EXPECT_TRUE(socket.send_text("last words"));
    co_await socket.close(1000, "done");
    EXPECT_FALSE(socket.send_text("too late"));
    const auto message = co_await socket.read();
    EXPECT_TRUE(message.has_error());
}

TEST_F(WebSocketTest, OurCloseReachesThePeerAfterWhatWasQueued) {
    run(close_from_client);
    EXPECT_EQ(server_end(), asio::error::eof);
    EXPECT_EQ(seen_.close_code, 1000);
}

asio::awaitable<void> let_server_close(WebSocketTest&, WebSocket& socket) {
    EXPECT_TRUE(socket.send_text("close me"));
    const auto message = co_await socket.read();
    EXPECT_EQ(message.error(), asio::error::eof);
    EXPECT_EQ(socket.peer_close_code(), 4001);
    const auto again = co_await socket.read();
    EXPECT_EQ(again.error(), asio::error::eof) << "an ended socket stays ended";
    co_await socket.close(1000, "");  // nothing left to do
}

TEST_F(WebSocketTest, ThePeersCloseIsEndOfFileWithItsCode) {
    run(let_server_close);
    EXPECT_EQ(server_end(), error_code{});
}

asio::awaitable<void> make_server_flood(WebSocketTest&, WebSocket& socket) {
    EXPECT_TRUE(socket.send_text("flood me"));
    EXPECT_TRUE(socket.send_text("alive"));
    for (int i = 0; i < 51; ++i) {
        const auto message = co_await socket.read();
        EXPECT_TRUE(message.has_value());
        if (message.has_error()) co_return;
        if (message->data == "alive") {
            EXPECT_EQ(i, 50) << "50 blocks of 1000 bytes fit the queue";
            co_return;
        }
    }
    ADD_FAILURE() << "more than the bound was queued";
}

TEST_F(WebSocketTest, AFullSendQueueRefusesAndTheSocketGoesOn) {
    run(make_server_flood);
    server_end();
    EXPECT_TRUE(seen_.overflowed);
}

asio::awaitable<void> send_too_much(WebSocketTest&, WebSocket& socket) {
    EXPECT_TRUE(socket.send_text(std::string(10'001, 'x')));
    const auto message = co_await socket.read();
    EXPECT_TRUE(message.has_error());
    EXPECT_EQ(socket.peer_close_code(), 1009);
}

TEST_F(WebSocketTest, AMessageOverTheLimitEndsTheConnection) {
    run(send_too_much);
    EXPECT_NE(server_end(), asio::error::eof);
}

asio::awaitable<void> read_with_deadline(WebSocketTest&, WebSocket& socket) {
    auto reading = socket.read();
    const auto nothing = co_await async::with_deadline(std::move(reading), 10ms);
    EXPECT_EQ(nothing.error(), asio::error::timed_out);
    EXPECT_TRUE(socket.send_text("still here"));
    const auto message = co_await socket.read();
    EXPECT_TRUE(message.has_value());
    if (message.has_value()) EXPECT_EQ(message->data, "still here");
}

TEST_F(WebSocketTest, ADeadlineOnReadLosesNothing) { run(read_with_deadline); }

asio::awaitable<void> vanish(WebSocketTest&, WebSocket& socket) {
    EXPECT_TRUE(socket.send_text("hello"));
    const auto message = co_await socket.read();
    EXPECT_TRUE(message.has_value());
}

TEST_F(WebSocketTest, APeerThatVanishesIsAnError) {
    run(vanish);
    EXPECT_NE(server_end(), asio::error::eof);
}

asio::awaitable<void> stop_server(WebSocketTest& test, WebSocket&) {
    test.stop();
    co_return;
}

TEST_F(WebSocketTest, StopEndsOpenSockets) {
    run(stop_server);
    EXPECT_EQ(server_end(), asio::error::operation_aborted);
    EXPECT_EQ(server_->stats().open, 0u);
}

TEST_F(WebSocketTest, AGateRefusesWithItsAnswerBeforeTheUpgrade) {
    HttpHeaders headers;
    headers.emplace("X-Secret", "wrong");
    EXPECT_EQ(http_status_of(connect_error("/ws", headers)), 403);
    EXPECT_EQ(server_->stats().websockets, 0u);
}

TEST_F(WebSocketTest, AnUpgradeElsewhereIsNotFound) {
    EXPECT_EQ(http_status_of(connect_error("/other")), 404);
}

TEST_F(WebSocketTest, APlainRequestToTheSocketsPathIsToldToUpgrade) {
    RawClient client{server_->port()};
    client.send("GET /ws HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
    const auto answer = client.read_all();
    EXPECT_THAT(answer, HasSubstr(" 426 "));
    EXPECT_THAT(answer, HasSubstr("Upgrade: websocket\r\n"));
}

TEST_F(WebSocketTest, GarbageAfterTheUpgradeEndsThatConnectionOnly) {
    std::optional<RawClient> client{server_->port()};
    client->send(
        "GET /ws HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    EXPECT_THAT(client->read_until("\r\n\r\n"), HasSubstr(" 101 "));
    client->send("this is no frame, and it is not masked");
    EXPECT_THAT(client->read_all(), HasSubstr("\x88\x02\x03\xEA")) << "close frame, code 1002";
    client.reset();
    EXPECT_NE(server_end(), asio::error::eof);
}

using test::masked_frame;

/// A client that shakes hands.
struct RawWebSocket : RawClient {
    explicit RawWebSocket(std::uint16_t port) : RawClient{port} {
        send(
            "GET /ws HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        EXPECT_THAT(
            read_until("\r\n\r\n"),
            HasSubstr("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n")
        );
    }
};

TEST_F(WebSocketTest, FragmentsAreJoinedAndPingsBetweenThemAnswered) {
    RawWebSocket client{server_->port()};
    client.send(masked_frame(0x01, "in ") + masked_frame(0x89, "are you there?"));
    EXPECT_THAT(
        client.read_until("there?"),
        HasSubstr("\x8A\x0E"
                  "are you there?")
    );
    client.send(masked_frame(0x80, "parts"));
    EXPECT_THAT(client.read_until("parts"), HasSubstr("\x81\x08in parts"));
    const auto slow = masked_frame(0x81, "byte by byte");
    for (const char c : slow)
        client.send({&c, 1});
    EXPECT_THAT(
        client.read_until("byte by byte"),
        HasSubstr("\x81\x0C"
                  "byte by byte")
    );
}

TEST_F(WebSocketTest, AClientsCloseIsAnsweredWithItsCodeAndTheConnectionEnded) {
    RawWebSocket client{server_->port()};
    client.send(
        masked_frame(0x81, "before") + masked_frame(
                                           0x88,
                                           "\x0F\xA1"
                                           "enough"
                                       )
    );
    EXPECT_THAT(
        client.read_all(),
        ::testing::EndsWith("\x81\x06"
                            "before\x88\x02\x0F\xA1")
    );
    EXPECT_EQ(server_end(), asio::error::eof);
    EXPECT_EQ(seen_.close_code, 4001);
}

TEST_F(WebSocketTest, AMessageThatIsAnnouncedTooLongIsRefusedAtOnce) {
    RawWebSocket client{server_->port()};
    client.send(masked_frame(0x81, std::string(10'001, 'x')).substr(0, 8));
    EXPECT_THAT(client.read_all(), ::testing::EndsWith("\x88\x02\x03\xF1")) << "code 1009";
    EXPECT_EQ(server_end(), NetErrc::websocket_broken);
}

TEST_F(WebSocketTest, TextThatIsNotUtf8IsRefused) {
    RawWebSocket client{server_->port()};
    client.send(masked_frame(0x81, "\xC3\x28"));
    EXPECT_THAT(client.read_all(), ::testing::EndsWith("\x88\x02\x03\xEF")) << "code 1007";
}

TEST_F(WebSocketTest, AHandshakeOfAnotherVersionOrWithoutAKeyIsRefused) {
    const std::string head =
        "GET /ws HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n";
    const std::string key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    RawClient old{server_->port()};
    old.send(head + key + "Sec-WebSocket-Version: 8\r\n\r\n");
    const auto answer = old.read_until("\r\n\r\n");
    EXPECT_THAT(answer, HasSubstr(" 426 "));
    EXPECT_THAT(answer, HasSubstr("Sec-WebSocket-Version: 13\r\n"));
    for (const std::string& wrong : {std::string{}, std::string{"Sec-WebSocket-Key: AAAA\r\n"}}) {
        RawClient keyless{server_->port()};
        keyless.send(head + wrong + "Sec-WebSocket-Version: 13\r\n\r\n");
        EXPECT_THAT(keyless.read_until("\r\n\r\n"), HasSubstr(" 400 ")) << wrong;
    }
    EXPECT_EQ(server_->stats().websockets, 0u);
}

}  // namespace
}  // namespace oavc::net
