#include "async/pulse.hpp"

#include <gtest/gtest.h>

#include <future>
#include <thread>

namespace oavc::async {
namespace {

constexpr TimePoint t0{std::chrono::hours{1}};

/// Beats that come `late` after the last, for `time`; the time then.
TimePoint beat_for(LagMeter& meter, TimePoint now, Clock::duration time, Clock::duration late) {
    for (const auto end = now + time; now < end;) {
        now += LagMeter::period + late;
        meter.on_beat(now);
    }
    return now;
}

TEST(LagMeter, IsZeroWhileBeatsAreOnTime) {
    LagMeter meter;
    meter.start(t0);
    const auto now = beat_for(meter, t0, 5s, 0ms);
    EXPECT_EQ(meter.lag(now), 0ms);
    EXPECT_EQ(meter.lag(now + 99ms), 0ms) << "the next beat is not due yet";
}

TEST(LagMeter, CountsHowLateBeatsWere) {
    LagMeter meter;
    meter.start(t0);
    auto now = beat_for(meter, t0, 1s, 0ms);
    const auto on_time = meter.late().beats[0];
    EXPECT_GE(on_time, 10u);
    now += LagMeter::period + 3ms;
    meter.on_beat(now);
    meter.on_beat(now + LagMeter::period + 1s);
    const auto late = meter.late();
    EXPECT_EQ(late.beats[0], on_time);
    EXPECT_EQ(late.beats[2], 1u) << "2 to 5 ms";
    EXPECT_EQ(late.beats.back(), 1u) << "more than 200 ms";
    EXPECT_EQ(late.sum, 1003ms);
}

TEST(LagMeter, ForgivesOneLateBeatAndNotManyOfThem) {
    LagMeter once;
    once.start(t0);
    once.on_beat(t0 + 100ms + 250ms);
    EXPECT_GT(once.lag(t0 + 350ms), 50ms);
    EXPECT_LT(once.lag(t0 + 350ms), 100ms);

    LagMeter often;
    often.start(t0);
    const auto now = beat_for(often, t0, 3s, 250ms);
    EXPECT_GT(often.lag(now), 200ms);
    EXPECT_LE(often.lag(now), 250ms);
}

TEST(LagMeter, TellsOfAThreadThatHangsBeforeItBeatsAgain) {
    LagMeter meter;
    meter.start(t0);
    auto now = beat_for(meter, t0, 2s, 0ms);
    EXPECT_GT(meter.lag(now + 3s), 2500ms);
    EXPECT_EQ(meter.silence(now + 3s), 3s);
    meter.on_beat(now + 3s);
    now = beat_for(meter, now + 3s, 1s, 0ms);
    EXPECT_GT(meter.lag(now), 200ms) << "it is not trusted at once";
    now = beat_for(meter, now, 4s, 0ms);
    EXPECT_LT(meter.lag(now), 20ms);
}

TEST(Pulse, FindsTheShardThatHangs) {
    ShardPool shards{2};
    Pulse pulse{shards, 1s};
    EXPECT_EQ(pulse.stuck(TimePoint::max()), std::nullopt) << "nothing beats yet";
    shards.start();
    pulse.start();
    std::promise<void> hangs;
    std::promise<void> go_on;
    shards[1].post([&] {
        hangs.set_value();
        go_on.get_future().wait();
    });
    hangs.get_future().wait();
    // Shard 0 beats on; what has hung is found by how long ago it beat, whatever the time.
    const auto limit = Clock::now() + 30s;
    while (pulse.worst_lag(Clock::now()) < 200ms && Clock::now() < limit)
        std::this_thread::sleep_for(1ms);  // polls: the meter's own time has to pass
    EXPECT_GE(pulse.worst_lag(Clock::now()), 200ms);
    EXPECT_EQ(pulse.stuck(Clock::now()), std::nullopt) << "late is not dead";
    while (!pulse.stuck(Clock::now()) && Clock::now() < limit)
        std::this_thread::sleep_for(10ms);
    EXPECT_EQ(pulse.stuck(Clock::now()), 1u);
    go_on.set_value();
    while (pulse.stuck(Clock::now()) && Clock::now() < limit)
        std::this_thread::sleep_for(1ms);
    EXPECT_EQ(pulse.stuck(Clock::now()), std::nullopt);
    pulse.stop();
    EXPECT_EQ(pulse.worst_lag(Clock::now()), 0ms);
    shards.drain_and_join();
}

}  // namespace
}  // namespace oavc::async
