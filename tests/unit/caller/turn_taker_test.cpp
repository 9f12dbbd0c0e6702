#include "caller/turn_taker.hpp"

#include <gtest/gtest.h>

#include <functional>

namespace oavc::caller {
namespace {

using Action = TurnTaker::Action;

/// Ticks the taker every 20 ms of virtual time until it acts; `bot` says whether the connector's
/// voice is on the wire.
struct Phone {
    TurnTaker taker;
    TimePoint now{};
    std::function<bool(milliseconds)> bot;

    Action act(milliseconds limit = 120s) {
        const TimePoint until = now + limit;
        while (now < until) {
            now += 20ms;
            const auto action = taker.on_tick(now, bot(at()));
            if (action != Action::listen) return action;
        }
        return Action::listen;
    }
    milliseconds at() const {
        return std::chrono::duration_cast<milliseconds>(now.time_since_epoch());
    }
    void speak_for(milliseconds length) {
        now += length;
        taker.on_spoken(now);
    }
};

bool within(milliseconds t, milliseconds begin, milliseconds end) { return t > begin && t <= end; }

TEST(TurnTaker, SpeaksOnceTheGreetingHasBeenOverForAWhile) {
    Phone phone{{{}, {false}}, {}, [](milliseconds t) {
                    return within(t, 300ms, 2000ms) ||
                           within(t, 2500ms, 4000ms);  // a pause of 500 ms is none
                }};
    EXPECT_EQ(phone.act(), Action::speak);
    EXPECT_EQ(phone.at(), 4800ms);
    EXPECT_EQ(phone.taker.current(), 0U);
    EXPECT_FALSE(phone.taker.interrupting());
}

TEST(TurnTaker, BeginsItselfWhenNobodyGreets) {
    Phone phone{{{}, {false}}, {}, [](milliseconds) { return false; }};
    EXPECT_EQ(phone.act(), Action::speak);
    EXPECT_EQ(phone.at(), 4020ms);
    EXPECT_EQ(phone.taker.unanswered(), 0U);
}

TEST(TurnTaker, HangsUpAfterTheReplyToTheLastUtterance) {
    Phone phone{{{}, {false}}, {}, [](milliseconds t) {
                    return within(t, 0ms, 1000ms) || within(t, 4000ms, 5000ms);
                }};
    EXPECT_EQ(phone.act(), Action::speak);
    phone.speak_for(1000ms);
    EXPECT_EQ(phone.act(), Action::hang_up);
    EXPECT_EQ(phone.at(), 5800ms);
    EXPECT_EQ(phone.act(), Action::hang_up) << "for good";
}

TEST(TurnTaker, GoesOnWithoutAReplyAndCountsIt) {
    Phone phone{{{}, {false, false}}, {}, [](milliseconds t) { return within(t, 0ms, 1000ms); }};
    EXPECT_EQ(phone.act(), Action::speak);
    phone.speak_for(1000ms);
    EXPECT_EQ(phone.act(), Action::speak);
    EXPECT_EQ(phone.taker.current(), 1U);
    EXPECT_EQ(phone.taker.unanswered(), 1U);
    phone.speak_for(1000ms);
    EXPECT_EQ(phone.act(), Action::hang_up);
    EXPECT_EQ(phone.taker.unanswered(), 2U);
}

TEST(TurnTaker, InterruptsAReplyThatHasLastedLongEnough) {
    Phone phone{{{}, {false, true}}, {}, [](milliseconds t) {
                    return within(t, 0ms, 1000ms) || within(t, 4000ms, 20'000ms);
                }};
    EXPECT_EQ(phone.act(), Action::speak);
    EXPECT_FALSE(phone.taker.interrupting());
    phone.speak_for(1000ms);
    EXPECT_EQ(phone.act(), Action::speak);
    EXPECT_EQ(phone.at(), 4020ms + 1500ms);
    EXPECT_TRUE(phone.taker.interrupting());
}

TEST(TurnTaker, DoesNotCallItAnInterruptionWhenTheReplyWasShort) {
    Phone phone{{{}, {false, true}}, {}, [](milliseconds t) {
                    return within(t, 0ms, 1000ms) || within(t, 4000ms, 5000ms);
                }};
    EXPECT_EQ(phone.act(), Action::speak);
    phone.speak_for(1000ms);
    EXPECT_EQ(phone.act(), Action::speak);
    EXPECT_FALSE(phone.taker.interrupting());
}

TEST(TurnTaker, CutsInOnAReplyThatNeverEnds) {
    Phone phone{{{}, {false}}, {}, [](milliseconds) { return true; }};
    EXPECT_EQ(phone.act(), Action::speak);
    EXPECT_EQ(phone.at(), 60'020ms);
}

}  // namespace
}  // namespace oavc::caller
