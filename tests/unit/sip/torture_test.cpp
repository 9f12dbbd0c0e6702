#include "sip/user_agent.hpp"
#include "support/sip_torture.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

// What a user agent makes of the torture messages of RFC 4475 and RFC 5118: bytes in, answers out.

namespace oavc::sip {
namespace {

using namespace std::chrono_literals;
using test::a_call;
using test::no_answer;
using test::TortureMessage;
using testing::AnyOf;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

/// A user agent that somebody sends one message.
class Victim {
public:
    explicit Victim(std::string_view bytes, Protocol protocol = Protocol::udp) {
        agent.on_bytes(bytes, {protocol, "192.0.2.200", 5060, 7}, now_);
        collect();
    }

    /// Refuses what waits, and lets an hour pass.
    void end() {
        for (const auto number : calls) {
            if (auto* call = agent.call(number)) call->reject(486, {}, {}, now_);
            agent.touched(number, now_);
        }
        for (int i = 0; i < 1'000; ++i) {
            const auto next = agent.next_deadline();
            if (!next || *next > TimePoint{} + 1h) break;
            now_ = std::max(now_, *next);
            agent.on_time(now_);
        }
        collect();
    }

    UserAgent agent{{}, [](const Target&) { return std::string{"192.0.2.10:5060"}; }};
    std::vector<std::uint64_t> calls;
    std::vector<std::string> final_responses;
    std::vector<std::string> requests;  ///< that it sent: it has no reason to
    /// Of everything sent.
    std::vector<std::string> destinations;

    /// The way it was treated, in the words of the table.
    int treatment() const {
        if (!calls.empty()) return a_call;
        if (final_responses.empty()) return no_answer;
        return std::stoi(final_responses.front().substr(8, 3));
    }

private:
    void collect() {
        while (const auto action = agent.next_action()) {
            if (const auto* incoming = std::get_if<UserAgent::Incoming>(&*action)) {
                calls.push_back(incoming->number);
            } else if (const auto* send = std::get_if<UserAgent::Send>(&*action)) {
                destinations.push_back(send->to.address);
                if (!send->bytes.starts_with("SIP/2.0 ")) {
                    requests.push_back(send->bytes);
                } else if (send->bytes[8] != '1') {
                    final_responses.push_back(send->bytes);
                }
            }
        }
    }

    TimePoint now_{};
};

class Torture : public testing::TestWithParam<TortureMessage> {};
INSTANTIATE_TEST_SUITE_P(
    Rfc4475And5118,
    Torture,
    testing::ValuesIn(test::torture_messages()),
    [](const auto& info) {
        std::string name = info.param.name;
        std::replace(name.begin(), name.end(), '-', '_');
        return name;
    }
);

TEST_P(Torture, IsTreatedAsTheRfcSays) {
    Victim victim{GetParam().bytes};
    EXPECT_THAT(GetParam().right, Contains(victim.treatment()))
        << "RFC section " << GetParam().section << "\n"
        << GetParam().bytes
        << (victim.final_responses.empty() ? "" : victim.final_responses.front());
    EXPECT_THAT(victim.requests, testing::IsEmpty());
    EXPECT_LE(victim.calls.size() + victim.final_responses.size(), 1U);
    for (const auto& destination : victim.destinations)
        EXPECT_EQ(destination, "192.0.2.200") << "answers go where the message came from";
    victim.end();
    EXPECT_EQ(victim.agent.stats().calls, 0U);
    EXPECT_EQ(victim.agent.stats().transactions.open, 0U);
}

// Nobody knows what a message would have said that was cut off or changed on its way; but whatever
// comes gets one answer at most, and breaks nothing.
TEST_P(Torture, DoesNoHarmWhenCutOffOrChanged) {
    const auto& whole = GetParam().bytes;
    for (std::size_t size = 0; size < whole.size(); size += 1 + whole.size() / 97) {
        Victim victim{std::string_view{whole}.substr(0, size)};
        ASSERT_LE(victim.calls.size() + victim.final_responses.size(), 1U) << size;
    }
    constexpr std::string_view evil{
        "\0\r\n\"\\<>;,:=%?@[]/ \xFF"
        "9",
        20};
    for (std::size_t at = 0; at < whole.size(); at += 1 + whole.size() / 97) {
        auto changed = whole;
        changed[at] = evil[at % evil.size()];
        Victim victim{changed};
        ASSERT_LE(victim.calls.size() + victim.final_responses.size(), 1U) << at;
        for (const auto& destination : victim.destinations)
            ASSERT_EQ(destination, "192.0.2.200") << at;
    }
}

std::string answer_to(std::string_view name) {
    for (const auto& message : test::torture_messages()) {
        if (message.name != name) continue;
        const Victim victim{message.bytes};
        return victim.final_responses.empty() ? "" : victim.final_responses.front();
    }
    return "no such message";
}

TEST(TortureAnswers, SayWhatTheOtherSideNeedsToKnow) {
    EXPECT_THAT(
        answer_to("bext01"),
        HasSubstr("Unsupported: nothingSupportsThis, nothingSupportsThisEither")
    );
    EXPECT_THAT(answer_to("bext01"), Not(HasSubstr("noProxiesSupportThis")));
    EXPECT_THAT(answer_to("invut"), HasSubstr("Accept: application/sdp"));
    EXPECT_THAT(answer_to("esc02"), HasSubstr("CSeq: 29344 RE%47IST%45R"));
    // Every Via comes back, in its order.
    const auto transports = answer_to("transports");
    std::size_t at = 0;
    for (const auto* host : {"t1.", "t2.", "t3.", "t4.", "t5."}) {
        at = transports.find(host, at);
        ASSERT_NE(at, std::string::npos) << host;
    }
}

TEST(TortureStream, LengthsThatCannotBeAreTheEndOfAStream) {
    for (const auto& message : test::torture_messages()) {
        const auto next = next_in_stream(message.bytes);
        if (message.name == "ncl") {
            EXPECT_TRUE(next.has_error());
        } else if (message.name == "clerr") {
            ASSERT_TRUE(next.has_value());
            EXPECT_EQ(next->size, 0U) << "the rest may still come";
        } else if (message.name == "dblreq") {
            ASSERT_TRUE(next.has_value());
            EXPECT_LT(next->size, message.bytes.size()) << "the INVITE behind is a message here";
            EXPECT_GT(next->size, 0U);
        }
    }
}

}  // namespace
}  // namespace oavc::sip
