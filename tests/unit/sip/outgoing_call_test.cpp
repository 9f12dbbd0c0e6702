// The user agent as the caller.
#include "support/sip_party.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace oavc::sip {
namespace {

using namespace std::chrono_literals;

struct Callee : SipParty {
    using SipParty::SipParty;

    static UserAgent::Settings with_password() {
        UserAgent::Settings settings;
        settings.call.credentials = {"bot", "secret"};
        return settings;
    }
    /// The agent's INVITE.
    Message dialled() {
        auto& made = agent.dial({"sip:callee@127.0.0.1", "sip:bot@127.0.0.1", here});
        number = made.number();
        EXPECT_TRUE(made.start(media(), now));
        agent.touched(number, now);
        auto invite = next();
        EXPECT_EQ(invite.method, "INVITE");
        return invite;
    }
    /// Makes later requests of ours belong to the dialog of that INVITE.
    void join(const Message& invite) {
        call_id = invite.get("Call-ID");
        remote_tag = invite.from().tag;
        remote_target = "sip:127.0.0.1:8089";
    }
    void hang_up() {
        call().hang_up(now);
        agent.touched(number, now);
    }
};

TEST(SipOutgoingCall, RingsIsAnsweredAndIsHungUpOn) {
    Callee callee;
    const auto invite = callee.dialled();
    EXPECT_NE(invite.body.find("m=audio 35000"), std::string::npos);
    callee.say(callee.response(invite, 100));
    EXPECT_FALSE(callee.reported<Call::Ringing>());
    callee.say(callee.response(invite, 180));
    EXPECT_EQ(callee.reported<Call::Ringing>()->status, 180);
    callee.say(callee.response(invite, 200, phone_sdp));
    const auto ack = callee.next();
    EXPECT_EQ(ack.method, "ACK");
    EXPECT_EQ(ack.uri, "sip:caller@127.0.0.1:5070");
    EXPECT_EQ(callee.reported<Call::Answered>()->audio.remote_port, 6000);
    // The ACK was lost.
    callee.say(callee.response(invite, 200, phone_sdp));
    EXPECT_EQ(callee.next().get("Via"), ack.get("Via"));
    callee.join(invite);
    callee.say(callee.request("BYE"));
    EXPECT_EQ(callee.next().status, 200);
    EXPECT_EQ(callee.reported<Call::Over>()->end, CallEnd::remote_hung_up);
    EXPECT_EQ(callee.gone.size(), 1u);
}

TEST(SipOutgoingCall, TellsWhyItWasRefused) {
    Callee callee;
    const auto invite = callee.dialled();
    callee.say(callee.response(invite, 486));
    EXPECT_EQ(callee.next().method, "ACK");
    const auto over = callee.reported<Call::Over>();
    EXPECT_EQ(over->end, CallEnd::refused);
    EXPECT_EQ(over->status, 486);
    EXPECT_EQ(callee.gone.size(), 1u);
}

TEST(SipOutgoingCall, GivesUpWhenNothingComes) {
    Callee callee;
    callee.dialled();
    callee.pass(33s);
    EXPECT_EQ(callee.reported<Call::Over>()->status, 503);
    EXPECT_EQ(callee.gone.size(), 1u);
}

TEST(SipOutgoingCall, IsCancelledOnceItHasBeenHeardOf) {
    Callee callee;
    const auto invite = callee.dialled();
    callee.hang_up();
    EXPECT_TRUE(callee.heard().empty());  // §9.1
    callee.say(callee.response(invite, 180));
    const auto cancel = callee.next();
    EXPECT_EQ(cancel.method, "CANCEL");
    EXPECT_EQ(cancel.get("Via"), invite.get("Via"));
    callee.say(callee.response(cancel, 200));
    callee.say(callee.response(invite, 487));
    EXPECT_EQ(callee.next().method, "ACK");
    EXPECT_EQ(callee.reported<Call::Over>()->end, CallEnd::local_hung_up);
    EXPECT_EQ(callee.gone.size(), 1u);
}

TEST(SipOutgoingCall, HangsUpOnA200ThatOvertookItsCancel) {
    Callee callee;
    const auto invite = callee.dialled();
    callee.say(callee.response(invite, 180));
    callee.hang_up();
    EXPECT_EQ(callee.next().method, "CANCEL");
    callee.say(callee.response(invite, 200, phone_sdp));
    EXPECT_EQ(callee.next().method, "ACK");
    const auto bye = callee.next();
    EXPECT_EQ(bye.method, "BYE");
    callee.say(callee.response(bye, 200));
    callee.pass(40s);
    EXPECT_EQ(callee.gone.size(), 1u);
}

TEST(SipOutgoingCall, AnswersAChallengeOnceForEachNonce) {
    Callee callee{Callee::with_password()};
    auto invite = callee.dialled();
    auto challenge = callee.response(invite, 407);
    challenge.add("Proxy-Authenticate", "Digest realm=\"r\", nonce=\"n1\", qop=\"auth,auth-int\"");
    challenge.add(
        "Proxy-Authenticate", "Digest realm=\"r\", nonce=\"n2\", algorithm=SHA-256, qop=\"auth\""
    );
    callee.say(challenge);
    EXPECT_EQ(callee.next().method, "ACK");
    const auto again = callee.next();
    EXPECT_EQ(again.cseq().number, invite.cseq().number + 1);
    EXPECT_EQ(again.get("Call-ID"), invite.get("Call-ID"));
    EXPECT_NE(again.get("Proxy-Authorization").find("SHA-256"), std::string::npos);
    EXPECT_NE(again.get("Proxy-Authorization").find("nonce=\"n2\""), std::string::npos);
    // The same again: the password is wrong.
    challenge = callee.response(again, 407);
    challenge.add("Proxy-Authenticate", "Digest realm=\"r\", nonce=\"n3\"");
    callee.say(challenge);
    EXPECT_EQ(callee.next().method, "ACK");
    EXPECT_EQ(callee.reported<Call::Over>()->status, 407);
    EXPECT_TRUE(callee.heard().empty());
}

TEST(SipOutgoingCall, AcknowledgesReliableRinging) {
    Callee callee;
    const auto invite = callee.dialled();
    auto progress = callee.response(invite, 183, phone_sdp);
    progress.add("Require", "100rel");
    progress.add("RSeq", "9");
    callee.say(progress);
    const auto prack = callee.next();
    EXPECT_EQ(prack.method, "PRACK");
    EXPECT_EQ(prack.get("RAck"), "9 " + std::string{invite.get("CSeq")});
    callee.say(progress);  // repeated before it had our PRACK: acknowledged once
    EXPECT_TRUE(callee.heard().empty());
    callee.say(callee.response(prack, 200));
    callee.say(callee.response(invite, 200));  // the answer has come already
    EXPECT_EQ(callee.next().method, "ACK");
    EXPECT_TRUE(callee.reported<Call::Answered>());
}

TEST(SipOutgoingCall, ThanksASecondForkAndHangsUpOnIt) {
    Callee callee;
    const auto invite = callee.dialled();
    callee.say(callee.response(invite, 200, phone_sdp));
    EXPECT_EQ(callee.next().method, "ACK");
    callee.tag = "fork2";
    callee.say(callee.response(invite, 200, phone_sdp));
    EXPECT_EQ(callee.next().to().tag, "fork2");
    const auto bye = callee.next();
    EXPECT_EQ(bye.method, "BYE");
    EXPECT_EQ(bye.to().tag, "fork2");
    EXPECT_TRUE(callee.call().is_established());
}

TEST(SipOutgoingCall, HangsUpWhenTheAnswerIsNone) {
    Callee callee;
    const auto invite = callee.dialled();
    callee.say(callee.response(invite, 200, "v=1\r\n"));
    EXPECT_EQ(callee.next().method, "ACK");
    EXPECT_EQ(callee.next().method, "BYE");
    EXPECT_EQ(callee.reported<Call::Over>()->end, CallEnd::lost);
}

TEST(SipOutgoingCall, AsksForALongerSessionWhenItMust) {
    Callee callee;
    const auto invite = callee.dialled();
    EXPECT_EQ(invite.get("Session-Expires"), "1800");
    auto small = callee.response(invite, 422);
    small.add("Min-SE", "3600");
    callee.say(small);
    EXPECT_EQ(callee.next().method, "ACK");
    const auto again = callee.next();
    EXPECT_EQ(again.get("Session-Expires"), "3600");
    auto ok = callee.response(again, 200, phone_sdp);
    ok.add("Session-Expires", "3600;refresher=uas");
    callee.say(ok);
    EXPECT_EQ(callee.next().method, "ACK");
    callee.pass(3567s);
    EXPECT_TRUE(callee.heard().empty());
    callee.pass(2s);
    EXPECT_EQ(callee.next().method, "BYE");
}

TEST(SipOutgoingCall, FollowsTheRouteThatThe200Records) {
    Callee callee;
    const auto invite = callee.dialled();
    auto ok = callee.response(invite, 200, phone_sdp);
    ok.add("Record-Route", "<sip:192.0.2.1;lr>, <sip:192.0.2.2:5080;transport=tcp;lr>");
    callee.say(ok);
    callee.collect();
    EXPECT_EQ(callee.sent_to.back(), (Target{Protocol::tcp, "192.0.2.2", 5080, 0}));
    const auto ack = callee.next();
    EXPECT_EQ(ack.list("Route").size(), 2u);
    EXPECT_EQ(ack.list("Route")[0], "<sip:192.0.2.2:5080;transport=tcp;lr>");
}

}  // namespace
}  // namespace oavc::sip
