#include "caller/fake_opensips.hpp"

#include "caller/phone_sdp.hpp"

#include <boost/json/parse.hpp>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace oavc::caller {
namespace {

namespace json = boost::json;
using Outcome = FakeOpenSips::Outcome;

class FakeOpenSipsTest : public testing::Test {
protected:
    std::string mi(std::string_view method, std::string_view params, TimePoint now = {}) {
        return opensips
            .on_mi(
                fmt::format(
                    R"({{"jsonrpc":"2.0","id":7,"method":"{}","params":{}}})", method, params
                ),
                now
            )
            .value_or("");
    }
    void subscribe(int expire = 60) {
        mi("event_subscribe",
           fmt::format(
               R"({{"event":"E_UA_SESSION","socket":"udp:127.0.0.1:8090","expire":{}}})", expire
           ));
    }
    std::string reply(
        const std::string& key, std::string_view method, int code, std::string_view more = ""
    ) {
        return mi(
            "ua_session_reply",
            fmt::format(
                R"({{"key":"{}","method":"{}","code":{},"reason":"r"{}}})", key, method, code, more
            )
        );
    }
    json::object event() {
        const auto events = opensips.take_events();
        EXPECT_EQ(events.size(), 1U);
        return events.empty() ? json::object{}
                              : json::parse(events[0].data).at("params").as_object();
    }
    std::string answered_call() {
        subscribe();
        const auto key = opensips.invite({.sdp = "v=0\r\n"}, {});
        reply(key, "INVITE", 200, R"(,"body":"sdp")");
        opensips.ack(key);
        opensips.take_events();
        opensips.take_outcomes();
        return key;
    }

    static constexpr std::string_view ok = R"({"jsonrpc":"2.0","result":"OK","id":7})";
    FakeOpenSips opensips{TimePoint{}};
};

TEST_F(FakeOpenSipsTest, AnswersMiAsTheRealOneWasSeenTo) {
    // Requests and answers of the recorded session with OpenSIPS 3.6.8.
    // clang-format off: one recorded datagram per line
    const std::vector<std::pair<std::string, std::optional<std::string>>> recorded{
        {R"~({"jsonrpc":"2.0","id":1,"method":"version"})~",
         R"~({"jsonrpc":"2.0","result":{"Server":"OpenSIPS (3.6.8 (x86_64/linux))"},"id":1})~"},
        {R"~({"jsonrpc":"2.0","id":"abc-1","method":"version"})~",
         R"~({"jsonrpc":"2.0","result":{"Server":"OpenSIPS (3.6.8 (x86_64/linux))"},"id":"abc-1"})~"},
        {R"~({"jsonrpc":"2.0","id":1099511627776,"method":"version"})~",
         R"~({"jsonrpc":"2.0","result":{"Server":"OpenSIPS (3.6.8 (x86_64/linux))"},"id":2147483647})~"},
        {R"~({"jsonrpc":"2.0","method":"version"})~", std::nullopt},
        {R"~({"jsonrpc":"2.0","method":"no_such_command"})~", std::nullopt},
        {R"~({"jsonrpc":"2.0","id":3,"method":"no_such_command","params":{"a":1}})~",
         R"~({"jsonrpc":"2.0","error":{"code":-32601,"message":"Method not found"},"id":3})~"},
        {R"~({"jsonrpc":"2.0","id":4,"method":"ua_session_reply"})~",
         R"~({"jsonrpc":"2.0","error":{"code":-32602,"message":"Invalid params","data":"Too few or too many parameters"},"id":4})~"},
        {R"~({"jsonrpc":"2.0","id":6,"method":"ua_session_reply","params":{"key":"B2B.10.123456.1700000000.1","method":"INVITE","code":200,"reason":"OK","bogus":1}})~",
         R"~({"jsonrpc":"2.0","error":{"code":-32602,"message":"Invalid params","data":"Named parameters do not match"},"id":6})~"},
        {R"~({"jsonrpc":"2.0","id":7,"method":"ua_session_reply","params":{"key":"B2B.10.123456.1700000000.1","method":"INVITE","code":200,"reason":"OK","content_type":"a/b"}})~",
         R"~({"jsonrpc":"2.0","error":{"code":-32602,"message":"Invalid params","data":"Named parameters do not match"},"id":7})~"},
        {R"~({"jsonrpc":"2.0","id":8,"method":"ua_session_reply","params":{"key":"B2B.10.123456.1700000000.1","method":"INVITE","code":"abc","reason":"OK"}})~",
         R"~({"jsonrpc":"2.0","error":{"code":-32602,"message":"Invalid params","data":"Bad type for parameter 'code'"},"id":8})~"},
        {R"~({"jsonrpc":"2.0","id":9,"method":"ua_session_reply","params":{"key":"B2B.10.123456.1700000000.1","method":"INVITE","code":200,"reason":null}})~",
         R"~({"jsonrpc":"2.0","error":{"code":-32602,"message":"Invalid params","data":"Bad type for parameter 'reason'"},"id":9})~"},
        {R"~({"jsonrpc":"2.0","id":10,"method":"ua_session_reply","params":{"key":"B2B.10.123456.1700000000.1","method":"INVITE","code":200,"reason":"OK"}})~",
         R"~({"jsonrpc":"2.0","error":{"code":500,"message":"Failed to send reply"},"id":10})~"},
        {R"~({"jsonrpc":"2.0","id":12,"method":"ua_session_update","params":{"key":"B2B.10.123456.1700000000.1","method":"OPTIONS"}})~",
         R"~({"jsonrpc":"2.0","error":{"code":500,"message":"Failed to send sequential request"},"id":12})~"},
        {R"~({"jsonrpc":"2.0","id":13,"method":"ua_session_terminate","params":{"key":"B2B.10.123456.1700000000.1"}})~",
         R"~({"jsonrpc":"2.0","error":{"code":500,"message":"Failed to terminate session"},"id":13})~"},
        {R"~({"jsonrpc":"2.0","id":15,"method":"ua_session_list","params":{"key":"B2B.10.123456.1700000000.1"}})~",
         R"~({"jsonrpc":"2.0","error":{"code":404,"message":"Entity not found"},"id":15})~"},
        {R"~({"jsonrpc":"2.0","id":16,"method":"ua_session_list","params":{"key":"nonsense"}})~",
         R"~({"jsonrpc":"2.0","error":{"code":400,"message":"Bad format for b2b key"},"id":16})~"},
        {R"~({"jsonrpc":"2.0","id":17,"method":"event_subscribe","params":{"event":"E_NO_SUCH","socket":"udp:127.0.0.1:8090"}})~",
         R"~({"jsonrpc":"2.0","error":{"code":400,"message":"Bad parameter value"},"id":17})~"},
        {R"~({"jsonrpc":"2.0","id":18,"method":"event_subscribe","params":{"event":"E_UA_SESSION","socket":"tcp:127.0.0.1:8090"}})~",
         R"~({"jsonrpc":"2.0","error":{"code":400,"message":"Bad parameter value"},"id":18})~"},
        {R"~({"jsonrpc":"2.0","id":19,"method":"event_subscribe","params":{"event":"E_UA_SESSION","socket":"udp:127.0.0.1"}})~",
         R"~({"jsonrpc":"2.0","error":{"code":400,"message":"Bad parameter value"},"id":19})~"},
        {R"~({"jsonrpc":"2.0","id":20,"method":"event_subscribe","params":{"event":"E_UA_SESSION","socket":"udp:127.0.0.1:8090","expire":-1}})~",
         R"~({"jsonrpc":"2.0","error":{"code":-32602,"message":"Invalid params","data":"Negative expire value"},"id":20})~"},
        {R"~({"jsonrpc":"2.0","id":21,"method":"event_subscribe","params":{"event":"E_UA_SESSION","socket":"udp:127.0.0.1:8090","expire":"60"}})~",
         R"~({"jsonrpc":"2.0","result":"OK","id":21})~"},
        {R"~({"jsonrpc":"2.0","id":22,"method":"event_subscribe","params":["E_UA_SESSION","udp:127.0.0.1:8090",30]})~",
         R"~({"jsonrpc":"2.0","result":"OK","id":22})~"},
        {R"~({"jsonrpc":"1.0","id":9,"method":"version"})~",
         R"~({"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request"},"id":9})~"},
        {R"~({"jsonrpc":"2.0","id":9,"method":"version","params":"x"})~",
         R"~({"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request"},"id":9})~"},
        {R"~({"jsonrpc":"2.0","id":{"a":1},"method":"version"})~", R"~(500 Internal error)~"},
        {R"~([{"jsonrpc":"2.0","id":1,"method":"version"}])~",
         R"~({"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request"},"id":null})~"},
        {R"~(this is not json)~", R"~(400 Parse_error)~"},
        {R"~({"jsonrpc":"2.0","id":10,"method":"version")~", R"~(400 Parse_error)~"},
        {R"~({"jsonrpc":"2.0","id":12,"method":"version"}garbage)~",
         R"~({"jsonrpc":"2.0","result":{"Server":"OpenSIPS (3.6.8 (x86_64/linux))"},"id":12})~"},
        {R"~()~", std::nullopt},
    };
    // clang-format on
    for (const auto& [request, answer] : recorded) {
        EXPECT_EQ(opensips.on_mi(request, {}), answer) << request;
    }
}

TEST_F(FakeOpenSipsTest, SubscriptionsExpireAndAreRenewedWithoutADuplicate) {
    EXPECT_FALSE(opensips.has_subscriber({}));
    subscribe(2);
    subscribe(2);
    EXPECT_EQ(
        mi("subscribers_list", R"({"event":"E_UA_SESSION"})"),
        R"({"jsonrpc":"2.0","result":{"Event":{"name":"E_UA_SESSION","id":6,"Subscribers":[{"socket":"udp:127.0.0.1:8090","expire":2,"ttl":2}]}},"id":7})"
    );
    EXPECT_TRUE(opensips.has_subscriber(TimePoint{} + 2s));
    EXPECT_FALSE(opensips.has_subscriber(TimePoint{} + 2001ms));
    EXPECT_EQ(
        mi("subscribers_list", R"({"event":"E_UA_SESSION"})", TimePoint{} + 4s),
        R"({"jsonrpc":"2.0","result":{"Event":{}},"id":7})"
    );
    opensips.invite({}, TimePoint{} + 4s);
    EXPECT_TRUE(opensips.take_events().empty());
}

TEST_F(FakeOpenSipsTest, ACallIsAnsweredAcknowledgedAndEndedByItsCaller) {
    subscribe();
    const auto key =
        opensips.invite({.to_user = "sales", .sdp = "v=0\r\n\"x\"", .extra_params = "p=1"}, {});
    const auto created = event();
    EXPECT_EQ(created.at("key").as_string(), key);
    EXPECT_EQ(created.at("event_type").as_string(), "NEW");
    EXPECT_EQ(created.at("body").as_string(), "v=0\r\n\"x\"");
    EXPECT_EQ(created.at("extra_params").as_string(), "p=1");
    EXPECT_NE(
        created.at("headers").as_string().find("To: <sip:sales@127.0.0.1:5060>\r\n"),
        json::string::npos
    );

    EXPECT_EQ(reply(key, "INVITE", 180), ok);
    EXPECT_EQ(reply(key, "INVITE", 200, R"(,"body":"answer")"), ok);
    EXPECT_EQ(reply(key, "INVITE", 200, R"(,"body":"answer")"), ok) << "a repetition is harmless";
    EXPECT_NE(reply(key, "INVITE", 486), ok);
    const auto outcomes = opensips.take_outcomes();
    ASSERT_EQ(outcomes.size(), 2U);
    EXPECT_EQ(outcomes[0].kind, Outcome::Kind::provisional);
    EXPECT_EQ(outcomes[1].kind, Outcome::Kind::answered);
    EXPECT_EQ(outcomes[1].body, "answer");
    opensips.ack(key);
    EXPECT_TRUE(opensips.take_events().empty()) << "an ACK is not reported without flag a";
    opensips.bye(key, {});
    EXPECT_EQ(event().at("event_type").as_string(), "TERMINATED");
    EXPECT_EQ(opensips.sessions(), 0U);
}

TEST_F(FakeOpenSipsTest, TheConnectorHangsUp) {
    const auto key = answered_call();
    EXPECT_EQ(mi("ua_session_terminate", fmt::format(R"({{"key":"{}"}})", key)), ok);
    const auto outcomes = opensips.take_outcomes();
    ASSERT_EQ(outcomes.size(), 1U);
    EXPECT_EQ(outcomes[0].kind, Outcome::Kind::hung_up);
    EXPECT_TRUE(opensips.take_events().empty());
    EXPECT_NE(mi("ua_session_terminate", fmt::format(R"({{"key":"{}"}})", key)), ok);
}

TEST_F(FakeOpenSipsTest, ARejectedCallStaysUntilItIsFreed) {
    subscribe();
    const auto key = opensips.invite({}, {});
    EXPECT_NE(mi("ua_session_terminate", fmt::format(R"({{"key":"{}"}})", key)), ok)
        << "unanswered";
    EXPECT_EQ(reply(key, "INVITE", 486), ok);
    EXPECT_EQ(opensips.take_outcomes().at(0).kind, Outcome::Kind::rejected);
    EXPECT_EQ(opensips.sessions(), 1U);
    EXPECT_EQ(mi("ua_session_terminate", fmt::format(R"({{"key":"{}"}})", key)), ok);
    EXPECT_EQ(opensips.sessions(), 0U);
    EXPECT_TRUE(opensips.take_outcomes().empty());
}

TEST_F(FakeOpenSipsTest, ACancelledCallWaitsFor487AndThenForItsEnd) {
    subscribe();
    const auto key = opensips.invite({}, {});
    opensips.take_events();
    opensips.cancel(key, {});
    EXPECT_EQ(event().at("method").as_string(), "CANCEL");
    EXPECT_EQ(opensips.sessions(), 1U);
    EXPECT_EQ(reply(key, "INVITE", 487), ok);
    EXPECT_EQ(mi("ua_session_terminate", fmt::format(R"({{"key":"{}"}})", key)), ok);
    EXPECT_EQ(opensips.sessions(), 0U);
}

TEST_F(FakeOpenSipsTest, EveryRequestInADialogWaitsForItsReply) {
    const auto key = answered_call();
    EXPECT_TRUE(opensips.press(key, '5', {}));
    const auto info = event();
    EXPECT_EQ(info.at("method").as_string(), "INFO");
    EXPECT_EQ(info.at("body").as_string(), "Signal=5\r\nDuration=160\r\n");
    EXPECT_FALSE(opensips.press(key, '6', {})) << "overlapping";
    EXPECT_EQ(reply(key, "INFO", 200), ok);
    EXPECT_TRUE(opensips.press(key, '6', {}));
    EXPECT_EQ(reply(key, "INFO", 200), ok);
    opensips.take_events();
    opensips.take_outcomes();
    opensips.reinvite(key, "hold", {});
    EXPECT_EQ(event().at("event_type").as_string(), "UPDATED");
    EXPECT_EQ(reply(key, "INVITE", 200, R"(,"body":"held")"), ok);
    EXPECT_EQ(opensips.take_outcomes().at(0).kind, Outcome::Kind::reinvite_answered);
}

TEST_F(FakeOpenSipsTest, ATransferIsAcceptedAndReported) {
    const auto key = answered_call();
    const auto refer = [&](std::string_view body) {
        return mi(
            "ua_session_update",
            fmt::format(
                R"({{"key":"{}","method":"REFER"{},"extra_headers":"Refer-To: <sip:agent@x>\r\n"}})",
                key,
                body
            )
        );
    };
    EXPECT_EQ(refer(""), ok);
    EXPECT_EQ(event().at("event_type").as_string(), "REJECTED")
        << "headers without a body are lost";
    EXPECT_EQ(refer(R"(,"body":"")"), ok);
    EXPECT_EQ(opensips.take_outcomes().at(0).body, "<sip:agent@x>");
    auto events = opensips.take_events();
    ASSERT_EQ(events.size(), 2U);
    EXPECT_EQ(
        json::parse(events[1].data).at("params").at("body").as_string(), "SIP/2.0 100 Trying\r\n"
    );
    EXPECT_EQ(reply(key, "NOTIFY", 200), ok);
    EXPECT_EQ(event().at("body").as_string(), "SIP/2.0 200 OK\r\n");
    EXPECT_EQ(reply(key, "NOTIFY", 200), ok);
    EXPECT_TRUE(opensips.take_events().empty());
}

class CalledOverOpenSips : public FakeOpenSipsTest {
protected:
    /// The connector calls; the key of the call.
    std::string called() {
        subscribe();
        const auto answer = mi(
            "ua_session_client_start",
            R"({"ruri":"sip:alice@gw.test","to":"sip:alice@gw.test","from":"Bot,sip:bot@gw.test",)"
            R"("body":"v=0\r\n","flags":"rbh","socket":"udp:127.0.0.1:5060"})"
        );
        const auto outcomes = opensips.take_outcomes();
        EXPECT_EQ(outcomes.size(), 1U);
        if (outcomes.empty()) return {};
        EXPECT_EQ(outcomes[0].kind, Outcome::Kind::called);
        EXPECT_EQ(outcomes[0].reason, "sip:alice@gw.test");
        EXPECT_EQ(outcomes[0].body, "v=0\r\n");
        EXPECT_EQ(json::parse(answer).at("result").as_string(), outcomes[0].key);
        return outcomes[0].key;
    }
};

TEST_F(CalledOverOpenSips, RingsAnswersAndHangsUpAsTheRealOneWasSeenTo) {
    const auto key = called();
    opensips.ring(key, {});
    const auto ringing = event();
    EXPECT_EQ(ringing.at("event_type").as_string(), "EARLY");
    EXPECT_EQ(ringing.at("entity_type").as_string(), "UAC");
    EXPECT_EQ(ringing.at("status").as_int64(), 180);
    opensips.answer(key, "v=0\r\ns=phone\r\n", {});
    const auto answered = event();
    EXPECT_EQ(answered.at("event_type").as_string(), "ANSWERED");
    EXPECT_EQ(answered.at("body").as_string(), "v=0\r\ns=phone\r\n");
    EXPECT_EQ(
        json::parse(mi("ua_session_list", fmt::format(R"({{"key":"{}"}})", key)))
            .at("result")
            .at("callid")
            .as_string(),
        key
    ) << "of an outgoing call the key is the Call-ID";
    opensips.bye(key, {});
    const auto over = event();
    EXPECT_EQ(over.at("event_type").as_string(), "TERMINATED");
    EXPECT_EQ(over.at("entity_type").as_string(), "UAC");
    EXPECT_EQ(opensips.sessions(), 0U);
}

TEST_F(CalledOverOpenSips, RefusesAndIsCancelled) {
    const auto busy = called();
    opensips.refuse(busy, 486, "Busy Here", {});
    const auto refused = event();
    EXPECT_EQ(refused.at("event_type").as_string(), "REJECTED");
    EXPECT_EQ(refused.at("status").as_int64(), 486);
    EXPECT_EQ(opensips.sessions(), 0U);

    const auto ringing = called();
    opensips.ring(ringing, {});
    opensips.take_events();
    EXPECT_EQ(mi("ua_session_terminate", fmt::format(R"({{"key":"{}"}})", ringing)), ok);
    const auto outcomes = opensips.take_outcomes();
    ASSERT_EQ(outcomes.size(), 1U);
    EXPECT_EQ(outcomes[0].kind, Outcome::Kind::cancelled);
    EXPECT_TRUE(opensips.take_events().empty()) << "no event tells of it";
    EXPECT_EQ(opensips.sessions(), 0U);
}

TEST_F(CalledOverOpenSips, NeedsASocketToCallFrom) {
    EXPECT_EQ(
        mi("ua_session_client_start", R"({"ruri":"sip:a@b","to":"sip:a@b","from":"sip:c@d"})"),
        R"({"jsonrpc":"2.0","error":{"code":500,"message":"Failed to start session"},"id":7})"
    );
}

TEST(SdpAnswerTest, TakesWhatAPhoneWithG711KnowsOfAnOffer) {
    const auto offer = parse_sdp_answer(
        "v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 35000 RTP/AVP 111 9 8 0 101\r\na=x\r\n"
    );
    ASSERT_TRUE(offer.has_value());
    EXPECT_EQ(offer->payload_type, 8);
    EXPECT_TRUE(parse_sdp_answer(make_sdp_answer("127.0.0.1", 6000, 8)));
}

TEST(SdpAnswerTest, TakesAddressPortAndCodecAtEitherLevel) {
    const auto session_level =
        parse_sdp_answer("v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 35000 RTP/AVP 8 101\r\na=x\r\n");
    ASSERT_TRUE(session_level);
    EXPECT_EQ(session_level->address, "10.0.0.1");
    EXPECT_EQ(session_level->port, 35000);
    EXPECT_EQ(session_level->payload_type, 8);
    const auto media_level = parse_sdp_answer(
        "c=IN IP4 1.1.1.1\nm=audio 4 RTP/AVP 0\nc=IN IP4 2.2.2.2\nm=video 6 RTP/AVP 9\nc=IN IP4 "
        "3.3.3.3\n"
    );
    ASSERT_TRUE(media_level);
    EXPECT_EQ(media_level->address, "2.2.2.2");
    EXPECT_TRUE(parse_sdp_answer(make_sdp_offer("127.0.0.1", 6000, 1)));
}

TEST(SdpAnswerTest, RefusesWhatNoPhoneCouldUse) {
    for (const auto* sdp :
         {"",
          "v=0\r\n",
          "m=audio 0 RTP/AVP 0\r\nc=IN IP4 1.1.1.1\r\n",
          "c=IN IP4 1.1.1.1\r\nm=audio 4 RTP/AVP 18\r\n",
          "m=audio 4 RTP/AVP 0\r\n",
          "c=IN IP4 1.1.1.1\r\nm=audio x RTP/AVP 0\r\n",
          "c=IN IP4 1.1.1.1\r\nm=audio 4 RTP/SAVP 0\r\n"}) {
        EXPECT_TRUE(parse_sdp_answer(sdp).has_error()) << sdp;
    }
}

}  // namespace
}  // namespace oavc::caller
