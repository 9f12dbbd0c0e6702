// `oavc dial` and a server that places calls over Twilio, with Twilio played by us.

#include "async/run_blocking.hpp"
#include "async/shard.hpp"
#include "media/g711.hpp"
#include "media/inband_digits.hpp"
#include "support/control_api.hpp"
#include "support/fake_twilio.hpp"
#include "support/run_program.hpp"
#include "support/while_doing.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace oavc {
namespace {

using namespace std::chrono_literals;
using test::FakeTwilio;
using test::FakeTwilioRest;
using test::Program;
using testing::HasSubstr;

constexpr auto patience = 30s;  // sanitizers on a busy machine

class Dial : public testing::Test {
protected:
    struct Server {
        std::string allowed{"\\+90\\d{10}"};
        std::vector<std::string> more{};
    };
    void serve() { serve(Server{}); }
    void serve(const Server& server) {
        std::vector<std::string> environment{
            "OAVC_TELEPHONY_TWILIO_ACCOUNT_SID=AC00000000000000000000000000000001",
            "OAVC_TELEPHONY_TWILIO_PHONE_NUMBER=+12025550123",
            "OAVC_TELEPHONY_TWILIO_PUBLIC_URL=https://voice.example.test",
            "OAVC_TELEPHONY_TWILIO_API_URL=" + rest_.url(),
            "OAVC_AGENT_GREETING=Good morning.",
            "OAVC_AGENT_SPEAK_FIRST_AFTER=30s",
        };
        if (!server.allowed.empty()) {
            environment.push_back("OAVC_TELEPHONY_DIAL_ALLOWED=" + server.allowed);
        }
        environment.insert(environment.end(), server.more.begin(), server.more.end());
        server_ = std::make_unique<Program>(
            std::vector<std::string>{OAVC_BINARY, "serve", "-c", "tests/data/serve.ini"},
            std::move(environment),
            OAVC_SOURCE_DIR
        );
        ASSERT_TRUE(server_->wait_for("ready in", patience)) << server_->output();
        constexpr std::string_view before = "http://127.0.0.1:";
        const auto at = server_->output().find(before);
        port_ =
            static_cast<std::uint16_t>(std::stoul(server_->output().substr(at + before.size())));
    }
    std::unique_ptr<Program> dial(std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), {OAVC_BINARY, "dial"});
        arguments.insert(arguments.end(), {"--url", "http://127.0.0.1:" + std::to_string(port_)});
        return std::make_unique<Program>(std::move(arguments));
    }
    FakeTwilio::Settings callee(const char* field) {
        EXPECT_TRUE(rest_.wait_for(1)) << server_->output();
        FakeTwilio::Settings settings;
        settings.port = port_;
        settings.public_url = "https://voice.example.test";
        settings.auth_token = "for-tests-only";
        settings.call_sid = "CAout1";
        settings.target = rest_.asked(0).field(field).substr(settings.public_url.size());
        return settings;
    }
    static asio::awaitable<void> answer(FakeTwilio& callee, bool& answered) {
        const auto asked = co_await callee.ask_webhook();
        if (!asked) co_return;
        const auto opened = co_await callee.open_stream();
        if (!opened) co_return;
        answered = true;
        callee.send_audio(std::vector<std::byte>(160, std::byte{0xFF}));
    }
    static asio::awaitable<void> tell(FakeTwilio& callee, int& status) {
        const auto asked = co_await callee.ask_webhook();
        status = asked ? asked->status : 0;
    }

    /// Places a call by the API and answers it; the greeting has been heard.
    std::unique_ptr<FakeTwilio> up(std::string& id) {
        id = test::ControlApi{port_}.dial(R"({"to": "+902125550111"})");
        EXPECT_NE(id, "") << server_->output();
        auto callee = std::make_unique<FakeTwilio>(shard_, this->callee("Url"));
        bool answered = false;
        async::run_blocking(shard_, answer(*callee, answered));
        EXPECT_TRUE(answered) << server_->output();
        EXPECT_TRUE(live_until(*callee, [&] { return callee->playback.heard().size() >= 4'000; }))
            << "the greeting";
        EXPECT_TRUE(live_until(*callee, [&] { return callee->playback.buffered() == 0ms; }));
        return callee;
    }
    /// False when it has not come to that in time.
    template <class Condition>
    bool live_until(FakeTwilio& callee, Condition condition) {
        const auto limit = Clock::now() + patience;
        while (!condition()) {
            if (Clock::now() > limit || callee.closed()) return condition();
            async::run_blocking(shard_, callee.live(20ms));
        }
        return true;
    }
    int command(
        FakeTwilio& callee,
        const std::string& id,
        const std::string& verb,
        const std::string& body = ""
    ) {
        return test::while_doing(
            [&] { async::run_blocking(shard_, callee.live(20ms)); },
            [&] { return test::ControlApi{port_}.command(id, verb, body); }
        );
    }
    static std::string keys_in(const std::vector<std::byte>& ulaw) {
        media::InbandDigits ear{narrowband};
        std::string keys;
        std::array<media::Sample, 160> frame;
        for (std::size_t at = 0; at + frame.size() <= ulaw.size(); at += frame.size()) {
            for (std::size_t i = 0; i < frame.size(); ++i)
                frame[i] = media::g711::ulaw_decode(std::to_integer<std::uint8_t>(ulaw[at + i]));
            if (const auto key = ear.on_frame(frame)) keys += *key;
        }
        return keys;
    }

    FakeTwilioRest rest_;
    async::Shard shard_{9};
    std::unique_ptr<Program> server_;
    std::uint16_t port_{0};
};

TEST_F(Dial, FollowsTheCallToItsEnd) {
    serve();
    const auto dialled = dial({"+90 212 555 01 11", "--follow", "--param", "order=77"});
    FakeTwilio callee{shard_, this->callee("Url")};
    EXPECT_EQ(rest_.asked(0).field("To"), "+902125550111");
    EXPECT_TRUE(dialled->wait_for("ringing", patience)) << dialled->output();
    bool answered = false;
    async::run_blocking(shard_, answer(callee, answered));
    ASSERT_TRUE(answered) << server_->output();
    live_until(callee, [&] { return callee.playback.heard().size() >= 4'000; });
    EXPECT_GE(callee.playback.heard().size(), 4'000u) << "the greeting";
    callee.send_stop();
    async::run_blocking(shard_, callee.live_until_closed());
    EXPECT_EQ(dialled->wait(), 0) << dialled->output();
    EXPECT_THAT(dialled->output(), HasSubstr("over twilio"));
    EXPECT_THAT(dialled->output(), HasSubstr("answered"));
    EXPECT_THAT(dialled->output(), HasSubstr("Good morning."));
    EXPECT_THAT(dialled->output(), HasSubstr("over: caller_hung_up"));
    EXPECT_EQ(rest_.count(), 1u);
}

TEST_F(Dial, PressesKeysAndTransfersWhomItCalled) {
    serve();
    std::string id;
    const auto callee = up(id);
    EXPECT_EQ(command(*callee, id, "digits", R"({"digits": "42#"})"), 200);
    EXPECT_TRUE(live_until(*callee, [&] { return keys_in(callee->playback.heard()) == "42#"; }))
        << keys_in(callee->playback.heard());
    EXPECT_EQ(command(*callee, id, "hold"), 501) << "Twilio cannot do that";

    EXPECT_EQ(command(*callee, id, "transfer", R"({"to": "+902125550199"})"), 200);
    ASSERT_EQ(rest_.count(), 2u);
    EXPECT_THAT(rest_.asked(1).path, HasSubstr("/Calls/CAout1.json"));
    EXPECT_THAT(rest_.asked(1).field("Twiml"), HasSubstr("<Dial"));
    EXPECT_THAT(rest_.asked(1).field("Twiml"), HasSubstr("+902125550199"));
    callee->send_stop();
    async::run_blocking(shard_, callee->live_until_closed());
    EXPECT_TRUE(callee->closed());
}

TEST_F(Dial, ALastWordThatNobodyConfirmsIsWaitedForInVainOnlySoLong) {
    serve({.more = {"OAVC_TURNS_LAST_WORD_TIMEOUT=1s", "OAVC_AGENT_GOODBYE=Goodbye."}});
    std::string id;
    const auto callee = up(id);
    callee->go_deaf();
    const auto heard = callee->playback.buffered();
    EXPECT_EQ(command(*callee, id, "hangup", R"({"goodbye": true})"), 202);
    const auto began = Clock::now();
    async::run_blocking(shard_, callee->live_until_closed());
    EXPECT_TRUE(callee->closed());
    EXPECT_GT(callee->playback.buffered() - heard, 300ms) << "the goodbye was sent";
    EXPECT_GE(Clock::now() - began, 900ms) << "and waited for";
    EXPECT_LE(Clock::now() - began, 8s) << "of a second of waiting";
}

TEST_F(Dial, TellsThatTheCalleeIsBusy) {
    serve();
    const auto dialled = dial({"+902125550111", "--follow", "--json"});
    auto settings = callee("StatusCallback");
    settings.webhook = {{"CallStatus", "busy"}, {"SipResponseCode", "486"}};
    EXPECT_TRUE(dialled->wait_for("started", patience)) << dialled->output();
    FakeTwilio twilio{shard_, settings};
    int status = 0;
    async::run_blocking(shard_, tell(twilio, status));
    EXPECT_EQ(status, 204) << server_->output();
    EXPECT_EQ(dialled->wait(), 3) << dialled->output();
    EXPECT_THAT(dialled->output(), HasSubstr(R"("text":"busy")"));
}

TEST_F(Dial, TellsWhyNothingWasDialled) {
    serve();
    const auto foreign = dial({"+4930123456"});
    EXPECT_EQ(foreign->wait(), 7);
    EXPECT_THAT(foreign->output(), HasSubstr("[telephony] dial_allowed"));
    const auto nonsense = dial({"sales"});
    EXPECT_EQ(nonsense->wait(), 2) << nonsense->output();
    rest_.next({401, R"({"code":20003,"message":"Authenticate"})"});
    const auto stranger = dial({"+902125550111"});
    EXPECT_EQ(stranger->wait(), 6) << stranger->output();
    port_ = 1;
    const auto nobody = dial({"+902125550111"});
    EXPECT_EQ(nobody->wait(), 1);
    EXPECT_THAT(nobody->output(), HasSubstr("no server at http://127.0.0.1:1"));
}

TEST_F(Dial, OutgoingCallsAreOffUntilTheyAreAllowed) {
    serve({.allowed = ""});
    const auto dialled = dial({"+902125550111"});
    EXPECT_EQ(dialled->wait(), 7);
    EXPECT_THAT(dialled->output(), HasSubstr("set [telephony] dial_allowed"));
    EXPECT_EQ(rest_.count(), 0u);
}

}  // namespace
}  // namespace oavc
