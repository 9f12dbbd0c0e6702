#include "transports/opensips/ua_session.hpp"

#include "transports/errors.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace oavc::transports::opensips {
namespace {

constexpr auto key = "B2B.258.211.1795338852.1208922329";
const TimePoint t0{};

std::string sdp(const std::string& media, int version = 1) {
    return "v=0\r\no=caller 100 " + std::to_string(version) +
           " IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n" + media;
}
const std::string pcmu = "m=audio 6000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n";

UaEvent event(
    UaEventType type,
    const std::string& method,
    const std::string& body = "",
    const std::string& headers = ""
) {
    UaEvent out;
    out.key = key;
    out.type = type;
    out.method = method;
    out.body = body;
    out.headers =
        "From: \"A\" <sip:alice@192.0.2.9>;tag=1\r\nTo: <sip:bot@example.org>\r\n" + headers;
    if (body.starts_with("v=")) *out.headers += "Content-Type: application/sdp\r\n";
    return out;
}
UaEvent invite(const std::string& body = sdp(pcmu)) {
    return event(UaEventType::created, "INVITE", body);
}

/// A session with what it did so far.
struct Driver {
    explicit Driver(UaSession s) : session{std::move(s)} { collect(); }

    void collect() {
        while (auto action = session.next_action()) {
            if (auto* send = std::get_if<UaSession::SendMi>(&*action)) {
                token = send->token;
                sent.push_back(send->command);
            } else if (const auto* over = std::get_if<UaSession::CallOver>(&*action)) {
                ends.push_back(over->end.reason);
            } else if (const auto* answered = std::get_if<UaSession::Answered>(&*action)) {
                audio = answered->audio;
                ++answers;
            } else if (const auto* changed = std::get_if<UaSession::MediaChanged>(&*action)) {
                audio = changed->audio;
                ++changes;
            } else if (const auto* done = std::get_if<UaSession::TransferDone>(&*action)) {
                transfers.push_back(done->ok ? done->status : -done->status);
            } else if (const auto* held = std::get_if<UaSession::HoldDone>(&*action)) {
                holds.push_back(held->ok ? held->status : -held->status);
            } else if (const auto* pressed = std::get_if<UaSession::KeyDone>(&*action)) {
                keys.push_back(pressed->ok ? pressed->status : -pressed->status);
            } else if (const auto* digit = std::get_if<UaSession::Digit>(&*action)) {
                digits += digit->digit;
            }
        }
    }
    void on(const UaEvent& e) {
        session.on_event(e, t0);
        collect();
    }
    void ok() {
        MiResponse response;
        response.ok = true;
        session.on_mi(token, {response}, t0);
        collect();
    }
    void fail(int code) {
        MiResponse response;
        response.code = code;
        session.on_mi(token, {response}, t0);
        collect();
    }
    void silence() {
        session.on_mi(token, {}, t0);
        collect();
    }
    void answer() {
        session.answer({"198.51.100.1", 35000, 4711, 1});
        collect();
    }
    void establish() {
        answer();
        ok();
        sent.clear();
    }
    /// "ua_session_reply INVITE 200"
    std::string last() const {
        if (sent.empty()) return "";
        std::string out = sent.back().method;
        if (const auto* method = sent.back().text("method")) out += ' ' + *method;
        if (const auto code = sent.back().number("code")) out += ' ' + std::to_string(*code);
        return out;
    }

    UaSession session;
    std::uint32_t token{0};
    std::vector<MiCommand> sent;
    std::vector<EndReason> ends;
    std::optional<sip::NegotiatedAudio> audio;
    int answers{0};
    int changes{0};
    std::vector<int> transfers;
    std::vector<int> holds;
    std::vector<int> keys;
    std::string digits;
};

Driver established() {
    Driver call{UaSession{invite(), {}}};
    call.establish();
    return call;
}

TEST(UaSession, TellsWhoCallsWhom) {
    auto event = invite();
    event.extra_params = "{\"lang\":\"en\"}";
    const UaSession session{event, {}};
    EXPECT_EQ(session.info().via, "opensips");
    EXPECT_EQ(session.info().native_id, key);
    EXPECT_EQ(session.info().from, "alice@192.0.2.9");
    EXPECT_EQ(session.info().to, "bot");
    EXPECT_EQ(session.info().parameters.at("extra_params"), "{\"lang\":\"en\"}");
    EXPECT_EQ(session.caller_address(), "192.0.2.9");
}

TEST(UaSession, ACallerWhoWithholdsTheNumberHasNone) {
    auto event = invite();
    event.headers =
        "f: \"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=1\r\nt: <tel:+49-30-1>\r\n"
        "c: application/sdp\r\n";
    const UaSession session{event, {}};
    EXPECT_EQ(session.info().from, "");
    EXPECT_EQ(session.info().to, "+49301");
}

TEST(UaSession, MediaFlowsOnceThe200IsAccepted) {
    Driver call{UaSession{invite(), {}}};
    call.answer();
    EXPECT_EQ(call.last(), "ua_session_reply INVITE 200");
    EXPECT_EQ(call.answers, 0);
    call.ok();
    EXPECT_EQ(call.answers, 1);
    EXPECT_EQ(call.audio->remote_port, 6000);
    EXPECT_TRUE(call.session.is_established());
}

TEST(UaSession, A200WithoutAnAnswerIsRepeatedAndThenTheCallIsLost) {
    Driver call{UaSession{invite(), {}}};
    call.answer();
    call.silence();
    call.silence();
    EXPECT_EQ(call.sent.size(), 3u);
    EXPECT_EQ(call.last(), "ua_session_reply INVITE 200");
    EXPECT_TRUE(call.ends.empty());
    call.silence();
    EXPECT_EQ(call.ends, std::vector{EndReason::carrier_lost});
    EXPECT_EQ(call.last(), "ua_session_terminate");
}

TEST(UaSession, AnAnswerToAnEarlierAttemptThatComesAtLastCounts) {
    Driver call{UaSession{invite(), {}}};
    call.answer();
    call.silence();
    call.ok();
    EXPECT_EQ(call.answers, 1);
}

TEST(UaSession, AKeyThatOpensipsDoesNotKnowAnyMoreIsALostCall) {
    auto call = established();
    call.on(event(UaEventType::updated, "OPTIONS"));
    call.fail(500);
    EXPECT_EQ(call.last(), "ua_session_list");
    EXPECT_TRUE(call.ends.empty());
    call.fail(404);
    EXPECT_EQ(call.ends, std::vector{EndReason::carrier_lost});
    EXPECT_TRUE(call.session.finished());
}

TEST(UaSession, AnErrorAboutASessionThatIsStillThereChangesNothing) {
    auto call = established();
    call.on(event(UaEventType::updated, "OPTIONS"));
    call.fail(500);
    call.ok();
    EXPECT_TRUE(call.session.is_established());
    EXPECT_TRUE(call.ends.empty());
}

TEST(UaSession, RefusesWhatItCannotAnswerAndFreesTheSession) {
    struct Case {
        std::string body;
        std::string content_type;
        const char* reply;
    };
    for (const auto& c : {
             Case{"", "", "ua_session_reply INVITE 415"},
             Case{"<xml/>", "application/isup", "ua_session_reply INVITE 415"},
             Case{"v=0\r\nnonsense", "", "ua_session_reply INVITE 488"},
             Case{sdp("m=audio 6000 RTP/AVP 18\r\n"), "", "ua_session_reply INVITE 488"},
             Case{sdp("m=audio 6000 RTP/SAVP 0\r\n"), "", "ua_session_reply INVITE 488"},
         }) {
        auto e = invite(c.body);
        if (!c.content_type.empty()) e.headers = "Content-Type: " + c.content_type + "\r\n";
        Driver call{UaSession{e, {}}};
        EXPECT_EQ(call.last(), c.reply) << c.body;
        EXPECT_TRUE(call.session.is_over());
        EXPECT_FALSE(call.session.is_answerable());
        EXPECT_FALSE(call.session.finished());
        call.ok();
        EXPECT_EQ(call.last(), "ua_session_terminate") << c.body;
        call.ok();
        EXPECT_TRUE(call.session.finished());
    }
}

TEST(UaSession, A503SaysWhenToComeBack) {
    Driver call{UaSession{invite(), {}}};
    call.session.reject(503, "Service Unavailable", std::chrono::seconds{10});
    call.collect();
    EXPECT_EQ(*call.sent[0].text("extra_headers"), "Retry-After: 10\r\n");
    EXPECT_EQ(*call.sent[0].text("body"), "");
    EXPECT_EQ(*call.sent[0].text("content_type"), "");
    call.fail(500);
    EXPECT_EQ(call.last(), "ua_session_terminate");
}

TEST(UaSession, ALateOfferIsAnsweredWithOursWhereTheScriptAsksForIt) {
    auto e = invite("");
    e.extra_params = "late_offer=1";
    Driver call{UaSession{e, {}}};
    EXPECT_TRUE(call.session.is_answerable());
    call.answer();
    EXPECT_NE(call.sent[0].text("body")->find("m=audio 35000 RTP/AVP 0 101"), std::string::npos);
    call.on(event(UaEventType::updated, "ACK", sdp(pcmu)));
    call.ok();
    EXPECT_EQ(call.audio->remote_port, 6000);
    EXPECT_EQ(call.audio->remote_address, "192.0.2.9");
}

TEST(UaSession, ACallFoundInTheListIsAnsweredWithoutItsOffer) {
    MiSession listed;
    listed.key = key;
    listed.state = session_new;
    listed.from_uri = "sip:caller@127.0.0.1:5070";
    listed.to_uri = "sip:bot@127.0.0.1:5060";
    listed.contact = "sip:caller@192.0.2.7:5070";
    Driver call{UaSession{listed, {}}};
    EXPECT_EQ(call.session.info().from, "caller@127.0.0.1");
    EXPECT_EQ(call.session.info().to, "bot");
    EXPECT_EQ(call.session.caller_address(), "192.0.2.7");
    call.establish();
    EXPECT_EQ(call.audio->remote_port, 0);  // to be learned from the caller's packets
    EXPECT_EQ(call.audio->codec, sip::AudioCodec::pcmu);
}

TEST(UaSession, TheEventOfACallFoundInTheListBringsItsOffer) {
    MiSession listed;
    listed.key = key;
    Driver call{UaSession{listed, {}}};
    call.on(invite(sdp("m=audio 6002 RTP/AVP 8\r\n")));
    call.establish();
    EXPECT_EQ(call.audio->codec, sip::AudioCodec::pcma);
    EXPECT_EQ(call.audio->remote_port, 6002);

    Driver refused{UaSession{listed, {}}};
    refused.on(invite(sdp("m=audio 6002 RTP/AVP 18\r\n")));
    EXPECT_EQ(refused.last(), "ua_session_reply INVITE 488");
    EXPECT_TRUE(refused.session.is_over());
}

TEST(UaSession, ACancelIsAnsweredWith487AndTheSessionFreed) {
    Driver call{UaSession{invite(), {}}};
    call.on(event(UaEventType::terminated, "CANCEL"));
    EXPECT_EQ(call.ends, std::vector{EndReason::cancelled});
    EXPECT_EQ(call.last(), "ua_session_reply INVITE 487");
    call.ok();
    EXPECT_EQ(call.last(), "ua_session_terminate");
    call.ok();
    EXPECT_TRUE(call.session.finished());
    call.answer();
    EXPECT_EQ(call.last(), "ua_session_terminate");
}

TEST(UaSession, ACancelThatCrossesOur200EndsTheCallAllTheSame) {
    Driver call{UaSession{invite(), {}}};
    call.answer();
    call.on(event(UaEventType::terminated, "CANCEL"));
    EXPECT_EQ(call.ends, std::vector{EndReason::cancelled});
    call.ok();  // to the 200
    EXPECT_EQ(call.answers, 0);
    EXPECT_EQ(call.last(), "ua_session_reply INVITE 487");
    call.fail(500);
    EXPECT_EQ(call.last(), "ua_session_terminate");
    call.fail(500);
    EXPECT_TRUE(call.session.finished());
}

TEST(UaSession, NothingIsSentAfterABye) {
    auto call = established();
    call.on(event(UaEventType::updated, "OPTIONS"));
    call.on(event(UaEventType::updated, "INFO"));
    call.on(event(UaEventType::terminated, "BYE"));
    const auto before = call.sent.size();
    EXPECT_EQ(call.ends, std::vector{EndReason::caller_hung_up});
    call.silence();
    call.silence();
    call.silence();
    EXPECT_TRUE(call.session.finished());
    EXPECT_EQ(call.sent.size(), before + 2);  // the OPTIONS reply, repeated; not the INFO reply
}

TEST(UaSession, HoldAndResumeKeepTheSessionIdAndRaiseItsVersion) {
    auto call = established();
    call.on(event(UaEventType::updated, "INVITE", sdp(pcmu + "a=sendonly\r\n", 2)));
    EXPECT_EQ(call.changes, 1);
    EXPECT_EQ(call.audio->direction, sip::Direction::recvonly);
    EXPECT_NE(call.sent.back().text("body")->find("o=- 4711 2 "), std::string::npos);
    call.ok();
    call.on(event(UaEventType::updated, "INVITE", sdp(pcmu, 3)));
    EXPECT_EQ(call.audio->direction, sip::Direction::sendrecv);
    EXPECT_NE(call.sent.back().text("body")->find("o=- 4711 3 "), std::string::npos);
}

TEST(UaSession, ASessionRefreshIsAnsweredAndChangesNothing) {
    auto call = established();
    call.on(event(UaEventType::updated, "INVITE", sdp(pcmu)));
    EXPECT_EQ(call.last(), "ua_session_reply INVITE 200");
    EXPECT_EQ(call.changes, 0);
}

TEST(UaSession, AReinviteWithoutSdpGetsAnOfferOfWhatIsInUse) {
    auto call = established();
    call.on(event(UaEventType::updated, "INVITE"));
    EXPECT_EQ(call.last(), "ua_session_reply INVITE 200");
    EXPECT_NE(
        call.sent.back().text("body")->find("m=audio 35000 RTP/AVP 0 101"), std::string::npos
    );
    EXPECT_EQ(call.changes, 0);
    call.on(event(UaEventType::updated, "ACK", sdp("m=audio 7000 RTP/AVP 0\r\na=recvonly\r\n")));
    EXPECT_EQ(call.changes, 1);
    EXPECT_EQ(call.audio->remote_port, 7000);
    EXPECT_EQ(call.audio->direction, sip::Direction::sendonly);
}

TEST(UaSession, AReinviteThatDoesNotFitIsRefusedAndTheCallGoesOn) {
    auto call = established();
    call.on(event(UaEventType::updated, "INVITE", sdp("m=audio 6000 RTP/AVP 18\r\n")));
    EXPECT_EQ(call.last(), "ua_session_reply INVITE 488");
    call.ok();
    call.on(event(UaEventType::updated, "INVITE", sdp("m=image 6000 udptl t38\r\n")));
    EXPECT_EQ(call.last(), "ua_session_reply INVITE 488");
    EXPECT_EQ(call.changes, 0);
    EXPECT_TRUE(call.session.is_established());
}

TEST(UaSession, EveryRequestInTheDialogGetsAReply) {
    struct Case {
        const char* method;
        const char* reply;
    };
    for (const auto& [method, reply] : {
             Case{"OPTIONS", "ua_session_reply OPTIONS 200"},
             Case{"UPDATE", "ua_session_reply UPDATE 200"},
             Case{"INFO", "ua_session_reply INFO 200"},
             Case{"NOTIFY", "ua_session_reply NOTIFY 200"},
             Case{"MESSAGE", "ua_session_reply MESSAGE 405"},
             Case{"REFER", "ua_session_reply REFER 405"},
             Case{"SUBSCRIBE", "ua_session_reply SUBSCRIBE 405"},
             Case{"X-UNHEARD-OF", "ua_session_reply X-UNHEARD-OF 405"},
         }) {
        auto call = established();
        call.on(event(UaEventType::updated, method));
        EXPECT_EQ(call.last(), reply);
    }
    auto call = established();
    call.on(event(UaEventType::updated, "ACK"));
    EXPECT_TRUE(call.sent.empty());
}

TEST(UaSession, RepliesAreSentOneAtATimeInOrder) {
    auto call = established();
    call.on(event(UaEventType::updated, "OPTIONS"));
    call.on(event(UaEventType::updated, "MESSAGE"));
    EXPECT_EQ(call.sent.size(), 1u);
    call.ok();
    EXPECT_EQ(call.last(), "ua_session_reply MESSAGE 405");
}

TEST(UaSession, AFloodOfRequestsIsBoundedAndTheCallCanStillBeEnded) {
    auto call = established();
    for (int i = 0; i < 1000; ++i)
        call.on(event(UaEventType::updated, "OPTIONS"));
    call.session.hang_up();
    call.collect();
    int answers = 0;
    while (!call.session.finished() && answers < 100) {
        call.ok();
        ++answers;
    }
    EXPECT_TRUE(call.session.finished());
    EXPECT_LE(answers, 40);
    EXPECT_EQ(call.last(), "ua_session_terminate");
}

TEST(UaSession, DigitsComeFromBothKindsOfInfo) {
    auto call = established();
    const auto info = [&](const char* type, const char* body) {
        call.on(
            event(UaEventType::updated, "INFO", body, std::string{"Content-Type: "} + type + "\r\n")
        );
        call.ok();
    };
    info("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n");
    info("application/dtmf-relay", "Duration= 100\nsignal = b\n");
    info("application/dtmf-relay", "Signal=11");
    info("application/dtmf", "#\r\n");
    info("Application/DTMF;x=y", "*");
    info("application/dtmf", "55");
    info("application/dtmf-relay", "Signal=");
    info("text/plain", "7");
    EXPECT_EQ(call.digits, "5B##*");
}

TEST(UaSession, TransferSucceedsWhenTheFinalNotifySaysSo) {
    auto call = established();
    ASSERT_TRUE(call.session.transfer("+4930123", t0).has_value());
    call.collect();
    EXPECT_EQ(call.last(), "ua_session_update REFER");
    EXPECT_EQ(
        *call.sent.back().text("extra_headers"),
        "Refer-To: <sip:+4930123@example.org>\r\nReferred-By: <sip:bot@example.org>\r\n"
    );
    call.ok();
    auto accepted = event(UaEventType::answered, "REFER");
    accepted.status = 202;
    call.on(accepted);
    EXPECT_TRUE(call.transfers.empty());
    call.on(event(
        UaEventType::updated,
        "NOTIFY",
        "SIP/2.0 100 Trying\r\n",
        "Event: refer\r\nSubscription-State: active;expires=60\r\n"
    ));
    call.ok();
    EXPECT_TRUE(call.transfers.empty());
    call.on(event(
        UaEventType::updated,
        "NOTIFY",
        "SIP/2.0 200 OK\r\n",
        "Event: refer\r\nSubscription-State: terminated;reason=noresource\r\n"
    ));
    EXPECT_EQ(call.transfers, std::vector{200});
    EXPECT_EQ(call.ends, std::vector{EndReason::transferred});
    EXPECT_EQ(call.last(), "ua_session_reply NOTIFY 200");
    call.ok();
    EXPECT_EQ(call.last(), "ua_session_terminate");
}

TEST(UaSession, AFailedTransferLeavesTheCallAsItWas) {
    {
        auto call = established();
        ASSERT_TRUE(call.session.transfer("sip:agent@example.org", t0).has_value());
        auto rejected = event(UaEventType::rejected, "REFER");
        rejected.status = 603;
        call.on(rejected);
        EXPECT_EQ(call.transfers, std::vector{-603});
        EXPECT_TRUE(call.session.is_established());
        EXPECT_TRUE(call.session.transfer("sip:other@example.org", t0).has_value());
    }
    {
        auto call = established();
        ASSERT_TRUE(call.session.transfer("tel:+4930", t0).has_value());
        call.on(event(
            UaEventType::updated,
            "NOTIFY",
            "SIP/2.0 486 Busy Here",
            "Subscription-State: terminated\r\n"
        ));
        EXPECT_EQ(call.transfers, std::vector{-486});
    }
    {
        auto call = established();
        ASSERT_TRUE(call.session.transfer("agent@example.org", t0).has_value());
        call.collect();
        call.fail(500);
        EXPECT_EQ(call.transfers, std::vector{-500});
        EXPECT_EQ(call.last(), "ua_session_list");
    }
    {
        auto call = established();
        ASSERT_TRUE(call.session.transfer("agent@example.org", t0).has_value());
        call.collect();
        call.silence();  // never repeated: perhaps it was sent
        EXPECT_EQ(call.sent.size(), 1u);
        ASSERT_TRUE(call.session.next_deadline().has_value());
        call.session.on_time(t0 + 31'999ms);
        call.collect();
        EXPECT_TRUE(call.transfers.empty());
        call.session.on_time(t0 + 32'000ms);
        call.collect();
        EXPECT_EQ(call.transfers, std::vector{-408});
        EXPECT_FALSE(call.session.next_deadline().has_value());
    }
}

TEST(UaSession, ACallerWhoHangsUpAfterAcceptingATransferWasTransferred) {
    auto call = established();
    ASSERT_TRUE(call.session.transfer("agent", t0).has_value());
    call.on(event(UaEventType::answered, "REFER"));
    call.on(event(UaEventType::terminated, "BYE"));
    EXPECT_EQ(call.transfers, std::vector{200});
    EXPECT_EQ(call.ends, std::vector{EndReason::transferred});
}

TEST(UaSession, TransferTargetsThatWouldAddHeadersAreRefused) {
    auto call = established();
    for (const auto* target : {"", " ", "sip:a@b>\r\nX: y", "a b", "sip:", "<sip:a@b>", "\"x\""}) {
        EXPECT_EQ(call.session.transfer(target, t0).error(), CallControlErrc::bad_target) << target;
    }
    Driver early{UaSession{invite(), {}}};
    EXPECT_EQ(early.session.transfer("sip:a@b", t0).error(), CallControlErrc::wrong_state);
}

TEST(UaSession, ARestartOfOpensipsEndsTheCallAtOnce) {
    auto call = established();
    call.on(event(UaEventType::updated, "OPTIONS"));
    call.session.on_lost("restarted");
    call.collect();
    EXPECT_EQ(call.ends, std::vector{EndReason::carrier_lost});
    EXPECT_TRUE(call.session.finished());
}

TEST(UaSession, AnOwnerThatGoesAwayLeavesWhatMustStillBeSent) {
    const auto methods = [](std::vector<MiCommand> commands) {
        std::vector<std::string> out;
        for (const auto& c : commands) {
            out.push_back(
                c.method + (c.number("code") ? ' ' + std::to_string(*c.number("code")) : "")
            );
        }
        return out;
    };
    using Names = std::vector<std::string>;
    Driver offered{UaSession{invite(), {}}};
    EXPECT_EQ(
        methods(offered.session.take_leftovers()),
        (Names{"ua_session_reply 480", "ua_session_terminate"})
    );
    Driver answering{UaSession{invite(), {}}};
    answering.answer();
    EXPECT_EQ(
        methods(answering.session.take_leftovers()),
        (Names{"ua_session_reply 480", "ua_session_terminate"})
    );
    auto up = established();
    EXPECT_EQ(methods(up.session.take_leftovers()), Names{"ua_session_terminate"});
    EXPECT_TRUE(up.session.finished());
    EXPECT_EQ(methods(up.session.take_leftovers()), Names{});
    auto over = established();
    over.on(event(UaEventType::terminated, "BYE"));
    EXPECT_EQ(methods(over.session.take_leftovers()), Names{});
}

TEST(ReplyToUnknown, FinishesWhatNobodyOwns) {
    EXPECT_EQ(reply_to_unknown(event(UaEventType::terminated, "CANCEL")).number("code"), 487);
    const auto info = reply_to_unknown(event(UaEventType::updated, "INFO"));
    EXPECT_EQ(info.number("code"), 481);
    EXPECT_EQ(*info.text("method"), "INFO");
}

UaEvent answer_to(const std::string& method, UaEventType type, int status, std::string body = "") {
    auto out = event(type, method, std::move(body));
    out.status = status;
    return out;
}
const std::string sendonly = "a=sendonly\r\n";
const std::string recvonly = "a=recvonly\r\n";

TEST(UaSession, HoldsTheCallerByAReInviteAndTakesHimBack) {
    auto call = established();
    ASSERT_TRUE(call.session.hold(true, t0));
    call.collect();
    EXPECT_EQ(call.last(), "ua_session_update INVITE");
    EXPECT_NE(call.sent.back().text("body")->find(sendonly), std::string::npos);
    EXPECT_NE(call.sent.back().text("body")->find("o=- 4711 2 "), std::string::npos);
    call.ok();
    EXPECT_TRUE(call.holds.empty()) << "sent is not answered";
    call.on(answer_to("INVITE", UaEventType::answered, 200, sdp(pcmu + recvonly, 2)));
    EXPECT_EQ(call.holds, std::vector{200});
    EXPECT_TRUE(call.session.holds());
    EXPECT_EQ(call.audio->direction, sip::Direction::sendonly);

    // A session refresh meanwhile does not end the hold.
    call.on(event(UaEventType::updated, "INVITE", sdp(pcmu, 3)));
    EXPECT_EQ(call.last(), "ua_session_reply INVITE 200");
    EXPECT_NE(call.sent.back().text("body")->find(sendonly), std::string::npos);
    call.ok();
    EXPECT_EQ(call.audio->direction, sip::Direction::sendonly);

    ASSERT_TRUE(call.session.hold(false, t0));
    call.collect();
    EXPECT_NE(call.sent.back().text("body")->find("a=sendrecv"), std::string::npos);
    call.ok();
    call.on(answer_to("INVITE", UaEventType::answered, 200, sdp(pcmu, 4)));
    EXPECT_EQ(call.holds, (std::vector{200, 200}));
    EXPECT_EQ(call.audio->direction, sip::Direction::sendrecv);
}

TEST(UaSession, AHoldThatIsRefusedLeavesTheCallAsItWas) {
    auto call = established();
    ASSERT_TRUE(call.session.hold(true, t0));
    call.collect();
    call.ok();
    call.on(answer_to("INVITE", UaEventType::rejected, 488));
    EXPECT_EQ(call.holds, std::vector{-488});
    EXPECT_FALSE(call.session.holds());
    EXPECT_EQ(call.changes, 0);
    EXPECT_TRUE(call.session.is_established());
}

TEST(UaSession, AHoldThatMeetsAReInviteIsTriedAgainALittleLater) {
    auto call = established();
    ASSERT_TRUE(call.session.hold(true, t0));
    call.collect();
    for (int attempt = 2; attempt <= 4; ++attempt) {
        call.ok();
        call.on(answer_to("INVITE", UaEventType::rejected, 491));
        const auto sent = call.sent.size();
        const auto again = call.session.next_deadline();
        ASSERT_TRUE(again.has_value());
        EXPECT_LE(*again, t0 + 2s) << "RFC 3261 §14.1";
        call.session.on_time(*again);
        call.collect();
        EXPECT_EQ(call.sent.size(), sent + 1);
    }
    EXPECT_TRUE(call.holds.empty());
    call.ok();
    call.on(answer_to("INVITE", UaEventType::rejected, 491));
    EXPECT_EQ(call.holds, std::vector{-491}) << "not for ever";
}

TEST(UaSession, AHoldWithoutAnAnswerEnds) {
    auto call = established();
    ASSERT_TRUE(call.session.hold(true, t0));
    call.collect();
    call.silence();
    EXPECT_EQ(call.sent.size(), 1u) << "never repeated";
    EXPECT_EQ(call.session.hold(true, t0).error(), CallControlErrc::wrong_state);
    EXPECT_EQ(call.session.next_deadline(), t0 + 10s);
    call.session.on_time(t0 + 10s);
    call.collect();
    EXPECT_EQ(call.holds, std::vector{-408});
    EXPECT_EQ(call.session.next_deadline(), std::nullopt);
}

TEST(UaSession, PressesOneKeyAfterAnotherByInfo) {
    auto call = established();
    ASSERT_TRUE(call.session.press('#', t0));
    call.collect();
    EXPECT_EQ(call.last(), "ua_session_update INFO");
    EXPECT_EQ(*call.sent.back().text("body"), "Signal=#\r\nDuration=160\r\n");
    EXPECT_EQ(*call.sent.back().text("content_type"), "Content-Type: application/dtmf-relay\r\n");
    EXPECT_EQ(call.session.press('1', t0).error(), CallControlErrc::wrong_state);
    call.ok();
    call.on(answer_to("INFO", UaEventType::answered, 200));
    EXPECT_EQ(call.keys, std::vector{200});
    ASSERT_TRUE(call.session.press('1', t0));
    call.collect();
    call.ok();
    call.on(answer_to("INFO", UaEventType::rejected, 415));
    EXPECT_EQ(call.keys, (std::vector{200, -415}));
    EXPECT_EQ(call.session.press('x', t0).error(), CallControlErrc::bad_target);
}

TEST(UaSession, WhatIsAskedForWhenTheCallerHangsUpIsNotDone) {
    auto call = established();
    ASSERT_TRUE(call.session.hold(true, t0));
    call.collect();
    call.ok();
    ASSERT_TRUE(call.session.press('1', t0));
    call.on(event(UaEventType::terminated, "BYE"));
    EXPECT_EQ(call.holds, std::vector{-487});
    EXPECT_EQ(call.keys, std::vector{-487});
    EXPECT_EQ(call.ends, std::vector{EndReason::caller_hung_up});
    EXPECT_EQ(call.session.next_deadline(), std::nullopt);
    EXPECT_EQ(call.session.hold(false, t0).error(), CallControlErrc::wrong_state);
}

}  // namespace
}  // namespace oavc::transports::opensips
