// Calls over Twilio from their first message to their end: audio both ways, what goes wrong, and
// how they end.

#include "media/g711.hpp"
#include "support/twilio_calls.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <thread>

namespace oavc::transports::twilio {
namespace {

using ::testing::HasSubstr;

std::vector<std::byte> ulaw_frame(int number) {
    return std::vector<std::byte>(160, static_cast<std::byte>(number));
}

TEST_F(TwilioCallTest, CarriesACallFromWebhookToStop) {
    start();
    auto settings = this->settings();
    settings.custom_parameters = {{"tenant", "acme"}, {"ad", "Şükrü"}};
    settings.webhook = {{"CallerName", "Şükrü Öz"}, {"ToCity", ""}};
    FakeTwilio twilio{shard_, settings};
    const auto answer = ask(twilio);
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.content_type, "text/xml; charset=utf-8");
    EXPECT_EQ(twilio.stream_url(), "ws://127.0.0.1:" + std::to_string(server_->port()) + "/ws");
    EXPECT_EQ(twilio.token().size(), 43u);
    EXPECT_EQ(connector_.in_use(), 1u) << "the place waits with the token";
    ASSERT_EQ(open(twilio), error_code{});
    for (int i = 0; i < 25; ++i)
        twilio.send_audio(ulaw_frame(i));
    auto& call = this->call();
    live_until(twilio, [&] { return call.frames_so_far >= 25; });
    connector_.orders.frames_to_say = 3;
    live_until(twilio, [&] { return twilio.playback.heard().size() == 3 * 160; });
    twilio.send_digit('7');
    twilio.send_digit('#');
    hang_up(twilio, call);

    EXPECT_EQ(call.info.via, "twilio");
    EXPECT_EQ(call.info.native_id, "CA00000000000000000000000000000001");
    EXPECT_EQ(call.info.from, "+905321112233");
    EXPECT_EQ(call.info.to, "+902125550100");
    const std::map<std::string, std::string> parameters{{"tenant", "acme"}, {"ad", "Şükrü"}};
    EXPECT_EQ(call.info.parameters, parameters) << "without the token";
    ASSERT_GE(call.frames.size(), 25u);
    int number = 0;
    for (std::size_t i = 0; i < call.frames.size(); ++i) {
        if (call.concealed[i]) continue;
        ASSERT_EQ(call.frames[i].size(), 160u);
        EXPECT_EQ(call.frames[i][0], media::g711::ulaw_decode(static_cast<std::uint8_t>(number++)));
    }
    EXPECT_EQ(number, 25);
    EXPECT_EQ(call.stats.received, 25u);
    EXPECT_EQ(call.stats.sent, 3u);
    EXPECT_EQ(call.stats.lost, 0u);
    EXPECT_EQ(call.digits, "7#");
    EXPECT_EQ(call.end.reason, EndReason::caller_hung_up);
    EXPECT_EQ(
        twilio.playback.heard()[0],
        static_cast<std::byte>(media::g711::ulaw_encode(media::Sample{1000}))
    );
    EXPECT_EQ(twilio.senseless(), 0u);
    EXPECT_GE(twilio.marks(), 1u);
    EXPECT_EQ(connector_.in_use(), 0u);
}

TEST_F(TwilioCallTest, ASocketClosedWithoutStopIsAHangUpAndOneThatBreaksIsNot) {
    start();
    auto polite = place_call();
    auto& first = this->call(0);
    live(*polite, 20ms);
    run(polite->close());
    first.ended.wait();
    EXPECT_EQ(first.end.reason, EndReason::caller_hung_up);
    auto rude = place_call();
    auto& second = this->call(1);
    live(*rude, 20ms);
    rude->vanish();
    run(rude->live(0s));
    second.ended.wait();
    EXPECT_EQ(second.end.reason, EndReason::carrier_lost);
}

TEST_F(TwilioCallTest, OurHangUpClosesTheSocket) {
    start();
    auto placed = place_call();
    auto& call = this->call();
    connector_.orders.hang_up = true;
    run(placed->live_until_closed());
    EXPECT_EQ(placed->close_error(), asio::error::eof);
    EXPECT_EQ(placed->close_code(), 1000);
    call.ended.wait();
    EXPECT_EQ(call.end.reason, EndReason::we_hung_up);
}

TEST_F(TwilioCallTest, EndsWithoutMedia) {
    config_.media_timeout = 1s;
    start();
    auto placed = place_call();
    auto& call = this->call();
    for (int i = 0; i < 25; ++i) {  // audio keeps it alive
        placed->send_audio(ulaw_frame(1));
        live(*placed, 60ms);
    }
    EXPECT_FALSE(placed->closed());
    run(placed->live_until_closed());
    EXPECT_EQ(placed->close_code(), 1001);
    call.ended.wait();
    EXPECT_EQ(call.end.reason, EndReason::media_timeout);
}

TEST_F(TwilioCallTest, FillsAStallWithSilenceAndThrowsNoWordAway) {
    start();
    auto placed = place_call();
    auto& call = this->call();
    for (int i = 0; i < 3; ++i)
        placed->send_audio(ulaw_frame(1));
    live_until(*placed, [&] { return call.concealed_so_far >= 5; });
    for (int i = 0; i < 10; ++i)
        placed->send_audio(ulaw_frame(2));
    hang_up(*placed, call);
    EXPECT_EQ(std::count(call.concealed.begin(), call.concealed.end(), false), 13);
    EXPECT_GE(call.stats.concealed, 5u);
    EXPECT_GE(call.stats.late, 5u);
    EXPECT_EQ(call.frames[4][0], 0) << "silence";
}

TEST_F(TwilioCallTest, AcceptsPayloadsOfAnyLengthAndConcealsMissingChunks) {
    start();
    auto placed = place_call();
    auto& call = this->call();
    std::vector<std::byte> audio(160 * 5, std::byte{3});
    placed->send_audio(std::span{audio}.first(7));
    placed->send_audio(std::span{audio}.first(160 * 3 - 7));
    placed->send_audio(std::span{audio}.first(320));
    placed->send_text(
        R"({"event":"media","streamSid":"MZ00000000000000000000000000000001","media":{"chunk":6,"payload":"AAAA"}})"
    );
    hang_up(*placed, call);
    EXPECT_EQ(std::count(call.concealed.begin(), call.concealed.end(), false), 5);
    EXPECT_EQ(call.stats.lost, 2u);
    EXPECT_GE(std::count(call.concealed.begin(), call.concealed.end(), true), 2);
}

TEST_F(TwilioCallTest, SurvivesSenselessMessagesUpToAPoint) {
    start();
    auto placed = place_call();
    auto& call = this->call();
    placed->send_text("garbage");
    placed->send_binary("\x01\x02");
    placed->send_text(R"({"event":"surprise"})");
    placed->send_text(R"({"event":"media","streamSid":"MZ-another","media":{"payload":"AAAA"}})");
    placed->send_text(R"({"event":"media","media":{"payload":"not base64!"}})");
    placed->send_text(R"({"event":"mark","mark":{"name":"never ours"}})");
    placed->send_text(R"({"event":"dtmf","dtmf":{"digit":"x"}})");
    placed->send_audio(ulaw_frame(1));
    live_until(*placed, [&] { return call.frames_so_far >= 1; });
    EXPECT_FALSE(placed->closed());
    for (int i = 0; i < 60; ++i)
        placed->send_text("garbage");
    run(placed->live_until_closed());
    EXPECT_EQ(placed->close_code(), 1002);
    call.ended.wait();
    EXPECT_EQ(call.end.reason, EndReason::protocol_error);
    EXPECT_EQ(call.digits, "");
}

TEST_F(TwilioCallTest, KeepsAtMost200MillisecondsInTwiliosBuffer) {
    start();
    auto placed = place_call();
    auto& call = this->call();
    connector_.orders.frames_to_say = 60;
    live_until(*placed, [&] { return placed->playback.heard().size() == 60 * 160; });
    live(*placed, 60ms);
    // Playback is emulated in real time; a busy machine may hand two ticks over at once.
    EXPECT_LE(placed->playback.deepest(), 220ms);
    EXPECT_GE(placed->playback.deepest(), 160ms) << "and makes use of it";
    EXPECT_EQ(call.unheard_ms, 0);
    EXPECT_GE(placed->marks(), 12u);
    hang_up(*placed, call);
}

TEST_F(TwilioCallTest, ABargeInSilencesTwilioAtOnce) {
    start();
    auto placed = place_call();
    auto& call = this->call();
    connector_.orders.frames_to_say = 500;
    live_until(*placed, [&] { return placed->playback.heard().size() >= 20 * 160; });
    connector_.orders.frames_to_say = 0;
    connector_.orders.value = -2000;  // the next utterance
    connector_.orders.clear = true;
    live_until(*placed, [&] { return placed->playback.clears() == 1; });
    const auto heard = placed->playback.heard().size();
    EXPECT_EQ(placed->playback.buffered(), 0ms);
    live(*placed, 100ms);
    EXPECT_EQ(placed->playback.heard().size(), heard) << "nothing of the old utterance";
    connector_.orders.frames_to_say = 10;
    live_until(*placed, [&] { return placed->playback.heard().size() == heard + 10 * 160; });
    EXPECT_EQ(
        placed->playback.heard()[heard],
        static_cast<std::byte>(media::g711::ulaw_encode(media::Sample{-2000}))
    );
    hang_up(*placed, call);
    ASSERT_EQ(call.cleared.size(), 1u);
    EXPECT_GT(call.cleared[0], 100ms);
    EXPECT_LE(call.cleared[0], 200ms);
    const auto said = milliseconds{20} * static_cast<int>(call.stats.sent - 10);
    EXPECT_NEAR(to_ms(said - call.cleared[0]), static_cast<double>(heard) / 8, 40)
        << "what we think was heard was";
}

TEST_F(TwilioCallTest, StopEndsCallsWhileTheServerAnswersOn) {
    start();
    auto placed = place_call();
    auto& call = this->call();
    live(*placed, 40ms);
    std::thread stopper{[this] { listener_->stop(); }};
    run(placed->live_until_closed());
    stopper.join();
    call.ended.wait();
    EXPECT_EQ(call.end.reason, EndReason::we_hung_up);
    EXPECT_EQ(placed->close_code(), 1000);
    EXPECT_THAT(ask(*placed).body, HasSubstr("busy"));
}

TEST_F(TwilioCallTest, CarriesTwentyCallsAtOnce) {
    start();
    connector_.capacity = 20;
    std::vector<std::unique_ptr<FakeTwilio>> callers;
    for (int i = 0; i < 20; ++i) {
        auto settings = this->settings();
        settings.call_sid = "CA" + std::to_string(1000 + i);
        settings.stream_sid = "MZ" + std::to_string(1000 + i);
        auto& caller = *callers.emplace_back(std::make_unique<FakeTwilio>(shard_, settings));
        ASSERT_EQ(ask(caller).status, 200);
        ASSERT_EQ(open(caller), error_code{});
        for (int frame = 0; frame < 5; ++frame)
            caller.send_audio(ulaw_frame(i));
    }
    for (std::size_t i = 0; i < callers.size(); ++i) {
        auto& call = this->call(i);
        live_until(*callers[i], [&] { return call.frames_so_far - call.concealed_so_far >= 5; });
    }
    for (auto& caller : callers) {
        caller->send_stop();
        run(caller->live_until_closed());
    }
    for (std::size_t i = 0; i < callers.size(); ++i) {
        auto& call = this->call(i);
        call.ended.wait();
        const int number = std::stoi(call.info.native_id.substr(2)) - 1000;
        for (std::size_t k = 0; k < call.frames.size(); ++k) {
            if (call.concealed[k]) continue;
            EXPECT_EQ(
                call.frames[k][0], media::g711::ulaw_decode(static_cast<std::uint8_t>(number))
            );
        }
    }
    EXPECT_EQ(listener_->stats().calls, 20u);
}

}  // namespace
}  // namespace oavc::transports::twilio
