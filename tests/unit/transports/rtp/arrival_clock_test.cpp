#include "transports/rtp/arrival_clock.hpp"

#include <gtest/gtest.h>

namespace oavc::transports::rtp {
namespace {

using std::chrono::hours;

ArrivalClock::Reading clocks;
int readings = 0;

/// Two clocks that go as one until one is set.
class Arrivals : public testing::Test {
protected:
    Arrivals() {
        clocks = {TimePoint{} + hours{10}, ArrivalClock::WallTime{} + hours{500'000}};
        readings = 0;
    }
    static void pass(Clock::duration time) {
        clocks.steady += time;
        clocks.wall += time;
    }
    ArrivalClock arrivals{[]() noexcept {
        ++readings;
        return clocks;
    }};
};

TEST_F(Arrivals, AreTheKernelsTimesOnTheSteadyClock) {
    for (int i = 0; i < 1000; ++i) {
        pass(20ms);
        EXPECT_EQ(arrivals.at(clocks.wall - 13ms, clocks.steady), clocks.steady - 13ms);
    }
    EXPECT_LE(readings, 22) << "the clocks are compared once a second";
}

TEST_F(Arrivals, MayBeLaterThanTheDeadlineOfTheTickThatReads) {
    const auto deadline = clocks.steady;
    pass(5ms);
    EXPECT_EQ(arrivals.at(clocks.wall - 2ms, deadline), clocks.steady - 2ms);
}

TEST_F(Arrivals, StayWithinTheSecondBeforeNowWhateverIsDoneToTheWallClock) {
    static_cast<void>(arrivals.at(clocks.wall, clocks.steady));
    for (const auto jump : {Clock::duration{hours{1}}, -Clock::duration{hours{2}}}) {
        clocks.wall += jump;
        pass(20ms);
        EXPECT_EQ(arrivals.at(clocks.wall - 3ms, clocks.steady), clocks.steady - 3ms);
        // Of a packet that came before the clock was set.
        const auto odd = arrivals.at(clocks.wall - jump, clocks.steady);
        EXPECT_LE(odd, clocks.steady);
        EXPECT_GE(odd, clocks.steady - 1s);
    }
}

TEST_F(Arrivals, OfWhatWaitedForLongAreOneSecondAgo) {
    EXPECT_EQ(arrivals.at(clocks.wall - 5s, clocks.steady), clocks.steady - 1s);
}

}  // namespace
}  // namespace oavc::transports::rtp
