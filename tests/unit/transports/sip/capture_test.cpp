// What OpenSIPS 3.6 really sent to a SIP backend (tests/data/sip_backend), replayed.
#include "support/opensips_capture.hpp"
#include "support/sip_party.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace oavc::sip {
namespace {

std::string replaced(std::string text, std::string_view from, std::string_view to) {
    for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
        text.replace(at, from.size(), to);
    return text;
}

/// Feeds an agent what came from OpenSIPS, with our tag where the captured backend's was.
class Replay {
public:
    explicit Replay(const std::string& name)
        : datagrams_{test::load_opensips_capture("../sip_backend/" + name)} {
        party.here.port = 5060;
        for (const auto& one : datagrams_) {
            const auto parsed = parse_message(one.payload);
            const bool ours = one.direction == "connector->opensips";
            if (ours && parsed && !parsed->message.is_request() && captured_tag_.empty())
                captured_tag_ = parsed->message.to().tag;
        }
    }

    /// Until the next message of ours in the capture, or the end. Returns what the agent said.
    std::vector<Message> feed() {
        while (next_ < datagrams_.size()) {
            const auto& one = datagrams_[next_++];
            if (one.direction == "connector->opensips") {
                const auto parsed = parse_message(one.payload);
                captured = parsed->message;
                const bool provisional = captured.status > 0 && captured.status < 200;
                if (!provisional) break;
            } else if (one.direction == "opensips->connector") {
                party.say(replaced(one.payload, captured_tag_, party.remote_tag));
            }
        }
        return party.heard();
    }
    void answer() {
        party.call().answer(party.media(), party.now);
        party.agent.touched(party.number, party.now);
        const auto ok = party.next();
        EXPECT_EQ(ok.status, 200);
    }

    SipParty party;
    Message captured;  ///< what the captured backend said

private:
    std::vector<test::CapturedDatagram> datagrams_;
    std::size_t next_{0};
    std::string captured_tag_;
};

TEST(SipBackendCapture, ACallThroughOpenSipsThatTheCallerEnds) {
    Replay replay{"q_sip_backend_basic"};
    const auto trying = replay.feed();
    ASSERT_EQ(trying.size(), 1u);
    EXPECT_EQ(trying[0].status, 100);
    replay.answer();
    const auto said = replay.feed();
    ASSERT_EQ(said.size(), 1u);
    EXPECT_EQ(said[0].status, 200);
    EXPECT_EQ(said[0].get("CSeq"), replay.captured.get("CSeq"));
    EXPECT_EQ(said[0].list("Via"), replay.captured.list("Via"));
    EXPECT_EQ(replay.party.reported<Call::Over>()->end, CallEnd::remote_hung_up);
}

TEST(SipBackendCapture, ACallThroughOpenSipsThatIsCancelled) {
    Replay replay{"q2_sip_backend_cancel"};
    auto said = replay.feed();
    ASSERT_EQ(said.size(), 3u);
    EXPECT_EQ(said[0].status, 100);
    EXPECT_EQ(said[1].status, 200);
    EXPECT_EQ(said[1].cseq().method, "CANCEL");
    EXPECT_EQ(said[1].list("Via").size(), 1u);
    EXPECT_EQ(said[2].status, 487);
    EXPECT_EQ(said[2].list("Via").size(), 2u);  // of the INVITE
    replay.party.remote_tag = said[2].to().tag;
    replay.feed();
    replay.feed();
    replay.party.pass(std::chrono::seconds{40});
    EXPECT_TRUE(replay.party.heard().empty());
    EXPECT_EQ(replay.party.agent.stats().transactions.open, 0u);
}

TEST(SipBackendCapture, ACallThroughOpenSipsThatWeEnd) {
    Replay replay{"q3_sip_backend_connector_hangs_up"};
    replay.feed();
    replay.answer();
    EXPECT_TRUE(replay.feed().empty());
    ASSERT_EQ(replay.captured.method, "BYE");
    replay.party.call().hang_up(replay.party.now);
    replay.party.agent.touched(replay.party.number, replay.party.now);
    const auto bye = replay.party.next();
    EXPECT_EQ(bye.method, "BYE");
    EXPECT_EQ(bye.uri, replay.captured.uri);
    EXPECT_EQ(bye.list("Route"), replay.captured.list("Route"));
    EXPECT_EQ(bye.to().tag, replay.captured.to().tag);
    EXPECT_EQ(replay.party.sent_to.back(), (Target{Protocol::udp, "127.0.0.1", 5060, 0}));
}

TEST(SipBackendCapture, ACallThroughOpenSipsThatIsHeldAndResumed) {
    Replay replay{"q5_sip_backend_hold"};
    replay.feed();
    replay.answer();
    std::vector<Direction> directions;
    for (int i = 0; i < 8; ++i) {
        for (const auto& message : replay.feed())
            EXPECT_EQ(message.status, 200) << message.reason;
        while (const auto changed = replay.party.reported<Call::MediaChanged>())
            directions.push_back(changed->audio.direction);
    }
    ASSERT_EQ(directions.size(), 2u);
    EXPECT_FALSE(sends(directions[0]));
    EXPECT_EQ(directions[1], Direction::sendrecv);
    EXPECT_EQ(replay.party.reported<Call::Over>()->end, CallEnd::remote_hung_up);
}

}  // namespace
}  // namespace oavc::sip
