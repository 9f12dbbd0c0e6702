// Who may place a call over Twilio: webhooks, signatures, tokens and free places.

#include "support/http.hpp"
#include "support/twilio_calls.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace oavc::transports::twilio {
namespace {

using ::testing::HasSubstr;

class TwilioAdmission : public TwilioCallTest {};

TEST_F(TwilioAdmission, AnswersAWebhookByGet) {
    start();
    auto placed = twilio();
    EXPECT_EQ(ask(*placed, "GET").status, 200);
    EXPECT_EQ(open(*placed), error_code{});
    hang_up(*placed, this->call());
}

TEST_F(TwilioAdmission, SendsTheStreamToThePublicNameAndChecksSignaturesOverIt) {
    config_.public_url = "https://voice.example.test/";
    start();
    auto settings = this->settings();
    settings.public_url = "https://voice.example.test";
    FakeTwilio twilio{shard_, settings};
    EXPECT_EQ(ask(twilio).status, 200);
    EXPECT_EQ(twilio.stream_url(), "wss://voice.example.test/ws");
    EXPECT_EQ(open(twilio), error_code{});
    hang_up(twilio, this->call());
    settings.public_url = "https://other.example.test";
    FakeTwilio other{shard_, settings};
    EXPECT_EQ(ask(other).status, 403);
}

TEST_F(TwilioAdmission, APublicUrlMayHaveAPath) {
    config_.public_url = "https://voice.example.test/oavc";
    start();
    net::HttpClientRequest request;
    request.method = "POST";
    request.url = test::local_url("http", server_->port(), "/");
    request.body = "CallSid=CA1";
    const Form form{{"CallSid", "CA1"}};
    for (const std::string configured : {"/oavc", "/oavc/"}) {
        request.headers["X-Twilio-Signature"] =
            sign(auth_token, "https://voice.example.test" + configured, form);
        EXPECT_EQ(test::fetch(request)->status, 200) << configured;
    }
    EXPECT_THAT(test::fetch(request)->body, HasSubstr("\"wss://voice.example.test/oavc/ws\""));
    request.headers["X-Twilio-Signature"] = sign(auth_token, "https://voice.example.test/", form);
    EXPECT_EQ(test::fetch(request)->status, 403);
}

TEST_F(TwilioAdmission, ALocalTrialMayUseAnyNameOfThisMachine) {
    start();
    net::HttpClientRequest request;
    request.method = "POST";
    request.body = "CallSid=CA1";
    const Form form{{"CallSid", "CA1"}};
    request.url = "http://localhost:" + std::to_string(server_->port()) + "/";
    request.headers["X-Twilio-Signature"] = sign(auth_token, request.url, form);
    const auto answer = test::fetch(request);
    EXPECT_EQ(answer->status, 200);
    EXPECT_THAT(
        answer->body, HasSubstr("\"ws://localhost:" + std::to_string(server_->port()) + "/ws\"")
    );
    request.headers["Host"] = "h/x?y";
    EXPECT_EQ(test::fetch(request)->status, 403);
}

TEST_F(TwilioAdmission, RefusesForgedWebhooksAndSockets) {
    start();
    auto settings = this->settings();
    settings.auth_token = "ffffffffffffffffffffffffffffffff";
    FakeTwilio forger{shard_, settings};
    EXPECT_EQ(ask(forger).status, 403);
    settings.sign = false;
    FakeTwilio unsigned_one{shard_, settings};
    EXPECT_EQ(ask(unsigned_one).status, 403);
    EXPECT_EQ(ask(unsigned_one, "GET").status, 403);
    EXPECT_EQ(connector_.in_use(), 0u);

    auto honest = twilio();
    ask(*honest);
    settings.sign = true;
    FakeTwilio thief{shard_, settings};
    EXPECT_EQ(ask(thief).status, 403);
    EXPECT_EQ(open(*honest), error_code{});
    EXPECT_EQ(listener_->stats().forged, 4u);
    hang_up(*honest, this->call());
    EXPECT_EQ(connector_.calls(), 1u);
}

asio::awaitable<void> connect_unsigned(async::Shard& shard, std::uint16_t port, int& status) {
    const auto socket = co_await net::websocket_connect(
        shard, test::local_url("ws", port, "/ws"), {}, 10s, net::WsLimits{}
    );
    status = socket.has_error() ? net::http_status_of(socket.error()) : 101;
}

TEST_F(TwilioAdmission, RefusesAnUnsignedHandshake) {
    start();
    int status = 0;
    run(connect_unsigned(shard_, server_->port(), status));
    EXPECT_EQ(status, 403);
}

TEST_F(TwilioAdmission, RefusesATokenThatIsWrongUsedOrOfAnotherCall) {
    start();
    auto first = place_call();
    auto& call = this->call();

    auto second = twilio();  // shows the first one's token, which is used
    ask(*second);
    second->use_token(first->token());
    EXPECT_EQ(open(*second), error_code{});
    run(second->live_until_closed());
    EXPECT_EQ(second->close_code(), 1008);

    auto settings = this->settings();
    settings.call_sid = "CA00000000000000000000000000000002";
    FakeTwilio other{shard_, settings};
    ask(other);
    const auto others_token = other.token();
    auto thief = twilio();
    ask(*thief);
    thief->use_token(others_token);
    EXPECT_EQ(open(*thief), error_code{});
    run(thief->live_until_closed());
    EXPECT_EQ(thief->close_code(), 1008);
    EXPECT_EQ(listener_->stats().refused_sockets, 2u);
    EXPECT_EQ(connector_.calls(), 1u);
    hang_up(*first, call);
}

TEST_F(TwilioAdmission, RefusesAStreamThatDoesNotBeginWithStart) {
    start();
    for (const std::string_view first :
         {R"({"event":"stop","streamSid":"MZ1"})",
          R"({"event":"media","media":{"payload":"AAAA"}})",
          "garbage"}) {
        auto stranger = twilio();
        ask(*stranger);
        ASSERT_EQ(open(*stranger, false), error_code{});
        stranger->send_text(first);
        run(stranger->live_until_closed());
        EXPECT_EQ(stranger->close_code(), 1008) << first;
    }
    EXPECT_EQ(connector_.calls(), 0u);
}

TEST_F(TwilioAdmission, ARepeatedWebhookKeepsOnePlaceAndItsLastTokenCounts) {
    start();
    auto placed = twilio();
    ask(*placed);
    const auto lost = placed->token();
    ask(*placed);
    EXPECT_NE(placed->token(), lost);
    EXPECT_EQ(connector_.in_use(), 1u);
    EXPECT_EQ(open(*placed), error_code{});
    hang_up(*placed, this->call());
}

TEST_F(TwilioAdmission, IsBusyWithoutAPlaceAndWhileStopping) {
    start();
    connector_.capacity = 1;
    auto first = place_call();
    auto& call = this->call();
    auto settings = this->settings();
    settings.call_sid = "CA00000000000000000000000000000002";
    FakeTwilio second{shard_, settings};
    const auto busy = ask(second);
    EXPECT_EQ(busy.status, 200);
    EXPECT_THAT(busy.body, HasSubstr("<Reject reason=\"busy\"/>"));
    connector_.capacity = 10;
    listener_->stop_accepting();
    EXPECT_THAT(ask(second).body, HasSubstr("<Reject reason=\"busy\"/>"));
    EXPECT_EQ(listener_->stats().busy, 2u);
    EXPECT_FALSE(first->closed()) << "running calls go on";
    hang_up(*first, call);
}

TEST_F(TwilioAdmission, GivesThePlaceBackWhenTheSocketNeverComes) {
    config_.token_ttl = 1s;
    start();
    auto placed = twilio();
    ask(*placed);
    EXPECT_EQ(connector_.in_use(), 1u);
    const TimePoint limit = Clock::now() + 10s;
    while (connector_.in_use() != 0 && Clock::now() < limit)
        std::this_thread::yield();
    EXPECT_EQ(connector_.in_use(), 0u);
    EXPECT_EQ(open(*placed), error_code{});
    run(placed->live_until_closed());
    EXPECT_EQ(placed->close_code(), 1008);
    EXPECT_EQ(listener_->stats().expired, 1u);
}

TEST_F(TwilioAdmission, AWebhookWithoutACallIsABadRequest) {
    config_.validate_signatures = false;
    start();
    net::HttpClientRequest request;
    request.method = "POST";
    request.url = test::local_url("http", server_->port(), "/");
    request.body = "From=%2B1";
    EXPECT_EQ(test::fetch(request)->status, 400);
    request.body = "CallSid=..%2F..";
    EXPECT_EQ(test::fetch(request)->status, 400);
    request.body.clear();
    for (int i = 0; i < 2000; ++i)
        request.body += "a=b&";
    EXPECT_EQ(test::fetch(request)->status, 413);
}

TEST(TwilioListenerConfig, StartThrowsWithEveryProblem) {
    async::ShardPool pool{1};
    net::HttpServer server{pool, {}};
    Connector connector;
    Config config;
    config.public_url = "nonsense";
    TwilioListener listener{config, server, pool, connector};
    try {
        listener.start();
        FAIL();
    } catch (const std::runtime_error& e) {
        EXPECT_THAT(e.what(), HasSubstr("auth_token"));
        EXPECT_THAT(e.what(), HasSubstr("nonsense"));
    }
}

/// Another instance behind the same address, with places of its own.
class TwilioAnyInstance : public TwilioCallTest {
protected:
    void SetUp() override {
        config_.any_instance = true;
        config_.public_url = "https://voice.example.test";
        start();
        net::HttpServer::Options options;
        options.host = "127.0.0.1";
        other_server_.emplace(pool_, options);
        other_.emplace(config_, *other_server_, pool_, other_connector_);
        other_server_->start();
        other_->start();
    }
    void TearDown() override {
        other_->stop();
        other_server_->stop();
        EXPECT_EQ(other_connector_.in_use(), 0u);
    }
    /// Shows the other instance the token that this one's webhook gave.
    std::unique_ptr<FakeTwilio> shows_the_other(const std::string& token) {
        auto settings = this->settings();
        settings.port = other_server_->port();
        auto there = std::make_unique<FakeTwilio>(shard_, settings);
        EXPECT_EQ(ask(*there).status, 200);
        there->use_token(token);
        EXPECT_EQ(open(*there), error_code{});
        return there;
    }

    Connector other_connector_;
    std::optional<net::HttpServer> other_server_;
    std::optional<TwilioListener> other_;
};

TEST_F(TwilioAnyInstance, TakesTheCallThatAnotherOnesWebhookAnswered) {
    auto here = twilio();
    EXPECT_EQ(ask(*here).status, 200);
    EXPECT_EQ(connector_.in_use(), 0u) << "the place is taken where the socket comes";
    auto there = shows_the_other(here->token());
    live_until(*there, [this] { return other_connector_.calls() == 1; });
    auto& call = *other_connector_.record(0);
    EXPECT_EQ(call.info.native_id, settings().call_sid);
    EXPECT_EQ(call.info.from, "+905321112233");
    EXPECT_EQ(call.info.to, "+902125550100");
    EXPECT_EQ(other_connector_.in_use(), 1u);
    hang_up(*there, call);
    EXPECT_EQ(connector_.calls(), 0u);
}

TEST_F(TwilioAnyInstance, TakesNoTokenTwice) {
    auto here = twilio();
    ask(*here);
    auto there = shows_the_other(here->token());
    live_until(*there, [this] { return other_connector_.calls() == 1; });
    auto again = shows_the_other(here->token());
    run(again->live_until_closed());
    EXPECT_EQ(other_->stats().refused_sockets, 1u);
    hang_up(*there, *other_connector_.record(0));
    EXPECT_EQ(other_connector_.calls(), 1u);
}

TEST_F(TwilioAnyInstance, RefusesAtTheWebhookOrAtTheSocketWhenItIsFull) {
    auto here = twilio();
    ask(*here);
    other_connector_.capacity = 0;
    auto settings = this->settings();
    settings.port = other_server_->port();
    FakeTwilio webhook{shard_, settings};
    EXPECT_THAT(ask(webhook).body, HasSubstr("<Reject"));
    other_connector_.capacity = 1;
    auto there = std::make_unique<FakeTwilio>(shard_, settings);
    ask(*there);
    other_connector_.capacity = 0;
    there->use_token(here->token());
    EXPECT_EQ(open(*there), error_code{});
    run(there->live_until_closed());
    EXPECT_EQ(other_->stats().busy, 2u);
    EXPECT_EQ(other_connector_.calls(), 0u);
}

TEST_F(TwilioAnyInstance, PlacesNoCalls) { EXPECT_EQ(listener_->dialer(), nullptr); }

}  // namespace
}  // namespace oavc::transports::twilio
