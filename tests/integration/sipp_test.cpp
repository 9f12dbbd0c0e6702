// SIPp against the real server: tests/sipp/*.xml say what each scenario proves.

#include "support/sipp.hpp"

#include "support/sip_server.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <vector>

namespace oavc {
namespace {

using namespace std::chrono_literals;
using test::Sipp;
using test::SippResult;
using test::SipServer;
using testing::Contains;
using testing::ElementsAre;

class SippTest : public testing::Test {
protected:
    void SetUp() override {
        if (test::find_program("sipp").empty()) {
            GTEST_SKIP() << "no sipp (Debian: sip-tester; scripts/setup test installs it)";
        }
    }

    static void expect_success(const SippResult& result, int calls = 1) {
        EXPECT_EQ(result.status, 0) << result.story;
        EXPECT_EQ(result.successful, calls);
        EXPECT_EQ(result.failed, 0);
    }
};

// One call each, as the scenario's file tells.

struct Scenario {
    std::string name;
    std::vector<std::string> options{};
    std::string test_name{};  ///< if not `name`
};

// Where the scenario is about repetitions, SIPp must neither make nor hide them.
const std::vector<std::string> no_retransmission{"-nr"};
// Responses may overtake the second of two requests that are sent at once.
const std::vector<std::string> any_order{"-nr", "-default_behaviors", "all,-abortunexp"};
const std::vector<std::string> over_tcp{"-t", "t1"};

class SippScenario : public SippTest, public testing::WithParamInterface<Scenario> {};
INSTANTIATE_TEST_SUITE_P(
    Each,
    SippScenario,
    testing::Values(
        Scenario{"basic_call"},
        Scenario{"basic_call", over_tcp, "basic_call_over_tcp"},
        Scenario{"late_offer"},
        Scenario{"codec_change"},
        Scenario{"cancel_at_once", any_order},
        Scenario{"cancel_after_200"},
        Scenario{"cancel_unknown"},
        Scenario{"lost_200", no_retransmission},
        Scenario{"invite_retransmitted", any_order},
        Scenario{"bye_retransmitted", no_retransmission},
        Scenario{"merged_request", any_order},
        Scenario{"wrong_cseq"},
        Scenario{"unknown_dialog"},
        Scenario{"unknown_method"},
        Scenario{"required_extension"},
        Scenario{"bad_sdp"},
        Scenario{"no_common_codec"},
        Scenario{"audio_and_video"},
        Scenario{"video_first"},
        Scenario{"options"},
        Scenario{"options", over_tcp, "options_over_tcp"},
        Scenario{"options_in_dialog"},
        Scenario{"update"},
        Scenario{"prack"},
        Scenario{"session_timer_refused"},
        Scenario{"refer_to_us"}
    ),
    [](const auto& info) {
        return info.param.test_name.empty() ? info.param.name : info.param.test_name;
    }
);

TEST_P(SippScenario, Succeeds) {
    SipServer server;
    Sipp sipp{{.scenario = GetParam().name, .port = server.port(), .more = GetParam().options}};
    expect_success(sipp.wait());
    EXPECT_TRUE(server.calls_end_within(10s));
}

// Scenarios of which the server has something to tell, too.

TEST_F(SippTest, HoldIsToldOnceAndResumed) {
    SipServer server;
    Sipp sipp{{.scenario = "hold", .port = server.port()}};
    expect_success(sipp.wait());
    EXPECT_TRUE(server.calls_end_within(10s));
    EXPECT_THAT(
        server.story(sipp.call_id()),
        ElementsAre("started", "answered", "held: on", "held: off", "ended: caller_hung_up")
    );
}

TEST_F(SippTest, DigitsByInfoAreHeard) {
    SipServer server;
    Sipp sipp{{.scenario = "dtmf_info", .port = server.port()}};
    expect_success(sipp.wait());
    EXPECT_TRUE(server.calls_end_within(10s));
    EXPECT_EQ(server.count(sipp.call_id(), "digit"), 3) << "5, 7 and #";
}

TEST_F(SippTest, DigitsByRtpAreHeardOnceEach) {
    if (::geteuid() != 0) GTEST_SKIP() << "SIPp sends digits from a raw socket: only as root";
    SipServer server;
    Sipp sipp{{.scenario = "dtmf_rtp", .port = server.port()}};
    expect_success(sipp.wait());
    EXPECT_TRUE(server.calls_end_within(10s));
    EXPECT_EQ(server.count(sipp.call_id(), "digit"), 3) << "5, 7 and #";
}

TEST_F(SippTest, NoPlaceLeftIsSaidAndRoomComesBack) {
    SipServer server{{{"OAVC_LIMITS_MAX_CALLS", "1"}}};
    Sipp first{{.scenario = "basic_call", .port = server.port(), .more = {"-d", "4000"}}};
    ASSERT_TRUE(server.happens(first.call_id(), "answered"));
    Sipp refused{{.scenario = "refused_busy", .port = server.port()}};
    expect_success(refused.wait());
    expect_success(first.wait());
    EXPECT_TRUE(server.calls_end_within(10s));
    Sipp next{{.scenario = "basic_call", .port = server.port()}};
    expect_success(next.wait());
}

// What our side asks for.

TEST_F(SippTest, WhoHangsUpBehindProxiesFollowsTheirRoute) {
    SipServer server;
    Sipp sipp{{.scenario = "proxied_call", .port = server.port()}};
    ASSERT_TRUE(server.happens(sipp.call_id(), "answered"));
    EXPECT_EQ(server.command(sipp.call_id(), "hangup", ""), 200);
    expect_success(sipp.wait());
    EXPECT_TRUE(server.calls_end_within(10s));
}

constexpr auto to_an_agent = R"({"to": "sip:agent@127.0.0.1"})";

TEST_F(SippTest, TransfersACallerWhoAccepts) {
    SipServer server;
    Sipp sipp{{.scenario = "refer_accepted", .port = server.port()}};
    ASSERT_TRUE(server.happens(sipp.call_id(), "answered"));
    EXPECT_EQ(server.command(sipp.call_id(), "transfer", to_an_agent), 200);
    expect_success(sipp.wait());
    EXPECT_TRUE(server.calls_end_within(10s));
    EXPECT_THAT(server.story(sipp.call_id()), Contains("ended: transferred"));
}

TEST_F(SippTest, GoesOnWithACallerWhoDeclinesATransfer) {
    SipServer server;
    Sipp sipp{{.scenario = "refer_refused", .port = server.port()}};
    ASSERT_TRUE(server.happens(sipp.call_id(), "answered"));
    EXPECT_NE(server.command(sipp.call_id(), "transfer", to_an_agent), 200);
    expect_success(sipp.wait());
    EXPECT_TRUE(server.calls_end_within(10s));
    EXPECT_THAT(server.story(sipp.call_id()), Contains("ended: caller_hung_up"));
}

TEST_F(SippTest, GoesOnWithACallerWhoseTargetIsBusy) {
    SipServer server;
    Sipp sipp{{.scenario = "refer_target_busy", .port = server.port()}};
    ASSERT_TRUE(server.happens(sipp.call_id(), "answered"));
    EXPECT_NE(server.command(sipp.call_id(), "transfer", to_an_agent), 200);
    expect_success(sipp.wait());
    EXPECT_TRUE(server.calls_end_within(10s));
    EXPECT_THAT(server.story(sipp.call_id()), Contains("ended: caller_hung_up"));
}

TEST_F(SippTest, PutsACallerOnHoldAndTakesTheCallBack) {
    SipServer server;
    Sipp sipp{{.scenario = "hold_by_us", .port = server.port()}};
    ASSERT_TRUE(server.happens(sipp.call_id(), "answered"));
    EXPECT_EQ(server.command(sipp.call_id(), "hold", ""), 200);
    EXPECT_EQ(server.command(sipp.call_id(), "resume", ""), 200);
    expect_success(sipp.wait());
    EXPECT_TRUE(server.calls_end_within(10s));
}

TEST_F(SippTest, TriesAgainWhenBothSidesAskAtOnce) {
    SipServer server;
    Sipp sipp{{.scenario = "glare", .port = server.port()}};
    ASSERT_TRUE(server.happens(sipp.call_id(), "answered"));
    EXPECT_EQ(server.command(sipp.call_id(), "hold", ""), 200);
    expect_success(sipp.wait());
    EXPECT_TRUE(server.calls_end_within(10s));
}

TEST_F(SippTest, PressesKeysByInfoWhereThereAreNoTelephoneEvents) {
    SipServer server;
    Sipp sipp{{.scenario = "digits_by_us", .port = server.port()}};
    ASSERT_TRUE(server.happens(sipp.call_id(), "answered"));
    EXPECT_EQ(server.command(sipp.call_id(), "digits", R"({"digits": "42"})"), 200);
    expect_success(sipp.wait());
    EXPECT_TRUE(server.calls_end_within(10s));
}

TEST_F(SippTest, AsksTheTargetBeforeItTransfersACaller) {
    Sipp agent{{.scenario = "callee_answers"}};
    SipServer server{
        {{"OAVC_TELEPHONY_SIP_PROXY", "sip:127.0.0.1:" + std::to_string(agent.port())}}};
    Sipp caller{{.scenario = "refer_attended", .port = server.port()}};
    ASSERT_TRUE(server.happens(caller.call_id(), "answered"));
    EXPECT_EQ(
        server.command(
            caller.call_id(), "transfer", R"({"attended": true, "to": "sip:agent@127.0.0.1"})"
        ),
        200
    );
    expect_success(caller.wait());
    expect_success(agent.wait());
    EXPECT_TRUE(server.calls_end_within(10s));
    EXPECT_THAT(server.story(caller.call_id()), Contains("ended: transferred"));
}

TEST_F(SippTest, RegistersWhereItIsAskedWhoItIs) {
    Sipp registrar{{.scenario = "registrar"}};
    SipServer server{
        {{"OAVC_TELEPHONY_SIP_REGISTRAR", "sip:127.0.0.1:" + std::to_string(registrar.port())},
         {"OAVC_TELEPHONY_SIP_USERNAME", "alice"},
         {"OAVC_TELEPHONY_SIP_PASSWORD", "wonderland"}}};
    expect_success(registrar.wait());
}

// We call. `request` is the body of POST /api/v1/calls.
struct Callee {
    Sipp sipp;
    SipServer server;

    explicit Callee(const std::string& scenario)
        : sipp{{.scenario = scenario}},
          server{
              {{"OAVC_TELEPHONY_SIP_PROXY", "sip:127.0.0.1:" + std::to_string(sipp.port())},
               {"OAVC_TELEPHONY_SIP_USERNAME", "alice"},
               {"OAVC_TELEPHONY_SIP_PASSWORD", "wonderland"},
               {"OAVC_TELEPHONY_DIAL_ALLOWED", R"(sip:callee@127\.0\.0\.1)"}}} {}
};

TEST_F(SippTest, IsAnsweredByWhomItCallsAndHangsUp) {
    for (const auto* scenario : {"callee_answers", "callee_rings_reliably", "callee_challenges"}) {
        SCOPED_TRACE(scenario);
        Callee callee{scenario};
        const auto id = callee.server.dial(R"({"to": "callee@127.0.0.1"})");
        ASSERT_TRUE(callee.server.happens(id, "answered"));
        EXPECT_EQ(callee.server.command(id, "hangup", ""), 200);
        expect_success(callee.sipp.wait());
        EXPECT_TRUE(callee.server.calls_end_within(10s));
    }
}

TEST_F(SippTest, HearsThatTheCalleeIsBusyOrNeverAnswers) {
    Callee busy{"callee_busy"};
    busy.server.dial(R"({"to": "callee@127.0.0.1"})");
    expect_success(busy.sipp.wait());
    EXPECT_TRUE(busy.server.calls_end_within(10s));
    Callee never{"callee_never_answers"};
    never.server.dial(R"({"to": "callee@127.0.0.1", "patience_s": 5})");
    expect_success(never.sipp.wait());
    EXPECT_TRUE(never.server.calls_end_within(10s));
}

// What takes its time, side by side.
TEST_F(SippTest, GivesUpOnCallersThatNeverConfirmNorRefresh) {
    // No media comes either: that must not be what ends these calls.
    SipServer server{{{"OAVC_TELEPHONY_RTP_MEDIA_TIMEOUT", "300s"}}};
    Sipp never_ack{
        {.scenario = "never_ack", .port = server.port(), .limit = 120s, .more = no_retransmission}};
    Sipp refreshed{{.scenario = "session_timer", .port = server.port(), .limit = 120s}};
    Sipp expires{{.scenario = "session_expires", .port = server.port(), .limit = 120s}};
    expect_success(never_ack.wait());
    expect_success(refreshed.wait());
    expect_success(expires.wait());
    EXPECT_TRUE(server.calls_end_within(10s));
    for (const auto& call : {never_ack.call_id(), expires.call_id()})
        EXPECT_THAT(server.story(call), Contains("ended: carrier_lost")) << call;
}

TEST_F(SippTest, FiftyCallsPerSecondAllSucceed) {
    constexpr int calls = 250;
    const auto first = test::free_ports(1'602);
    SipServer server{
        {{"OAVC_LIMITS_MAX_CALLS", "300"},
         {"OAVC_TELEPHONY_SIP_PORT", std::to_string(first)},
         {"OAVC_TELEPHONY_RTP_PORT_START", std::to_string(first + 2)},
         {"OAVC_TELEPHONY_RTP_PORT_END", std::to_string(first + 1'601)}}};
    Sipp sipp{
        {.scenario = "basic_call",
         .port = server.port(),
         .calls = calls,
         .rate = 50,
         .trace = false,
         .more = {"-d", "200"}}};
    expect_success(sipp.wait(), calls);
    EXPECT_TRUE(server.calls_end_within(10s));
}

TEST_F(SippTest, AFloodOfOptionsDisturbsNoCall) {
    SipServer server;
    Sipp call{{.scenario = "basic_call", .port = server.port(), .more = {"-d", "6000"}}};
    ASSERT_TRUE(server.happens(call.call_id(), "answered"));
    constexpr int requests = 5'000;
    Sipp flood{
        {.scenario = "options",
         .port = server.port(),
         .calls = requests,
         .rate = 1'000,
         .trace = false}};
    expect_success(flood.wait(), requests);
    expect_success(call.wait());
    EXPECT_TRUE(server.calls_end_within(10s));
}

}  // namespace
}  // namespace oavc
