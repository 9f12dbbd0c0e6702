// Calls that we place over Twilio, and what the REST interface does to calls: transfers, keys.

#include "media/g711.hpp"
#include "support/twilio_calls.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <string>

namespace oavc::transports::twilio {
namespace {

using test::FakeTwilioRest;
using ::testing::HasSubstr;

/// How strong a frequency is in µ-law audio (Goertzel), relative to full scale.
double strength(std::span<const std::byte> ulaw, double frequency) {
    const double w = 2 * std::cos(2 * std::numbers::pi * frequency / 8000);
    double s1 = 0;
    double s2 = 0;
    for (const std::byte b : ulaw) {
        const double s0 =
            media::g711::ulaw_decode(std::to_integer<std::uint8_t>(b)) / 32768.0 + w * s1 - s2;
        s2 = s1;
        s1 = s0;
    }
    return std::sqrt(std::max(0.0, s1 * s1 + s2 * s2 - w * s1 * s2)) * 2 /
           static_cast<double>(ulaw.size());
}

class TwilioOutgoingTest : public TwilioCallTest {
protected:
    TwilioOutgoingTest() {
        config_.account_sid = "AC00000000000000000000000000000001";
        config_.phone_number = "+12025550123";
        config_.public_url = "https://voice.example.test";
        config_.api_url = rest_.url();
        config_.api_timeout = 2s;
    }

    Result<Dialled> dial(
        const std::string& to = "+902125550111",
        std::chrono::seconds patience = std::chrono::seconds{45}
    ) {
        DialRequest request;
        request.id = "0123456789abcdef";
        request.to = to;
        request.agent = "sales";
        request.patience = patience;
        request.parameters = {{"order", "77"}};
        auto& shard = pool_[1];
        return asio::co_spawn(
                   shard.context(),
                   listener_->dialer()->dial(shard, std::move(request)),
                   asio::use_future
        )
            .get();
    }
    /// The path that a URL in what we asked for leads to.
    std::string path_of(const std::string& field, std::size_t request = 0) const {
        return rest_.asked(request).field(field).substr(config_.public_url.size());
    }
    FakeTwilio::Settings callee(const std::string& target) const {
        auto settings = this->settings();
        settings.call_sid = "CAout1";
        settings.target = target;
        return settings;
    }
    /// What Twilio tells of the call.
    int tell(const std::string& status, const std::string& sip_status = "") {
        auto settings = callee(path_of("StatusCallback"));
        settings.webhook = {{"CallStatus", status}, {"SipResponseCode", sip_status}};
        FakeTwilio twilio{shard_, settings};
        return ask(twilio).status;
    }

    FakeTwilioRest rest_;
};

TEST_F(TwilioOutgoingTest, PlacesACallAndCarriesItOnceItIsAnswered) {
    start();
    const auto dialled = dial();
    ASSERT_TRUE(dialled) << dialled.error().message();
    EXPECT_EQ(dialled->via, "twilio");
    EXPECT_EQ(dialled->native_id, "CAout1");
    EXPECT_EQ(rest_.asked(0).field("To"), "+902125550111");
    EXPECT_EQ(rest_.asked(0).field("From"), "+12025550123");
    EXPECT_EQ(rest_.asked(0).field("Timeout"), "45");
    auto& call = this->call();
    EXPECT_EQ(tell("ringing"), 204);
    EXPECT_FALSE(call.answered);

    FakeTwilio callee{shard_, this->callee(path_of("Url"))};
    EXPECT_EQ(ask(callee).status, 200);
    EXPECT_EQ(callee.stream_url(), "wss://voice.example.test/ws/1") << "the shard of the call";
    ASSERT_EQ(open(callee), error_code{});
    callee.send_audio(std::vector<std::byte>(160, std::byte{7}));
    live_until(callee, [&] { return call.frames_so_far >= 1; });
    EXPECT_TRUE(call.answered);
    connector_.orders.frames_to_say = 3;
    live_until(callee, [&] { return callee.playback.heard().size() >= 3 * 160; });
    hang_up(callee, call);
    EXPECT_EQ(call.end.reason, EndReason::caller_hung_up);
    EXPECT_TRUE(call.info.outgoing);
    EXPECT_EQ(call.info.id, "0123456789abcdef");
    EXPECT_EQ(call.info.agent, "sales");
    EXPECT_EQ(call.info.from, "+12025550123");
    EXPECT_EQ(call.info.to, "+902125550111");
    EXPECT_EQ(call.info.parameters.at("order"), "77");
    EXPECT_EQ(rest_.count(), 1u) << "closing the socket hangs up";
    EXPECT_EQ(listener_->stats().placed, 1u);
}

TEST_F(TwilioOutgoingTest, TellsWhyNobodyAnswered) {
    struct Case {
        const char* status;
        const char* sip;
        CallControlErrc error;
    };
    start();
    std::size_t index = 0;
    for (const auto& c : {
             Case{"busy", "486", CallControlErrc::busy},
             Case{"no-answer", "", CallControlErrc::no_answer},
             Case{"failed", "404", CallControlErrc::not_found},
             Case{"failed", "503", CallControlErrc::unavailable},
             Case{"canceled", "", CallControlErrc::gone},
         }) {
        ASSERT_TRUE(dial());
        auto& call = this->call(index);
        auto settings = callee(path_of("StatusCallback", index));
        settings.call_sid = call.info.native_id;
        settings.webhook = {{"CallStatus", c.status}, {"SipResponseCode", c.sip}};
        FakeTwilio twilio{shard_, settings};
        EXPECT_EQ(ask(twilio).status, 204);
        call.ended.wait();
        EXPECT_EQ(call.connect_error, c.error) << c.status << c.sip;
        ++index;
    }
    EXPECT_EQ(rest_.count(), index) << "what has ended is not hung up";
}

TEST_F(TwilioOutgoingTest, NewsThatNobodySignedIsNoNews) {
    start();
    ASSERT_TRUE(dial());
    auto& call = this->call();
    auto settings = callee(path_of("StatusCallback"));
    settings.webhook = {{"CallStatus", "busy"}};
    settings.sign = false;
    FakeTwilio forger{shard_, settings};
    EXPECT_EQ(ask(forger).status, 403);
    EXPECT_EQ(tell("no-answer"), 204);
    call.ended.wait();
    EXPECT_EQ(call.connect_error, CallControlErrc::no_answer);
}

TEST_F(TwilioOutgoingTest, StoppingWithdrawsWhatRings) {
    start();
    ASSERT_TRUE(dial());
    auto& call = this->call();
    listener_->stop();
    call.ended.wait();
    EXPECT_EQ(call.connect_error, asio::error::operation_aborted);
    ASSERT_EQ(rest_.count(), 2u);
    EXPECT_EQ(rest_.asked(1).field("Status"), "completed");
    EXPECT_THAT(rest_.asked(1).path, HasSubstr("/Calls/CAout1.json"));
}

TEST_F(TwilioOutgoingTest, ACallThatNobodyWaitsForIsHungUpAtItsFirstSign) {
    start();
    rest_.next({.status = 201, .body = R"({"sid":"CAout1"})", .after = 30s});
    config_.api_timeout = 2s;
    EXPECT_EQ(dial().error(), CallControlErrc::unavailable) << "it may ring all the same";
    EXPECT_EQ(connector_.in_use(), 0u);
    EXPECT_EQ(tell("ringing"), 204);
    ASSERT_TRUE(rest_.wait_for(2));
    EXPECT_EQ(rest_.asked(1).field("Status"), "completed");
    // And its socket is refused.
    FakeTwilio callee{shard_, this->callee(path_of("Url"))};
    EXPECT_EQ(ask(callee).status, 200);
    ASSERT_EQ(open(callee), error_code{});
    run(callee.live_until_closed());
    EXPECT_EQ(callee.close_code(), 1008);
    EXPECT_EQ(listener_->stats().orphans, 1u);
}

TEST_F(TwilioOutgoingTest, AnAnswerIsTakenOnce) {
    start();
    ASSERT_TRUE(dial());
    auto& call = this->call();
    FakeTwilio callee{shard_, this->callee(path_of("Url"))};
    EXPECT_EQ(ask(callee).status, 200);
    ASSERT_EQ(open(callee), error_code{});
    live_until(callee, [&] { return call.answered.load(); });
    FakeTwilio second{shard_, this->callee(path_of("Url"))};
    EXPECT_EQ(ask(second).status, 200);
    ASSERT_EQ(open(second), error_code{});
    run(second.live_until_closed());
    EXPECT_EQ(second.close_code(), 1008);
    hang_up(callee, call);
}

TEST_F(TwilioOutgoingTest, SaysWhatTheCarrierSaidToThePlacing) {
    start();
    rest_.next({401, R"({"code":20003,"message":"Authenticate"})"});
    EXPECT_EQ(dial().error(), CallControlErrc::unavailable);
    rest_.next({400, R"({"code":21211,"message":"Invalid 'To'"})"});
    EXPECT_EQ(dial().error(), CallControlErrc::bad_target);
    EXPECT_EQ(dial("what").error(), CallControlErrc::bad_target);
    connector_.capacity = 0;
    EXPECT_EQ(dial().error(), CallControlErrc::no_capacity);
    EXPECT_EQ(rest_.count(), 2u);
    EXPECT_EQ(connector_.calls(), 0u);
}

TEST_F(TwilioOutgoingTest, OffersNoDialerWithoutAPublicUrlOrAnAccount) {
    config_.public_url.clear();
    start();
    EXPECT_EQ(listener_->dialer(), nullptr);
}

TEST_F(TwilioOutgoingTest, ATransferIsTwiliosFromTheStopOn) {
    start();
    auto placed = place_call();
    auto& call = this->call();
    connector_.orders.transfer_to = "+90 212 555 01 12";
    live_until(*placed, [&] { return call.orders_done > 0; });
    EXPECT_EQ(call.transfer_error, error_code{});
    EXPECT_THAT(rest_.asked(0).field("Twiml"), HasSubstr("<Number>+902125550112</Number>"));
    hang_up(*placed, call);
    EXPECT_EQ(call.end.reason, EndReason::transferred);
}

TEST_F(TwilioOutgoingTest, AStopThatOvertakesTheAnswerIsATransferToo) {
    start();
    auto placed = place_call();
    auto& call = this->call();
    rest_.next({.status = 200, .body = "{}", .after = 1s});
    connector_.orders.transfer_to = "sip:desk@pbx.example.test";
    live_until(*placed, [&] { return rest_.count() > 0; });
    hang_up(*placed, call);
    EXPECT_EQ(call.end.reason, EndReason::transferred);
}

TEST_F(TwilioOutgoingTest, ATransferThatIsRefusedLeavesTheCallAsItWas) {
    start();
    auto placed = place_call();
    auto& call = this->call();
    rest_.next({400, R"({"code":12100,"message":"Document parse failure"})"});
    connector_.orders.transfer_to = "+902125550112";
    live_until(*placed, [&] { return call.orders_done > 0; });
    EXPECT_EQ(call.transfer_error, CallControlErrc::refused);
    connector_.orders.frames_to_say = 3;
    live_until(*placed, [&] { return placed->playback.heard().size() >= 3 * 160; });
    hang_up(*placed, call);
    EXPECT_EQ(call.end.reason, EndReason::caller_hung_up);
}

TEST_F(TwilioOutgoingTest, KeysAreHeardAsTheirTones) {
    start();
    auto placed = place_call();
    auto& call = this->call();
    connector_.orders.press = "5";
    connector_.orders.frames_to_say = 2;  // the voice waits
    live_until(*placed, [&] { return placed->playback.heard().size() >= 12 * 160; });
    EXPECT_EQ(call.orders_done, 1);
    const std::span heard{placed->playback.heard()};
    // The voice may have got a frame in before the keys.
    std::size_t begin = 0;
    while (begin + 160 <= heard.size() && strength(heard.subspan(begin, 160), 770) < 0.1)
        begin += 160;
    ASSERT_LE(begin, 2u * 160);
    const auto tone = heard.subspan(begin, 5 * 160);
    EXPECT_NEAR(strength(tone, 770), 0.25, 0.02);
    EXPECT_NEAR(strength(tone, 1336), 0.25, 0.02);
    EXPECT_LT(strength(tone, 941), 0.03);
    EXPECT_LT(strength(heard.subspan(begin + 5 * 160, 5 * 160), 770), 0.01) << "a gap behind";
    EXPECT_EQ(placed->senseless(), 0u);
    hang_up(*placed, call);
}

TEST_F(TwilioOutgoingTest, WhatIsNoKeyIsNotPressed) {
    start();
    auto placed = place_call();
    auto& call = this->call();
    connector_.orders.press = "12x";
    live_until(*placed, [&] { return call.orders_done > 0; });
    EXPECT_EQ(call.transfer_error, CallControlErrc::bad_target);
    hang_up(*placed, call);
}

}  // namespace
}  // namespace oavc::transports::twilio
