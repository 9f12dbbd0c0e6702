#include "caller/measure.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

namespace oavc::caller {
namespace {

/// One direction of a call on virtual time: silence with voice where told.
class Voice {
public:
    Voice& speaks(milliseconds begin, milliseconds end) {
        spans_.push_back({begin, end});
        return *this;
    }

    /// In 20 ms frames, as the wire carries it.
    Activity on_the_wire(milliseconds length) const {
        Activity activity;
        for (milliseconds frame{0}; frame < length; frame += 20ms) {
            std::array<media::Sample, 160> samples{};
            for (std::size_t i = 0; i < samples.size(); ++i) {
                const auto at = microseconds{frame} + duration_of(i, narrowband);
                samples[i] =
                    static_cast<media::Sample>(voiced(at) ? (i % 2 == 0 ? 3000 : -3000) : 8);
            }
            activity.add(TimePoint{} + frame, samples);
        }
        return activity;
    }

private:
    bool voiced(microseconds at) const {
        return std::any_of(spans_.begin(), spans_.end(), [at](const auto& span) {
            return at >= span.first && at < span.second;
        });
    }
    std::vector<std::pair<milliseconds, milliseconds>> spans_;
};

SpokenUtterance said(milliseconds begin, milliseconds end, bool interrupts = false) {
    return {TimePoint{} + begin, TimePoint{} + end, interrupts};
}

TEST(Activity, FindsVoiceToFiveMillisecondsWithinAFrame) {
    const auto activity = Voice{}.speaks(1005ms, 1510ms).on_the_wire(3s);
    ASSERT_EQ(activity.spans().size(), 1U);
    EXPECT_EQ(activity.spans()[0].begin, TimePoint{} + 1005ms);
    EXPECT_EQ(activity.spans()[0].end, TimePoint{} + 1510ms);
}

TEST(Activity, BridgesHolesInsideWordsOnly) {
    const auto activity =
        Voice{}.speaks(0ms, 100ms).speaks(130ms, 200ms).speaks(235ms, 300ms).on_the_wire(1s);
    ASSERT_EQ(activity.spans().size(), 2U);
    EXPECT_EQ(activity.spans()[0].end, TimePoint{} + 200ms);
    EXPECT_EQ(activity.voiced_within(TimePoint{} + 150ms, TimePoint{} + 250ms), 65ms);
}

TEST(MeasureTurns, TakesTheLatencyFromLastVoicedSentToFirstVoicedHeard) {
    const auto sent = Voice{}.speaks(2100ms, 3000ms).on_the_wire(10s);
    const auto heard = Voice{}
                           .speaks(500ms, 1500ms)
                           .speaks(3645ms, 4000ms)
                           .speaks(4300ms, 5000ms)
                           .on_the_wire(10s);
    const auto turns =
        measure_turns(std::vector{said(2000ms, 3200ms)}, sent, heard, TimePoint{} + 10s);
    ASSERT_EQ(turns.size(), 2U);
    EXPECT_EQ(turns[0].reply_begin, TimePoint{} + 500ms);
    EXPECT_EQ(turns[0].reply_end, TimePoint{} + 1500ms);
    EXPECT_FALSE(turns[0].interrupted);
    EXPECT_EQ(turns[1].heard_latency, 645ms);
    EXPECT_EQ(turns[1].reply_end, TimePoint{} + 5000ms);
    EXPECT_FALSE(turns[1].barge_in);
}

TEST(MeasureTurns, SaysHowFastAnInterruptedReplyFellSilent) {
    const auto sent = Voice{}.speaks(1000ms, 2000ms).speaks(4000ms, 5000ms).on_the_wire(10s);
    const auto heard = Voice{}
                           .speaks(2600ms, 3300ms)
                           .speaks(3500ms, 4120ms)
                           .speaks(5700ms, 7000ms)
                           .on_the_wire(10s);
    const auto turns = measure_turns(
        std::vector{said(1000ms, 2000ms), said(4000ms, 5000ms, true)},
        sent,
        heard,
        TimePoint{} + 10s
    );
    ASSERT_EQ(turns.size(), 3U);
    EXPECT_TRUE(turns[1].interrupted);
    EXPECT_EQ(turns[1].barge_in, 120ms);
    EXPECT_EQ(turns[1].leaked, 0ms);
    EXPECT_EQ(turns[1].reply_end, TimePoint{} + 4120ms);
    EXPECT_EQ(turns[2].heard_latency, 700ms);
    EXPECT_FALSE(turns[2].interrupted);
}

TEST(MeasureTurns, NoticesAReplyThatComesBackWhileTheCallerStillSpeaks) {
    const auto sent = Voice{}.speaks(0ms, 1000ms).speaks(3000ms, 5000ms).on_the_wire(10s);
    const auto heard = Voice{}
                           .speaks(1600ms, 3100ms)
                           .speaks(3900ms, 4100ms)
                           .speaks(5500ms, 6000ms)
                           .on_the_wire(10s);
    const auto turns = measure_turns(
        std::vector{said(0ms, 1000ms), said(3000ms, 5000ms, true)}, sent, heard, TimePoint{} + 10s
    );
    EXPECT_EQ(turns[1].barge_in, 100ms);
    EXPECT_EQ(turns[1].leaked, 200ms);
    EXPECT_EQ(turns[2].heard_latency, 500ms);
}

TEST(MeasureTurns, TakesAQuickReplyToAShortInterruptionForWhatItIs) {
    const auto sent = Voice{}.speaks(0ms, 1000ms).speaks(3000ms, 3200ms).on_the_wire(10s);
    const auto heard = Voice{}.speaks(1600ms, 3060ms).speaks(3300ms, 6000ms).on_the_wire(10s);
    const auto turns = measure_turns(
        std::vector{said(0ms, 1000ms), said(3000ms, 3200ms, true)}, sent, heard, TimePoint{} + 10s
    );
    EXPECT_EQ(turns[1].barge_in, 60ms);
    EXPECT_EQ(turns[2].heard_latency, 100ms);
}

TEST(MeasureTurns, CallsItNoInterruptionWhenNobodySpoke) {
    const auto sent = Voice{}.speaks(0ms, 1000ms).speaks(4000ms, 5000ms).on_the_wire(10s);
    const auto heard = Voice{}.speaks(1600ms, 3000ms).on_the_wire(10s);
    const auto turns = measure_turns(
        std::vector{said(0ms, 1000ms), said(4000ms, 5000ms, true)}, sent, heard, TimePoint{} + 10s
    );
    EXPECT_FALSE(turns[1].interrupted);
    EXPECT_FALSE(turns[2].heard_latency) << "and no reply came";
}

TEST(RtpMeter, CountsLossAcrossTheWrapAndIgnoresReordering) {
    RtpMeter meter;
    TimePoint now{};
    std::uint16_t sequence = 65'533;
    std::uint32_t timestamp = 4'294'967'000U;
    const auto packet = [&](int skip) {
        sequence = static_cast<std::uint16_t>(sequence + skip);
        timestamp += static_cast<std::uint32_t>(160 * skip);
        now += 20ms * skip;
        meter.on_packet(sequence, timestamp, now);
    };
    for (int i = 0; i < 5; ++i)
        packet(1);
    packet(3);  // two are missing
    EXPECT_EQ(meter.received(), 6U);
    EXPECT_EQ(meter.lost(), 2U);
    EXPECT_DOUBLE_EQ(meter.max_gap_ms(), 60.0);
    EXPECT_DOUBLE_EQ(meter.jitter_ms(), 0.0);
    meter.on_packet(static_cast<std::uint16_t>(sequence - 1), timestamp - 160, now + 1ms);
    EXPECT_EQ(meter.lost(), 1U) << "it was only late";
}

TEST(RtpMeter, JitterIsTheSmoothedChangeOfTransitTime) {
    RtpMeter meter;
    meter.on_packet(1, 0, TimePoint{});
    meter.on_packet(2, 160, TimePoint{} + 36ms);  // 16 ms late: 1/16 of it counts (RFC 3550 §6.4.1)
    EXPECT_DOUBLE_EQ(meter.jitter_ms(), 1.0);
}

TEST(Percentile, IsTheNearestRank) {
    EXPECT_DOUBLE_EQ(percentile({}, 95), 0);
    EXPECT_DOUBLE_EQ(percentile({5}, 95), 5);
    EXPECT_DOUBLE_EQ(percentile({3, 1, 2, 4}, 50), 2);
    std::vector<double> twenty;
    for (int i = 1; i <= 20; ++i)
        twenty.push_back(i);
    EXPECT_DOUBLE_EQ(percentile(twenty, 95), 19);
}

}  // namespace
}  // namespace oavc::caller
