// Calls that we place through OpenSIPS: from bytes and captures, then over real sockets.
#include "support/opensips_capture.hpp"
#include "transports/dialer.hpp"
#include "transports/errors.hpp"
#include "transports/opensips/event_protocol.hpp"
#include "transports/opensips/mi_protocol.hpp"
#include "transports/opensips/ua_session.hpp"

#include <boost/json/parse.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

namespace oavc::transports::opensips {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace json = boost::json;

constexpr auto key = "B2B.229.5664491.1795338467.1247815538";
const TimePoint t0{};

OutgoingCall to_alice() {
    DialRequest request;
    request.id = "0123456789abcdef";
    request.to = "sip:alice@127.0.0.1:5080";
    request.parameters = {{"order", "77"}};
    OutgoingCall call;
    call.info = call_info(request, "opensips", "", "sip:bot@127.0.0.1:5060");
    call.invite.request_uri = request.to;
    call.invite.to = request.to;
    call.invite.from = "sip:bot@127.0.0.1:5060";
    call.invite.socket = "udp:127.0.0.1:5060";
    call.patience = std::chrono::seconds{30};
    return call;
}

const std::string answer_sdp =
    "v=0\r\no=caller 100 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 6100 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n";

UaEvent reply(UaEventType type, int status, const std::string& body = "") {
    UaEvent event;
    event.key = key;
    event.type = type;
    event.outgoing = true;
    event.status = status;
    event.reason = "Reason";
    event.method = "INVITE";
    event.body = body;
    event.headers = "";
    return event;
}

/// A call with what it did so far.
struct Driver {
    explicit Driver(UaSession s) : session{std::move(s)} {}

    void collect() {
        while (auto action = session.next_action()) {
            if (auto* send = std::get_if<UaSession::SendMi>(&*action)) {
                token = send->token;
                sent.push_back(std::move(send->command));
            } else if (const auto* over = std::get_if<UaSession::CallOver>(&*action)) {
                ends.push_back(over->end.reason);
            } else if (const auto* answered = std::get_if<UaSession::Answered>(&*action)) {
                audio = answered->audio;
            } else if (std::holds_alternative<UaSession::Placed>(*action)) {
                ++placed;
            } else if (std::holds_alternative<UaSession::Ringing>(*action)) {
                ++rings;
            }
        }
    }
    void place() {
        session.place({"198.51.100.1", 35000, 4711, 1}, t0);
        collect();
    }
    void on(const UaEvent& event) {
        session.on_event(event, t0);
        collect();
    }
    void on_mi(const MiOutcome& outcome) {
        session.on_mi(token, outcome, t0);
        collect();
    }
    void ok(const std::string& result = "OK") {
        MiResponse response;
        response.ok = true;
        response.message = result;
        on_mi({response});
    }
    void fail(int code) {
        MiResponse response;
        response.code = code;
        response.message = "Failed to start session";
        on_mi({response});
    }
    std::string last() const { return sent.empty() ? "" : sent.back().method; }

    UaSession session;
    std::uint32_t token{0};
    std::vector<MiCommand> sent;
    std::vector<EndReason> ends;
    std::optional<sip::NegotiatedAudio> audio;
    int placed{0};
    int rings{0};
};

Driver ringing() {
    Driver call{UaSession{to_alice(), {}}};
    call.place();
    call.ok(key);
    return call;
}

TEST(OpensipsOutgoing, AsksInOneOfTheFormsThatOpensipsTakes) {
    auto call = to_alice();
    call.invite.proxy = "sip:192.0.2.7";
    Driver driver{UaSession{std::move(call), {}}};
    driver.place();
    ASSERT_EQ(driver.sent.size(), 1u);
    const auto& command = driver.sent[0];
    EXPECT_EQ(command.method, "ua_session_client_start");
    std::vector<std::string> names;
    for (const auto& parameter : command.parameters)
        names.push_back(parameter.name);
    // proxy, body, flags and socket need extra_headers beside them.
    EXPECT_THAT(
        names,
        ElementsAre("ruri", "to", "from", "proxy", "body", "extra_headers", "flags", "socket")
    );
    EXPECT_THAT(*command.text("body"), HasSubstr("m=audio 35000 RTP/AVP 96 9 0 8 "));
    EXPECT_TRUE(command.text("extra_headers")->ends_with("\r\n"));
    EXPECT_EQ(*command.text("flags"), "rbh");
}

TEST(OpensipsOutgoing, IsAnsweredWithItsSdp) {
    auto call = ringing();
    EXPECT_EQ(call.placed, 1);
    EXPECT_EQ(call.session.key(), key);
    EXPECT_TRUE(call.session.info().outgoing);
    EXPECT_EQ(call.session.info().parameters.at("order"), "77");
    call.on(reply(UaEventType::early, 180));
    EXPECT_EQ(call.rings, 1);
    call.on(reply(UaEventType::early, 183, answer_sdp));
    EXPECT_FALSE(call.audio) << "early media is not listened to";
    call.on(reply(UaEventType::answered, 200, answer_sdp));
    ASSERT_TRUE(call.audio);
    EXPECT_EQ(call.audio->remote_port, 6100);
    EXPECT_TRUE(call.session.is_established());
    EXPECT_EQ(call.session.next_deadline(), std::nullopt) << "patience is for the ringing";
    call.session.hang_up();
    call.collect();
    EXPECT_EQ(call.last(), "ua_session_terminate");
}

TEST(OpensipsOutgoing, TellsWhyItWasNotAnswered) {
    struct Case {
        int status;
        EndReason end;
        CallControlErrc error;
    };
    for (const auto& c : {
             Case{486, EndReason::busy, CallControlErrc::busy},
             Case{603, EndReason::busy, CallControlErrc::busy},
             Case{408, EndReason::not_answered, CallControlErrc::no_answer},
             Case{404, EndReason::refused, CallControlErrc::not_found},
             Case{403, EndReason::refused, CallControlErrc::refused},
             Case{503, EndReason::carrier_lost, CallControlErrc::unavailable},
         }) {
        auto call = ringing();
        call.on(reply(UaEventType::rejected, c.status));
        EXPECT_THAT(call.ends, ElementsAre(c.end)) << c.status;
        EXPECT_EQ(call.session.failure(), c.error) << c.status;
        EXPECT_EQ(call.sent.size(), 1u) << "OpenSIPS has freed it";
        EXPECT_TRUE(call.session.finished());
    }
}

TEST(OpensipsOutgoing, IsWithdrawnWhenPatienceEnds) {
    auto call = ringing();
    ASSERT_EQ(call.session.next_deadline(), t0 + std::chrono::seconds{30});
    call.session.on_time(t0 + std::chrono::seconds{29});
    call.collect();
    EXPECT_TRUE(call.ends.empty());
    call.session.on_time(t0 + std::chrono::seconds{30});
    call.collect();
    EXPECT_THAT(call.ends, ElementsAre(EndReason::not_answered));
    EXPECT_EQ(call.last(), "ua_session_terminate") << "which is CANCEL then";
    EXPECT_EQ(*call.sent.back().text("key"), key);
}

TEST(OpensipsOutgoing, IsAskedForOnceHoweverOpensipsKeepsSilent) {
    Driver call{UaSession{to_alice(), {}}};
    call.place();
    call.on_mi({});
    EXPECT_EQ(call.sent.size(), 1u) << "a second one would ring twice";
    EXPECT_EQ(call.session.failure(), CallControlErrc::unavailable);
    Driver refused{UaSession{to_alice(), {}}};
    refused.place();
    refused.fail(500);
    EXPECT_EQ(refused.session.failure(), CallControlErrc::unavailable);
    EXPECT_TRUE(refused.session.finished());
}

TEST(OpensipsOutgoing, GivenUpBeforeItsKeyIsKnownItIsEndedWhenItIs) {
    Driver call{UaSession{to_alice(), {}}};
    call.place();
    call.session.hang_up();
    call.collect();
    EXPECT_EQ(call.sent.size(), 1u) << "there is no key to name";
    EXPECT_FALSE(call.session.finished());
    call.ok(key);
    EXPECT_EQ(call.last(), "ua_session_terminate");
    EXPECT_EQ(*call.sent.back().text("key"), key);
    call.ok();
    EXPECT_TRUE(call.session.finished());
    EXPECT_EQ(call.placed, 0);
}

TEST(OpensipsOutgoing, WhatIsNoKeyIsNeverSentBack) {
    Driver call{UaSession{to_alice(), {}}};
    call.place();
    call.ok("OK");
    EXPECT_EQ(call.session.failure(), CallControlErrc::unavailable);
    EXPECT_EQ(call.sent.size(), 1u);
}

TEST(OpensipsOutgoing, AnAnswerWithNothingForUsEndsTheCall) {
    auto call = ringing();
    call.on(reply(UaEventType::answered, 200, ""));
    EXPECT_EQ(call.session.failure(), CallControlErrc::refused);
    EXPECT_EQ(call.last(), "ua_session_terminate");
}

// --- What a real OpenSIPS said ---

struct Captured {
    const char* file;
    int rings;
    bool answered;
    std::vector<EndReason> ends;
    std::vector<std::string> sent;
};

class OpensipsOutgoingCapture : public testing::TestWithParam<Captured> {};

TEST_P(OpensipsOutgoingCapture, GoesAsItWent) {
    const auto& expected = GetParam();
    Driver call{UaSession{to_alice(), {}}};
    int start_id = -1;
    for (const auto& datagram : test::load_opensips_capture(expected.file)) {
        if (datagram.channel == "event") {
            const auto event = parse_event(as_bytes(datagram.payload));
            ASSERT_TRUE(event.has_value());
            EXPECT_TRUE(event->outgoing);
            if (event->key == call.session.key()) call.on(*event);
        } else if (datagram.channel == "mi" && datagram.direction == "connector->opensips") {
            const auto document = json::parse(datagram.payload);
            const auto method = std::string{document.at("method").as_string()};
            if (method == "ua_session_client_start") {
                start_id = static_cast<int>(document.at("id").as_int64());
                call.place();
            } else if (method == "ua_session_terminate" && !call.session.is_over()) {
                call.session.hang_up();
                call.collect();
            }
        } else if (datagram.channel == "mi") {
            const auto response = parse_mi_response(as_bytes(datagram.payload));
            ASSERT_TRUE(response.has_value());
            if (response->id && static_cast<int>(*response->id) == start_id) {
                call.on_mi({*response});
            }
        }
    }
    std::vector<std::string> sent;
    for (const auto& command : call.sent)
        sent.push_back(command.method);
    EXPECT_EQ(call.rings, expected.rings);
    EXPECT_EQ(call.audio.has_value(), expected.answered);
    EXPECT_EQ(call.ends, expected.ends);
    EXPECT_EQ(sent, expected.sent);
}

INSTANTIATE_TEST_SUITE_P(
    Captures,
    OpensipsOutgoingCapture,
    testing::Values(
        Captured{
            "m_outbound_answered",
            1,
            true,
            {EndReason::we_hung_up},
            {"ua_session_client_start", "ua_session_terminate"}},
        Captured{
            "m2_outbound_callee_hangs_up",
            1,
            true,
            {EndReason::caller_hung_up},
            {"ua_session_client_start"}},
        Captured{"m3_outbound_busy", 0, false, {EndReason::busy}, {"ua_session_client_start"}},
        Captured{
            "m3b_outbound_busy_no_uac_auth",
            0,
            false,
            {EndReason::busy},
            {"ua_session_client_start"}},
        Captured{
            "m4_outbound_cancelled",
            1,
            false,
            {EndReason::we_hung_up},
            {"ua_session_client_start", "ua_session_terminate"}},
        Captured{
            "m5_outbound_nobody_there",
            0,
            false,
            {EndReason::not_answered},
            {"ua_session_client_start"}}
    ),
    [](const auto& info) { return std::string{info.param.file}; }
);

}  // namespace
}  // namespace oavc::transports::opensips
