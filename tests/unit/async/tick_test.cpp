#include "async/tick.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

namespace oavc::async {
namespace {

struct Recorder final : TickClient {
    std::vector<TimePoint> ticks;
    std::function<void()> also;
    void on_tick(TimePoint now) noexcept override {
        ticks.push_back(now);
        if (also) also();
    }
};

TEST(TickWheel, CallsEachClientEvery20MillisecondsOnDeadlinesThatNeverDrift) {
    TickWheel wheel;
    Recorder a;
    Recorder b;
    const TimePoint start{};
    wheel.restart(start);
    wheel.add(a);
    wheel.add(b);
    // The owner's timer is late by varying amounts; deadlines stay exact.
    for (auto t = start; t < start + 1s; t += 7ms)
        wheel.advance(t);
    ASSERT_GE(a.ticks.size(), 48u);
    for (std::size_t i = 1; i < a.ticks.size(); ++i)
        EXPECT_EQ(a.ticks[i] - a.ticks[i - 1], 20ms);
    EXPECT_NE(a.ticks[0], b.ticks[0]) << "clients are spread over the frame time";
    wheel.remove(a);
    wheel.remove(b);
}

TEST(TickWheel, SurvivesClientsThatRemoveThemselvesAndTheirNeighbours) {
    TickWheel wheel;
    std::vector<Recorder> clients(25);
    wheel.restart(TimePoint{});
    for (auto& client : clients)
        wheel.add(client);
    for (auto& client : clients) {
        client.also = [&] {
            for (auto& other : clients)
                wheel.remove(other);
        };
    }
    wheel.advance(TimePoint{} + 40ms);
    EXPECT_TRUE(wheel.empty());
    std::size_t ran = 0;
    for (auto& client : clients)
        ran += client.ticks.size();
    EXPECT_EQ(ran, 1u);
}

TEST(TickWheel, SkipsDeadlinesAfterALongStallInsteadOfSendingABurst) {
    TickWheel wheel;
    Recorder client;
    wheel.restart(TimePoint{});
    wheel.add(client);
    wheel.advance(TimePoint{} + 10s);
    EXPECT_LE(client.ticks.size(), 2u);
    EXPECT_GT(wheel.stats().skipped, 4000u);
    wheel.remove(client);
}

}  // namespace
}  // namespace oavc::async
