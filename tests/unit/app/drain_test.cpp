#include "app/drain.hpp"

#include <gtest/gtest.h>

namespace oavc::app {
namespace {

using Step = Drain::Step;

constexpr TimePoint t0{1h};
const Drain::Times times{30s, 10s, 7s};

TEST(Drain, EndsAtOnceWithoutCalls) {
    Drain drain{times, t0};
    EXPECT_EQ(drain.next(0, t0), Step::end);
}

TEST(Drain, WaitsForCallsAndTellsHowManyAreLeft) {
    Drain drain{times, t0};
    EXPECT_EQ(drain.next(3, t0), Step::wait);
    EXPECT_EQ(drain.next_deadline(), t0 + 7s);
    EXPECT_EQ(drain.next(3, t0 + 6999ms), Step::wait);
    EXPECT_EQ(drain.next(2, t0 + 7s), Step::tell);
    EXPECT_EQ(drain.next(2, t0 + 7s), Step::wait);
    EXPECT_EQ(drain.left(t0 + 7s), 23s);
    EXPECT_EQ(drain.next(0, t0 + 8s), Step::end);
}

TEST(Drain, SaysGoodbyeOnceAtTheDeadlineAndEndsThoseThatStay) {
    Drain drain{times, t0};
    EXPECT_EQ(drain.next(2, t0 + 30s), Step::say_goodbye);
    EXPECT_EQ(drain.left(t0 + 30s), 10s);
    EXPECT_EQ(drain.next(2, t0 + 31s), Step::tell);
    EXPECT_EQ(drain.next(1, t0 + 35s), Step::wait);
    EXPECT_EQ(drain.next(1, t0 + 40s), Step::end);
    EXPECT_EQ(drain.next(1, t0 + 41s), Step::end);
}

TEST(Drain, GivesTheGoodbyeItsTimeHoweverLateItIsAsked) {
    Drain drain{times, t0};
    EXPECT_EQ(drain.next(1, t0 + 50s), Step::say_goodbye);
    EXPECT_NE(drain.next(1, t0 + 59s), Step::end);
    EXPECT_EQ(drain.next(1, t0 + 60s), Step::end);
}

TEST(Drain, WithoutADeadlineCallsSayGoodbyeAtOnce) {
    Drain drain{{0s, 10s, 10s}, t0};
    EXPECT_EQ(drain.next(1, t0), Step::say_goodbye);
}

}  // namespace
}  // namespace oavc::app
