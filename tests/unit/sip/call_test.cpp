#include "sip/call.hpp"

#include "support/sip_party.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace oavc::sip {
namespace {

using namespace std::chrono_literals;

// --- Being called.

TEST(SipCall, AnswersAndIsHungUpOn) {
    SipParty party;
    party.say(party.invite());
    EXPECT_EQ(party.next().status, 100);
    ASSERT_EQ(party.incoming, 1);
    ASSERT_TRUE(party.call().answer(party.media(), party.now));
    party.agent.touched(party.number, party.now);
    const auto ok = party.next();
    EXPECT_EQ(ok.status, 200);
    EXPECT_EQ(ok.get("Contact"), "<sip:127.0.0.1:8089>");
    EXPECT_FALSE(ok.to().tag.empty());
    EXPECT_NE(ok.body.find("m=audio 35000 RTP/AVP 0"), std::string::npos) << ok.body;
    party.say(party.request("ACK"));
    EXPECT_TRUE(party.reported<Call::Answered>());
    party.pass(31s);
    EXPECT_TRUE(party.heard().empty());

    party.say(party.request("BYE"));
    EXPECT_EQ(party.next().status, 200);
    EXPECT_EQ(party.reported<Call::Over>()->end, CallEnd::remote_hung_up);
    EXPECT_EQ(party.gone.size(), 1u);
    party.say(party.request("BYE"));
    EXPECT_EQ(party.next().status, 481);
}

TEST(SipCall, KeepsItsToTagAndCopiesTheRoute) {
    SipParty party;
    auto invite = party.invite();
    invite.add("Record-Route", "<sip:127.0.0.1;lr;ftag=x>");
    party.say(invite);
    EXPECT_EQ(party.next().status, 100);
    party.call().answer(party.media(), party.now);
    party.agent.touched(party.number, party.now);
    const auto ok = party.next();
    EXPECT_EQ(ok.get("Record-Route"), "<sip:127.0.0.1;lr;ftag=x>");
    party.say(party.request("ACK"));
    party.call().hang_up(party.now);
    party.agent.touched(party.number, party.now);
    party.collect();
    const auto to = party.sent_to.back();
    const auto bye = party.next();
    EXPECT_EQ(bye.method, "BYE");
    EXPECT_EQ(bye.uri, "sip:caller@127.0.0.1:5070");
    EXPECT_EQ(bye.get("Route"), "<sip:127.0.0.1;lr;ftag=x>");
    EXPECT_EQ(bye.from().tag, ok.to().tag);
    EXPECT_EQ(to.port, 5060);
    EXPECT_FALSE(party.agent.call(party.number)->finished());
    party.say(party.response(bye, 200));
    EXPECT_EQ(party.gone.size(), 1u);
}

TEST(SipCall, RepeatsIts200UntilTheAckAndThenHangsUp) {
    SipParty party;
    party.answered_call();
    std::vector<Clock::duration> waits;
    auto last = party.now;
    while (party.agent.next_deadline() && waits.size() < 20) {
        party.pass(*party.agent.next_deadline() - party.now);
        for (const auto& message : party.heard()) {
            if (message.status == 200) {
                waits.push_back(party.now - last);
                last = party.now;
            } else if (message.method == "BYE") {
                party.say(party.response(message, 200));
            }
        }
        if (party.reported<Call::Over>()) break;
    }
    // RFC 3261 §13.3.1.4: T1 doubling up to T2, for 64·T1.
    const std::vector<Clock::duration> expected{500ms, 1s, 2s, 4s, 4s, 4s, 4s, 4s, 4s, 4s};
    EXPECT_EQ(waits, expected);
}

TEST(SipCall, IsCancelledBeforeItAnswers) {
    SipParty party;
    party.say(party.invite());
    EXPECT_EQ(party.next().status, 100);
    party.say(party.request("CANCEL"));
    const auto cancelled = party.next();
    EXPECT_EQ(cancelled.status, 200);
    EXPECT_EQ(cancelled.cseq().method, "CANCEL");
    const auto terminated = party.next();
    EXPECT_EQ(terminated.status, 487);
    EXPECT_EQ(terminated.to().tag, cancelled.to().tag);  // §9.2
    EXPECT_EQ(terminated.cseq().method, "INVITE");
    EXPECT_EQ(party.reported<Call::Over>()->end, CallEnd::cancelled);
    // Timer G until the ACK, which has the INVITE's branch.
    party.pass(600ms);
    EXPECT_EQ(party.next().status, 487);
    party.say(party.ack_of_refusal());
    party.pass(40s);
    EXPECT_TRUE(party.heard().empty());
    EXPECT_EQ(party.agent.stats().transactions.open, 0u);
}

TEST(SipCall, ACancelThatComesTooLateChangesNothing) {
    SipParty party;
    party.answered_call();
    party.say(party.request("CANCEL"));
    EXPECT_EQ(party.next().status, 200);
    EXPECT_FALSE(party.reported<Call::Over>());
    party.say(party.request("ACK"));
    EXPECT_TRUE(party.call().is_established());
}

TEST(SipCall, ACancelOfNothingGets481) {
    SipParty party;
    party.invite();
    party.say(party.request("CANCEL"));
    EXPECT_EQ(party.next().status, 481);
}

TEST(SipCall, ARepeatedInviteIsOneCall) {
    SipParty party;
    const auto invite = write_message(party.invite());
    party.say(invite);
    party.say(invite);
    EXPECT_EQ(party.incoming, 1);
    EXPECT_EQ(party.next().status, 100);
    EXPECT_EQ(party.next().status, 100);
    party.call().answer(party.media(), party.now);
    party.agent.touched(party.number, party.now);
    EXPECT_EQ(party.next().status, 200);
    party.say(invite);  // RFC 6026: absorbed, the 200 is repeated by its own timer
    EXPECT_TRUE(party.heard().empty());
    EXPECT_EQ(party.incoming, 1);
}

TEST(SipCall, AnInviteThatComesByTwoWaysIsTakenOnce) {
    SipParty party;
    auto invite = party.invite();
    party.say(invite);
    EXPECT_EQ(party.next().status, 100);
    invite.set("Via", "SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK-other");
    party.say(invite);
    EXPECT_EQ(party.next().status, 482);
}

TEST(SipCall, HoldsItsByeBackUntilTheAck) {
    SipParty party;
    party.answered_call();
    party.call().hang_up(party.now);
    party.agent.touched(party.number, party.now);
    EXPECT_TRUE(party.heard().empty());
    party.say(party.request("ACK"));
    EXPECT_EQ(party.next().method, "BYE");
}

TEST(SipCall, ByesThatCrossAreBothAnswered) {
    SipParty party;
    party.established_call();
    party.call().hang_up(party.now);
    party.agent.touched(party.number, party.now);
    const auto ours = party.next();
    ASSERT_EQ(ours.method, "BYE");
    party.say(party.request("BYE"));
    EXPECT_EQ(party.next().status, 200);
    party.say(party.response(ours, 481));
    EXPECT_EQ(party.gone.size(), 1u);
    EXPECT_EQ(party.reported<Call::Over>()->end, CallEnd::local_hung_up);
}

TEST(SipCall, AByeBeforeTheAckEndsTheCall) {
    SipParty party;
    party.answered_call();
    party.say(party.request("BYE"));
    EXPECT_EQ(party.next().status, 200);
    EXPECT_EQ(party.reported<Call::Over>()->end, CallEnd::remote_hung_up);
    party.pass(40s);
    EXPECT_TRUE(party.heard().empty());
}

TEST(SipCall, OldSequenceNumbersGet500) {
    SipParty party;
    party.established_call();
    party.cseq = 0;
    party.say(party.request("INFO"));
    EXPECT_EQ(party.next().status, 500);
    EXPECT_TRUE(party.call().is_established());
}

TEST(SipCall, TakesALateOfferAndItsAnswerInTheAck) {
    SipParty party;
    party.say(party.invite({}));
    EXPECT_EQ(party.next().status, 100);
    party.call().answer(party.media(), party.now);
    party.agent.touched(party.number, party.now);
    const auto ok = party.next();
    EXPECT_NE(ok.body.find("m=audio 35000"), std::string::npos);
    auto ack = party.request("ACK");
    ack.set_body("application/sdp", phone_sdp_with("0 8 101", "0 101"));
    party.say(ack);
    EXPECT_TRUE(party.reported<Call::Answered>());
    const auto changed = party.reported<Call::MediaChanged>();
    ASSERT_TRUE(changed);
    EXPECT_EQ(changed->audio.remote_port, 6000);
}

TEST(SipCall, HangsUpWhenTheAckLacksTheAnswer) {
    SipParty party;
    party.answered_call({});
    party.say(party.request("ACK"));
    EXPECT_EQ(party.next().method, "BYE");
    EXPECT_EQ(party.reported<Call::Over>()->end, CallEnd::lost);
}

TEST(SipCall, IsHeldAndResumed) {
    SipParty party;
    party.established_call();
    party.say(party.invite(phone_sdp_with("sendrecv", "sendonly")));
    auto ok = party.next();
    EXPECT_EQ(ok.status, 200);
    EXPECT_NE(ok.body.find("a=recvonly"), std::string::npos) << ok.body;
    EXPECT_FALSE(sends(party.reported<Call::MediaChanged>()->audio.direction));
    party.say(party.request("ACK"));
    party.say(party.invite());
    ok = party.next();
    EXPECT_NE(ok.body.find("a=sendrecv"), std::string::npos) << ok.body;
    EXPECT_TRUE(sends(party.reported<Call::MediaChanged>()->audio.direction));
    party.say(party.request("ACK"));
    party.pass(60s);
    EXPECT_TRUE(party.heard().empty());
}

TEST(SipCall, AReinviteWithoutAnOfferGetsOne) {
    SipParty party;
    party.established_call();
    party.say(party.invite({}));
    EXPECT_NE(party.next().body.find("m=audio 35000"), std::string::npos);
    auto ack = party.request("ACK");
    ack.set_body("application/sdp", phone_sdp_with("6000", "6002"));
    party.say(ack);
    EXPECT_EQ(party.reported<Call::MediaChanged>()->audio.remote_port, 6002);
}

TEST(SipCall, AnOfferThatDoesNotFitLeavesTheCallAsItWas) {
    SipParty party;
    party.established_call();
    party.say(party.invite(phone_sdp_with("0 8 101", "34")));
    EXPECT_EQ(party.next().status, 488);
    party.say(party.invite("v=1\r\n"));
    EXPECT_EQ(party.next().status, 400);
    EXPECT_FALSE(party.reported<Call::MediaChanged>());
    EXPECT_TRUE(party.call().is_established());
}

TEST(SipCall, UpdateAndInfoAndOptionsWithinTheCall) {
    SipParty party;
    party.established_call();
    auto update = party.request("UPDATE");
    update.set_body("application/sdp", phone_sdp_with("6000", "6004"));
    party.say(update);
    EXPECT_EQ(party.next().status, 200);
    EXPECT_EQ(party.reported<Call::MediaChanged>()->audio.remote_port, 6004);
    auto info = party.request("INFO");
    info.set_body("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n");
    party.say(info);
    EXPECT_EQ(party.next().status, 200);
    EXPECT_EQ(party.reported<Call::Digit>()->digit, '5');
    info = party.request("INFO");
    info.set_body("application/dtmf", "#");
    party.say(info);
    EXPECT_EQ(party.next().status, 200);
    EXPECT_EQ(party.reported<Call::Digit>()->digit, '#');
    party.say(party.request("OPTIONS"));
    EXPECT_NE(party.next().get("Allow").find("UPDATE"), std::string::npos);
    party.say(party.request("REFER"));
    EXPECT_EQ(party.next().status, 603);
    party.say(party.request("SUBSCRIBE"));
    EXPECT_EQ(party.next().status, 405);
}

TEST(SipCall, RefusesWhatItCannotTake) {
    SipParty party;
    party.say(party.invite(phone_sdp_with("0 8 101", "34")));
    EXPECT_EQ(party.next().status, 488);
    auto invite = party.invite();
    invite.set("Content-Type", "text/plain");
    party.say(invite);
    const auto refused = party.next();
    EXPECT_EQ(refused.status, 415);
    EXPECT_EQ(refused.get("Accept"), "application/sdp");
    party.say(party.invite("hello"));
    EXPECT_EQ(party.next().status, 400);
    invite = party.invite();
    invite.add("Require", "timer, precondition");
    party.say(invite);
    const auto extension = party.next();
    EXPECT_EQ(extension.status, 420);
    EXPECT_EQ(extension.get("Unsupported"), "precondition");
    EXPECT_EQ(party.incoming, 0);
}

// --- Session timers.

TEST(SipCall, ASessionThatIsNotRefreshedEnds) {
    SipParty party;
    auto invite = party.invite();
    invite.add("Supported", "timer");
    invite.add("Session-Expires", "120");
    party.say(invite);
    party.next();
    party.call().answer(party.media(), party.now);
    party.agent.touched(party.number, party.now);
    const auto ok = party.next();
    EXPECT_EQ(ok.get("Session-Expires"), "120;refresher=uac");
    EXPECT_EQ(ok.get("Require"), "timer");
    party.say(party.request("ACK"));
    party.pass(80s);
    auto update = party.request("UPDATE");
    update.add("Supported", "timer");
    update.add("Session-Expires", "120;refresher=uac");
    party.say(update);
    EXPECT_EQ(party.next().status, 200);
    party.pass(87s);
    EXPECT_TRUE(party.heard().empty());
    party.pass(2s);
    EXPECT_EQ(party.next().method, "BYE");
    EXPECT_EQ(party.reported<Call::Over>()->end, CallEnd::lost);
}

TEST(SipCall, RefreshesTheSessionWhenThatIsItsTurn) {
    SipParty party;
    auto invite = party.invite();
    invite.add("Supported", "timer");
    invite.add("Session-Expires", "120;refresher=uas");
    party.say(invite);
    party.next();
    party.call().answer(party.media(), party.now);
    party.agent.touched(party.number, party.now);
    EXPECT_EQ(party.next().get("Session-Expires"), "120;refresher=uas");
    party.say(party.request("ACK"));
    party.pass(60s);
    const auto update = party.next();
    EXPECT_EQ(update.method, "UPDATE");
    EXPECT_EQ(update.get("Session-Expires"), "120;refresher=uac");
    auto ok = party.response(update, 200);
    ok.add("Session-Expires", "120;refresher=uac");
    party.say(ok);
    party.pass(60s);
    EXPECT_EQ(party.next().method, "UPDATE");
}

TEST(SipCall, ASessionTimerTooShortIsRefusedWithWhatWouldDo) {
    SipParty party;
    auto invite = party.invite();
    invite.add("Supported", "timer");
    invite.add("Session-Expires", "30");
    party.say(invite);
    const auto refused = party.next();
    EXPECT_EQ(refused.status, 422);
    EXPECT_EQ(refused.get("Min-SE"), "90");
}

// --- Hold, transfer and keys of ours.

TEST(SipCall, PutsTheOtherSideOnHoldAndTriesAgainAfterAGlare) {
    SipParty party;
    party.established_call();
    ASSERT_TRUE(party.call().hold(true, party.now));
    party.agent.touched(party.number, party.now);
    auto ours = party.next();
    EXPECT_EQ(ours.method, "INVITE");
    EXPECT_NE(ours.body.find("a=inactive"), std::string::npos);
    // Theirs crosses ours.
    party.say(party.invite());
    EXPECT_EQ(party.next().status, 491);
    party.say(party.ack_of_refusal());
    party.say(party.response(ours, 491));
    EXPECT_EQ(party.next().method, "ACK");
    // §14.1: we do not own the Call-ID: 0 to 2 s.
    for (int i = 0; i <= 200 && party.sent.empty(); ++i)
        party.pass(10ms);
    ours = party.next();
    ASSERT_EQ(ours.method, "INVITE");
    party.say(party.response(ours, 200, phone_sdp_with("sendrecv", "inactive")));
    EXPECT_EQ(party.next().method, "ACK");
    EXPECT_EQ(party.reported<Call::HoldDone>()->status, 200);
    EXPECT_EQ(party.reported<Call::MediaChanged>()->audio.direction, Direction::inactive);
}

TEST(SipCall, PutsOnHoldOnceTheAckHasCome) {
    SipParty party;
    party.answered_call();
    ASSERT_TRUE(party.call().hold(true, party.now));
    party.agent.touched(party.number, party.now);
    EXPECT_TRUE(party.heard().empty()) << "§14.1: not while the INVITE's exchange lasts";
    EXPECT_FALSE(party.call().hold(false, party.now)) << "one wish at a time";
    party.say(party.request("ACK"));
    const auto ours = party.next();
    ASSERT_EQ(ours.method, "INVITE");
    EXPECT_NE(ours.body.find("a=inactive"), std::string::npos);
    party.say(party.response(ours, 200, phone_sdp_with("sendrecv", "inactive")));
    EXPECT_EQ(party.next().method, "ACK");
    EXPECT_EQ(party.reported<Call::HoldDone>()->status, 200);
}

TEST(SipCall, TriesAgainAfterAGlareOnceTheirReinviteIsThrough) {
    SipParty party;
    party.established_call();
    ASSERT_TRUE(party.call().hold(true, party.now));
    party.agent.touched(party.number, party.now);
    const auto refused = party.next();
    party.say(party.response(refused, 491));
    EXPECT_EQ(party.next().method, "ACK");
    // Theirs comes in our pause and has no ACK when the pause is over.
    party.say(party.invite());
    ASSERT_EQ(party.next().status, 200);
    for (int i = 0; i < 300; ++i)
        party.pass(10ms);
    for (const auto& message : party.heard())
        EXPECT_EQ(message.status, 200) << "only our 2xx again";
    party.say(party.request("ACK"));
    const auto ours = party.next();
    ASSERT_EQ(ours.method, "INVITE");
    EXPECT_NE(ours.body.find("a=inactive"), std::string::npos);
    party.say(party.response(ours, 200, phone_sdp_with("sendrecv", "inactive")));
    EXPECT_EQ(party.next().method, "ACK");
    EXPECT_EQ(party.reported<Call::HoldDone>()->status, 200);
}

TEST(SipCall, PutsOnHoldOnceItsRefreshIsThrough) {
    SipParty party;
    auto invite = party.invite();
    invite.set("Allow", "INVITE, ACK, BYE, CANCEL");  // no UPDATE
    invite.add("Supported", "timer");
    invite.add("Session-Expires", "120;refresher=uas");
    party.say(invite);
    party.next();
    party.call().answer(party.media(), party.now);
    party.agent.touched(party.number, party.now);
    party.next();
    party.say(party.request("ACK"));
    party.pass(60s);
    const auto refresh = party.next();
    ASSERT_EQ(refresh.method, "INVITE");
    EXPECT_EQ(refresh.body.find("a=inactive"), std::string::npos);
    ASSERT_TRUE(party.call().hold(true, party.now));
    party.agent.touched(party.number, party.now);
    EXPECT_TRUE(party.heard().empty());
    party.say(party.response(refresh, 200, phone_sdp));
    EXPECT_EQ(party.next().method, "ACK");
    EXPECT_FALSE(party.reported<Call::HoldDone>()) << "that was not it";
    const auto ours = party.next();
    ASSERT_EQ(ours.method, "INVITE");
    EXPECT_NE(ours.body.find("a=inactive"), std::string::npos);
    party.say(party.response(ours, 200, phone_sdp_with("sendrecv", "inactive")));
    EXPECT_EQ(party.reported<Call::HoldDone>()->status, 200);
}

TEST(SipCall, TransfersAndHangsUpWhenTheTargetHasAnswered) {
    SipParty party;
    party.established_call();
    ASSERT_TRUE(party.call().transfer("sip:1000@127.0.0.1", {}, party.now));
    party.agent.touched(party.number, party.now);
    const auto refer = party.next();
    EXPECT_EQ(refer.method, "REFER");
    EXPECT_EQ(refer.get("Refer-To"), "<sip:1000@127.0.0.1>");
    party.say(party.response(refer, 202));
    auto notify = party.request("NOTIFY");
    notify.add("Event", "refer");
    notify.add("Subscription-State", "active;expires=60");
    notify.set_body("message/sipfrag", "SIP/2.0 100 Trying");
    party.say(notify);
    EXPECT_EQ(party.next().status, 200);
    EXPECT_FALSE(party.reported<Call::TransferDone>());
    notify = party.request("NOTIFY");
    notify.add("Event", "refer");
    notify.add("Subscription-State", "terminated;reason=noresource");
    notify.set_body("message/sipfrag", "SIP/2.0 200 OK");
    party.say(notify);
    EXPECT_EQ(party.next().status, 200);
    EXPECT_EQ(party.reported<Call::TransferDone>()->status, 200);
    EXPECT_EQ(party.reported<Call::Over>()->end, CallEnd::transferred);
    EXPECT_EQ(party.next().method, "BYE");
}

TEST(SipCall, ATransferThatFailsLeavesTheCallAlone) {
    SipParty party;
    party.established_call();
    party.call().transfer("sip:1000@127.0.0.1", {}, party.now);
    party.agent.touched(party.number, party.now);
    party.say(party.response(party.next(), 202));
    party.pass(31s);
    EXPECT_FALSE(party.reported<Call::TransferDone>());
    party.pass(2s);
    EXPECT_EQ(party.reported<Call::TransferDone>()->status, 408);
    EXPECT_TRUE(party.call().is_established());
}

TEST(SipCall, PressesAKeyByInfo) {
    SipParty party;
    party.established_call();
    ASSERT_TRUE(party.call().send_digit('7', party.now));
    party.agent.touched(party.number, party.now);
    const auto info = party.next();
    EXPECT_EQ(info.get("Content-Type"), "application/dtmf-relay");
    EXPECT_EQ(info.body, "Signal=7\r\nDuration=160\r\n");
    party.say(party.response(info, 200));
    EXPECT_EQ(party.reported<Call::InfoDone>()->status, 200);
}

// --- TLS.

TEST(SipCallOverTls, SaysWhereItIsReachedByTls) {
    SipParty party{{}, Protocol::tls};
    party.say(party.invite());
    EXPECT_EQ(party.next().status, 100);
    party.call().answer(party.media(), party.now);
    party.agent.touched(party.number, party.now);
    EXPECT_EQ(party.next().get("Contact"), "<sip:127.0.0.1:8089;transport=tls>");
}

TEST(SipCallOverTls, ASipsCallHasASipsContact) {
    for (const std::string what : {"Request-URI", "Record-Route", "Contact"}) {
        SipParty party{{}, Protocol::tls};
        auto invite = party.invite();
        if (what == "Request-URI") invite.uri = "sips:bot@127.0.0.1";
        if (what == "Record-Route") invite.add("Record-Route", "<sips:127.0.0.1;lr>");
        if (what == "Contact") invite.set("Contact", "<sips:caller@127.0.0.1>");
        party.say(invite);
        EXPECT_EQ(party.next().status, 100);
        party.call().answer(party.media(), party.now);
        party.agent.touched(party.number, party.now);
        EXPECT_EQ(party.next().get("Contact"), "<sips:127.0.0.1:8089>") << what;
    }
}

TEST(SipCallOverTls, ASipsCallThatCameWithoutTlsIsRefused) {
    for (const auto protocol : {Protocol::udp, Protocol::tcp}) {
        SipParty party{{}, protocol};
        auto invite = party.invite();
        invite.uri = "SIPS:bot@127.0.0.1";
        party.say(invite);
        const auto refused = party.next();
        EXPECT_EQ(refused.status, 480);
        EXPECT_EQ(refused.get("Warning"), "380 oavc \"SIPS Not Allowed\"");
        EXPECT_EQ(party.incoming, 0);
    }
}

TEST(SipCallOverTls, GoesOutWithTlsInViaAndContact) {
    for (const std::string scheme : {"sip:", "sips:"}) {
        SipParty party{{}, Protocol::tls};
        auto& call =
            party.agent.dial({scheme + "alice@127.0.0.1", "sip:bot@127.0.0.1", party.here});
        call.start(party.media(), party.now);
        party.agent.touched(call.number(), party.now);
        const auto invite = party.next();
        EXPECT_EQ(invite.get("Via").substr(0, 12), "SIP/2.0/TLS ");
        const bool sips = scheme == "sips:";
        EXPECT_EQ(
            invite.get("Contact"),
            sips ? "<sips:127.0.0.1:8089>" : "<sip:127.0.0.1:8089;transport=tls>"
        );
    }
}

}  // namespace
}  // namespace oavc::sip
