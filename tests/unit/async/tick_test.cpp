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

/// Moves on by a number of phases in its second tick.
struct Mover final : TickClient {
    TickWheel* wheel{nullptr};
    std::size_t steps{0};
    std::vector<TimePoint> ticks;
    void on_tick(TimePoint now) noexcept override {
        ticks.push_back(now);
        if (ticks.size() == 2) wheel->move(*this, steps);
    }
};

TEST(TickWheel, MovesAClientToAnotherPhaseFromItsOwnTick) {
    for (std::size_t steps = 1; steps < TickWheel::phases; ++steps) {
        TickWheel wheel;
        Mover mover;
        Recorder other;
        mover.wheel = &wheel;
        mover.steps = steps;
        wheel.restart(TimePoint{});
        wheel.add(mover);
        wheel.add(other);
        // One call for each phase, or for many at once.
        for (auto t = TimePoint{}; t < TimePoint{} + 100ms; t += steps % 2 == 0 ? 2ms : 14ms)
            wheel.advance(t);
        ASSERT_GE(mover.ticks.size(), 4u);
        EXPECT_EQ(mover.ticks[1] - mover.ticks[0], 20ms);
        EXPECT_EQ(mover.ticks[2] - mover.ticks[1], steps * TickWheel::phase_time);
        EXPECT_EQ(mover.ticks[3] - mover.ticks[2], 20ms);
        for (std::size_t i = 1; i < other.ticks.size(); ++i)
            EXPECT_EQ(other.ticks[i] - other.ticks[i - 1], 20ms);
        wheel.remove(mover);
        wheel.remove(other);
    }
}

TEST(TickWheel, HasRoomInAPhaseForTwiceItsShare) {
    TickWheel wheel;
    std::vector<Recorder> clients(1000);
    wheel.restart(TimePoint{});
    for (auto& client : clients)
        wheel.add(client);
    // All want to be where the first is.
    std::size_t moved = 0;
    for (std::size_t i = 1; i < clients.size(); ++i) {
        const auto steps = (TickWheel::phases - i % TickWheel::phases) % TickWheel::phases;
        if (steps == 0 || !wheel.rooms(clients[i])[steps]) continue;
        wheel.move(clients[i], steps);
        ++moved;
    }
    EXPECT_EQ(moved, 100u) << "a hundred are there already";
    for (auto& client : clients)
        wheel.remove(client);
}

TEST(TickWheel, AsksToBeCalledForPhasesWithClientsOnly) {
    TickWheel wheel;
    Recorder client;
    wheel.restart(TimePoint{});
    wheel.add(client);
    int calls = 0;
    while (client.ticks.size() < 50) {
        wheel.advance(wheel.next_deadline());
        ++calls;
    }
    EXPECT_EQ(calls, 50);
    EXPECT_EQ(client.ticks[49] - client.ticks[0], 49 * 20ms);
    EXPECT_EQ(wheel.stats().worst_lag, 0ms);
    wheel.remove(client);
}

}  // namespace
}  // namespace oavc::async
