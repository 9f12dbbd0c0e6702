// HTTP and WebSocket over TLS: who is let in, what the others hear, and certificates that change.
#include "async/run_blocking.hpp"
#include "net/detail/ssl_handle.hpp"
#include "net/http_client.hpp"
#include "net/http_server.hpp"
#include "net/tls.hpp"
#include "support/alloc_guard.hpp"
#include "support/comes_true.hpp"
#include "support/http.hpp"
#include "support/raw_client.hpp"
#include "support/tls_peer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace oavc::net {
namespace {

using test::comes_true;
using test::local_url;
using test::RawClient;
using test::SelfMadeCertificate;
using test::TlsPeer;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::string_view ask = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

asio::awaitable<HttpResponse> describe(async::Shard&, HttpRequest request) {
    HttpResponse response;
    response.body = request.secure ? "secure" : "plain";
    co_return response;
}

asio::awaitable<std::optional<HttpResponse>> count(async::Shard&, HttpRequest, LongAnswer& answer) {
    HttpResponse head;
    head.body = "begin";
    const bool begun = co_await answer.begin(std::move(head));
    if (!begun) co_return std::nullopt;
    std::string end = " end";
    co_await answer.write(std::move(end));
    co_return std::nullopt;
}

std::string folder() { return testing::TempDir(); }

/// What a client says first.
std::string client_hello() {
    const auto context = TlsPeer::make_context(TLS_client_method(), {});
    detail::SslHandle client{SSL_new(context.get())};
    BIO* const out = BIO_new(BIO_s_mem());
    SSL_set_bio(client.get(), BIO_new(BIO_s_mem()), out);
    SSL_connect(client.get());
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(out, &bytes);  // NOLINT
    return {bytes, static_cast<std::size_t>(size)};
}

void replace(const SelfMadeCertificate& old, const SelfMadeCertificate& with) {
    const auto how = std::filesystem::copy_options::overwrite_existing;
    std::filesystem::copy_file(with.certificate_file, old.certificate_file, how);
    std::filesystem::copy_file(with.key_file, old.key_file, how);
}

class HttpTlsTest : public testing::Test {
protected:
    HttpTlsTest() {
        options_.host = "127.0.0.1";
        options_.tls.emplace();
        options_.tls->host = "127.0.0.1";
        options_.tls->identity = {ours.certificate_file, ours.key_file, {}, false};
    }
    ~HttpTlsTest() override {
        if (!server_) return;
        server_->stop();
        pool_.drain_and_join();
    }

    void start() {
        server_.emplace(pool_, options_);
        server_->handle("GET", "/", describe);
        server_->handle_long("GET", "/long", count);
        const auto anybody = [](const HttpRequest&) { return std::optional<HttpResponse>{}; };
        for (std::size_t i = 0; i < pool_.size(); ++i) {
            const auto echo =
                [this](async::Shard& shard, HttpRequest, std::unique_ptr<WebSocket> socket) {
                    return answer(&shard, std::move(socket));
                };
            server_->handle_websocket("/ws/" + std::to_string(i), anybody, echo, i);
        }
        server_->start();
        pool_.start();
    }
    /// Its messages come back with the shard's number before them.
    asio::awaitable<void> answer(async::Shard* shard, std::unique_ptr<WebSocket> socket) {
        for (;;) {
            const auto message = co_await socket->read();
            if (message.has_error()) co_return;
            if (message->data == "how much?") {
                socket->send_text(std::to_string(test::allocations()));
                continue;
            }
            std::string text = std::to_string(shard->index()) + ":";
            text += message->data;
            socket->send_text(text);
        }
    }

    Result<HttpResponse> get(std::string_view target, const TlsIdentity& as) const {
        HttpClientRequest request;
        request.url = local_url("https", server_->tls_port(), target);
        request.tls = as;
        return test::fetch(std::move(request));
    }
    TlsIdentity trusting() const { return {.ca_file = ours.certificate_file}; }
    TlsPeer::Settings peer(const SelfMadeCertificate* own = nullptr) const {
        return {.trusted = &ours, .own = own};
    }
    /// Whether a client with that certificate gets an answer. TLS 1.3 tells the refusal only then.
    bool answered(const SelfMadeCertificate* own) const {
        TlsPeer client{server_->tls_port(), peer(own)};
        client.send(ask);
        return client.receive().starts_with("HTTP/1.1 200");
    }

    SelfMadeCertificate ours{folder(), "bot.example", "DNS:bot.example, IP:127.0.0.1"};
    SelfMadeCertificate theirs{folder(), "client.example"};
    HttpServer::Options options_;
    async::ShardPool pool_{2};
    std::optional<HttpServer> server_;
};

TEST_F(HttpTlsTest, ServesTheSameAsThePlainPort) {
    start();
    const auto secure = get("/", trusting());
    ASSERT_TRUE(secure) << secure.error().message();
    EXPECT_EQ(secure->body, "secure");
    HttpClientRequest request;
    request.url = local_url("http", server_->port(), "/");
    const auto plain = test::fetch(std::move(request));
    ASSERT_TRUE(plain);
    EXPECT_EQ(plain->body, "plain");
    EXPECT_EQ(server_->stats().tls_handshakes, 1u);
}

TEST_F(HttpTlsTest, AnAnswerWithoutALengthHasAnEnd) {
    start();
    TlsPeer client{server_->tls_port(), peer()};
    client.send("GET /long HTTP/1.1\r\nHost: x\r\n\r\n");
    std::string all;
    while (client.is_open())
        all += client.receive();
    EXPECT_THAT(all, HasSubstr("begin end"));
    EXPECT_TRUE(client.was_ended()) << "nobody could tell it from one that was cut";
}

TEST_F(HttpTlsTest, NothingOlderThanTls12IsSpoken) {
    start();
    auto settings = peer();
    settings.newest = TLS1_1_VERSION;
    EXPECT_FALSE(TlsPeer(server_->tls_port(), settings).is_open());
    EXPECT_TRUE(comes_true([&] { return server_->stats().tls_failed == 1; }));
    settings.newest = TLS1_2_VERSION;
    EXPECT_TRUE(TlsPeer(server_->tls_port(), settings).is_open());
    settings.newest = TLS1_3_VERSION;
    EXPECT_TRUE(TlsPeer(server_->tls_port(), settings).is_open());
}

TEST_F(HttpTlsTest, WhoMustShowACertificateShowsATrustedOneThatHolds) {
    options_.tls->identity.verify_clients = true;
    options_.tls->identity.ca_file = theirs.certificate_file;
    start();
    EXPECT_FALSE(answered(nullptr));
    EXPECT_FALSE(answered(&ours)) << "nobody vouches for it";
    EXPECT_TRUE(comes_true([&] { return server_->stats().tls_bad_certificates == 2; }));
    EXPECT_TRUE(answered(&theirs));
    EXPECT_EQ(server_->stats().tls_bad_certificates, 2u);
    EXPECT_EQ(server_->stats().tls_failed, 0u);
}

TEST_F(HttpTlsTest, ACertificateThatIsOverIsRefused) {
    const SelfMadeCertificate over{folder(), "client.example", {}, -60};
    options_.tls->identity.verify_clients = true;
    options_.tls->identity.ca_file = over.certificate_file;
    start();
    EXPECT_FALSE(answered(&over));
    EXPECT_TRUE(comes_true([&] { return server_->stats().tls_bad_certificates == 1; }));
}

TEST_F(HttpTlsTest, AClientThatShowedItsCertificateMayResume) {
    options_.tls->identity.verify_clients = true;
    options_.tls->identity.ca_file = theirs.certificate_file;
    start();
    TlsPeer first{server_->tls_port(), peer(&theirs)};
    first.send(ask);
    EXPECT_THAT(first.receive(), StartsWith("HTTP/1.1 200"));
    const auto session = first.session();
    auto settings = peer(&theirs);
    settings.resume = session.get();
    TlsPeer again{server_->tls_port(), settings};
    again.send(ask);
    EXPECT_THAT(again.receive(), StartsWith("HTTP/1.1 200"));
    EXPECT_TRUE(again.resumed());
}

TEST_F(HttpTlsTest, OurClientsShowTheirs) {
    options_.tls->identity.verify_clients = true;
    options_.tls->identity.ca_file = theirs.certificate_file;
    start();
    EXPECT_FALSE(get("/", trusting()));
    auto known = trusting();
    known.certificate_file = theirs.certificate_file;
    known.key_file = theirs.key_file;
    const auto answer = get("/", known);
    ASSERT_TRUE(answer) << answer.error().message();
    EXPECT_EQ(answer->body, "secure");
}

TEST_F(HttpTlsTest, OurClientsBelieveNoCertificateThatIsOver) {
    const SelfMadeCertificate over{folder(), "bot.example", "IP:127.0.0.1", -60};
    options_.tls->identity = {over.certificate_file, over.key_file, {}, false};
    start();
    const auto refused = get("/", {.ca_file = over.certificate_file});
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message(), HasSubstr("certificate verify failed"));
}

TEST_F(HttpTlsTest, AClientWithoutTlsIsToldSo) {
    start();
    RawClient client{server_->tls_port()};
    client.send(ask);
    const auto told = client.read_all();
    EXPECT_THAT(told, StartsWith("HTTP/1.1 400 "));
    EXPECT_THAT(told, HasSubstr("https://"));
    EXPECT_EQ(server_->stats().tls_plain_http, 1u);
    EXPECT_EQ(server_->stats().tls_failed, 0u);
}

TEST_F(HttpTlsTest, AHandshakeThatNobodyGoesOnWithHoldsUpNobodyAndEnds) {
    options_.tls->handshake_timeout = 500ms;
    start();
    RawClient silent{server_->tls_port()};
    RawClient slow{server_->tls_port()};
    slow.send("\x16\x03\x01");  // a ClientHello begins
    EXPECT_TRUE(answered(nullptr));
    EXPECT_EQ(silent.read_all(), "");
    EXPECT_EQ(slow.read_all(), "");
    EXPECT_TRUE(comes_true([&] { return server_->stats().tls_failed == 2; }));
    EXPECT_TRUE(comes_true([&] { return server_->stats().open == 0; }));
}

TEST_F(HttpTlsTest, GarbageIsCountedAndGone) {
    start();
    RawClient client{server_->tls_port()};
    client.send(std::string(600, '\x80'));
    client.read_all();
    EXPECT_TRUE(comes_true([&] { return server_->stats().tls_failed == 1; }));
    EXPECT_TRUE(answered(nullptr));
}

TEST_F(HttpTlsTest, ACrowdOfHandshakesWaitsForItsTurnOrIsSentAway) {
    options_.tls->handshake_gap = 3s;
    start();
    // Two shards: the first of each begins, the second of each would wait for too long.
    std::vector<std::unique_ptr<RawClient>> crowd;
    for (int i = 0; i < 4; ++i) {
        crowd.push_back(std::make_unique<RawClient>(server_->tls_port()));
        crowd.back()->send(client_hello());
    }
    EXPECT_TRUE(comes_true([&] { return server_->stats().tls_busy == 2; }));
    EXPECT_EQ(server_->stats().open, 2u);
}

TEST_F(HttpTlsTest, WhoSaysNothingTakesNobodysTurn) {
    options_.tls->handshake_gap = 3s;
    start();
    std::vector<std::unique_ptr<RawClient>> silent;
    for (int i = 0; i < 4; ++i)
        silent.push_back(std::make_unique<RawClient>(server_->tls_port()));
    silent[0]->send(client_hello().substr(0, 100));
    EXPECT_TRUE(comes_true([&] { return server_->stats().accepted == 4; }));
    EXPECT_TRUE(answered(nullptr));
    EXPECT_EQ(server_->stats().tls_busy, 0u);
}

TEST_F(HttpTlsTest, HandshakesThatWereHeldBackBeginOneAfterAnother) {
    options_.tls->handshake_gap = 300ms;
    start();
    std::vector<std::unique_ptr<RawClient>> crowd;
    for (int i = 0; i < 6; ++i)
        crowd.push_back(std::make_unique<RawClient>(server_->tls_port()));
    const auto long_enough = Clock::now() + 700ms;  // for three turns on each of two shards
    EXPECT_TRUE(comes_true([&] { return Clock::now() >= long_enough; }));
    const auto begun = Clock::now();
    for (const auto& client : crowd)
        client->send(client_hello());
    for (const auto& client : crowd)
        EXPECT_THAT(client->read_until("\x16\x03\x03"), StartsWith("\x16\x03\x03"));
    EXPECT_GE(Clock::now() - begun, 600ms);
}

TEST_F(HttpTlsTest, HandshakesAreMadeOneAfterAnother) {
    options_.tls->handshake_gap = 300ms;
    start();
    const auto begun = Clock::now();
    for (int i = 0; i < 6; ++i)
        EXPECT_TRUE(answered(nullptr));
    EXPECT_GE(Clock::now() - begun, 600ms) << "three on each of two shards";
    EXPECT_EQ(server_->stats().tls_handshakes, 6u);
}

asio::awaitable<void> talk(
    async::Shard* shard, std::string url, std::string ca, std::string* heard
) {
    TlsIdentity believed{.ca_file = std::move(ca)};
    auto socket = co_await websocket_connect(*shard, url, {}, 10s, {}, std::move(believed));
    if (socket.has_error()) {
        *heard = socket.error().message();
        co_return;
    }
    for (const std::string_view word : {"one", "two"}) {
        (*socket)->send_text(word);
        const auto message = co_await (*socket)->read();
        if (message.has_error()) co_return;
        *heard += std::string{message->data} + " ";
    }
    co_await (*socket)->close(1000, {});
}

TEST_F(HttpTlsTest, AWebSocketComesToTheShardOfItsPath) {
    start();
    async::Shard shard{9};
    // Connections are dealt in turn: each path is reached from its own shard and from the other.
    for (const auto* const path : {"/ws/0", "/ws/0", "/ws/1", "/ws/1", "/ws/0"}) {
        std::string heard;
        const auto url = local_url("wss", server_->tls_port(), path);
        async::run_blocking(shard, talk(&shard, url, ours.certificate_file, &heard));
        const std::string number{path[4]};
        EXPECT_EQ(heard, number + ":one " + number + ":two ") << path;
    }
    EXPECT_TRUE(comes_true([&] { return server_->stats().open == 0; }));
    EXPECT_EQ(server_->stats().websockets, 5u);
}

/// Allocations of the server's shard for each of `messages`, once they are the usual.
asio::awaitable<void> weigh(
    async::Shard* shard, std::string url, std::string ca, std::uint64_t* each
) {
    constexpr std::uint64_t messages = 100;
    TlsIdentity believed{.ca_file = std::move(ca)};
    auto socket = co_await websocket_connect(*shard, url, {}, 10s, {}, std::move(believed));
    if (socket.has_error()) co_return;
    std::uint64_t before = 0;
    for (int round = 0; round < 3; ++round) {
        for (std::uint64_t i = 0; i < messages; ++i) {
            (*socket)->send_text(std::string(230, 'x'));  // what 20 ms are in Twilio's JSON
            const auto echoed = co_await (*socket)->read();
            if (echoed.has_error()) co_return;
        }
        (*socket)->send_text("how much?");
        const auto told = co_await (*socket)->read();
        if (told.has_error()) co_return;
        const auto now = std::stoull(std::string{told->data});
        *each = (now - before) / messages;
        before = now;
    }
}

TEST_F(HttpTlsTest, OnlyOpenSslAllocatesForAMessageOverTls) {
    start();
    async::Shard shard{9};
    std::uint64_t plain = 1000;
    std::uint64_t secure = 2000;
    const auto plain_url = local_url("ws", server_->port(), "/ws/0");
    async::run_blocking(shard, weigh(&shard, plain_url, {}, &plain));
    const auto secure_url = local_url("wss", server_->tls_port(), "/ws/0");
    async::run_blocking(shard, weigh(&shard, secure_url, ours.certificate_file, &secure));
    RecordProperty("plain", std::to_string(plain));
    RecordProperty("secure", std::to_string(secure));
    // There and back are two records; OpenSSL 3.0 makes two small packet writers for each, and
    // gives them back at once.
    EXPECT_LE(secure, plain + 4);
}

TEST_F(HttpTlsTest, CertificatesAreReplacedForConnectionsToCome) {
    start();
    TlsPeer old{server_->tls_port(), peer()};
    ASSERT_TRUE(old.is_open());
    const SelfMadeCertificate next{folder(), "next.example"};
    replace(ours, next);
    const auto next_is_shown = [&] {
        return TlsPeer(server_->tls_port(), {.trusted = &next}).is_open();
    };
    EXPECT_FALSE(next_is_shown());
    server_->reload_certificates();
    EXPECT_TRUE(comes_true(next_is_shown));
    old.send(ask);
    EXPECT_THAT(old.receive(), StartsWith("HTTP/1.1 200")) << "open connections go on";

    std::ofstream{ours.key_file} << "no key";
    try {
        server_->reload_certificates();
        FAIL();
    } catch (const std::runtime_error& error) {
        EXPECT_THAT(error.what(), StartsWith("[api] "));
        EXPECT_THAT(error.what(), HasSubstr(ours.key_file));
    }
    EXPECT_TRUE(next_is_shown()) << "the last good ones go on";
}

TEST_F(HttpTlsTest, ACertificateThatCannotBeReadIsToldAtStart) {
    options_.tls->identity.certificate_file = "/nowhere/server.pem";
    try {
        start();
        FAIL();
    } catch (const std::runtime_error& error) {
        EXPECT_THAT(error.what(), HasSubstr("/nowhere/server.pem"));
    }
    server_.reset();
}

TEST_F(HttpTlsTest, WhatClientsBelieveIsReadAgainWhenTold) {
    start();
    const SelfMadeCertificate believed{folder(), "next.example"};
    const TlsIdentity identity{.ca_file = believed.certificate_file};
    async::ShardPool clients{1};
    const auto reached = [&] {
        Result<HttpResponse> result{error_code{asio::error::fault}};
        HttpClientRequest request;
        request.url = local_url("https", server_->tls_port(), "/");
        request.tls = identity;
        async::run_blocking(
            clients[0], test::detail::fetch_into(clients[0], std::move(request), 10s, result)
        );
        return result.has_value();
    };
    load_client_identity(clients, identity);
    EXPECT_FALSE(reached());
    replace(believed, ours);
    EXPECT_FALSE(reached()) << "not before it is told";
    load_client_identity(clients, identity);
    EXPECT_TRUE(reached());
    std::ofstream{believed.certificate_file} << "nothing";
    EXPECT_THROW(load_client_identity(clients, identity), std::runtime_error);
    EXPECT_TRUE(reached()) << "the last good ones go on";
}

}  // namespace
}  // namespace oavc::net
