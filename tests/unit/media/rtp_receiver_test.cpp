#include "media/rtp_receiver.hpp"

#include "support/rtp_packets.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace oavc::media {
namespace {

using test::Bytes;
using test::PacketMaker;
using test::RecordingSink;

constexpr PayloadType event_type{101};
const TimePoint t0{};

// Levels that survive µ-law unchanged, so that a frame names its packet.
Sample level_of(int n) { return g711::ulaw_decode(static_cast<std::uint8_t>(0x80 + n % 64)); }

struct Leg {
    RtpReceiver receiver;
    RecordingSink sink;
    PacketMaker maker;

    explicit Leg(RtpReceiverConfig config = {}) : receiver{with_events(config)} {}
    static RtpReceiverConfig with_events(RtpReceiverConfig config) {
        config.telephone_event = event_type;
        return config;
    }
    void packet(const Bytes& bytes, TimePoint now) { receiver.on_packet(bytes, now, sink); }
    void tick(TimePoint now) { receiver.on_tick(now, sink); }
    void ticks(TimePoint from, TimePoint to) {
        for (auto t = from; t <= to; t += 20ms)
            tick(t);
    }
    std::vector<Sample> first_samples() const {
        std::vector<Sample> firsts;
        for (const auto& frame : sink.frames)
            firsts.push_back(frame.samples[80]);
        return firsts;
    }
};

TEST(RtpReceiver, DeliversAnInOrderPacketWithinTheCallThatBringsIt) {
    Leg leg;
    for (int i = 0; i < 5; ++i) {
        leg.packet(leg.maker.constant(level_of(i)), t0 + i * 20ms);
        ASSERT_EQ(leg.sink.frames.size(), static_cast<std::size_t>(i) + 1);
        const auto& frame = leg.sink.frames.back();
        EXPECT_EQ(frame.samples, std::vector<Sample>(160, level_of(i)));
        EXPECT_EQ(frame.arrived, t0 + i * 20ms);
        EXPECT_FALSE(frame.concealed);
    }
}

TEST(RtpReceiver, CutsAndJoinsEveryPacketTimeInto20MillisecondFrames) {
    for (const std::size_t ptime : {5u, 10u, 20u, 30u, 40u, 60u, 100u, 120u}) {
        Leg leg;
        const auto samples = ptime * 8;
        const auto all = test::tone(440, samples * 30);
        for (std::size_t i = 0; i < 30; ++i) {
            const auto now = t0 + milliseconds{ptime * i};
            leg.tick(now);
            leg.packet(leg.maker.audio(std::span{all}.subspan(i * samples, samples)), now);
        }
        EXPECT_EQ(leg.sink.frames.size(), samples * 30 / 160) << ptime;
        const auto heard = leg.sink.audio();
        for (std::size_t i = 0; i < heard.size(); ++i) {
            ASSERT_EQ(heard[i], g711::ulaw_decode(g711::ulaw_encode(all[i])))
                << ptime << " at " << i;
        }
        EXPECT_EQ(leg.receiver.stats().concealed + leg.receiver.stats().silent, 0u) << ptime;
    }
}

TEST(RtpReceiver, DecodesEachPayloadTypeAsItsCodec) {
    RtpReceiverConfig config;
    config.payloads = {};
    config.payloads.add({97}, Codec::pcma);
    Leg leg{config};
    leg.maker.type = {97};
    const Bytes payload(160, std::byte{g711::alaw_encode(4'000)});
    leg.packet(leg.maker.packet(payload), t0);
    ASSERT_EQ(leg.sink.frames.size(), 1u);
    EXPECT_EQ(leg.sink.frames[0].samples[0], g711::alaw_decode(g711::alaw_encode(4'000)));

    leg.maker.type = {0};  // PCMU was not negotiated
    leg.packet(leg.maker.constant(level_of(1)), t0 + 20ms);
    EXPECT_EQ(leg.sink.frames.size(), 1u);
    EXPECT_EQ(leg.receiver.stats().rejected, 1u);
}

TEST(RtpReceiver, APacketOfAnUnknownTypeLeavesNoGapInTheSequence) {
    Leg leg;
    leg.packet(leg.maker.constant(level_of(1)), t0);
    leg.maker.type = {14};  // MPEG audio, not negotiated
    leg.packet(leg.maker.packet(Bytes(1)), t0 + 10ms);
    leg.maker.type = {0};
    leg.packet(leg.maker.constant(level_of(2)), t0 + 20ms);
    EXPECT_EQ(leg.sink.frames.size(), 2u) << "the second is not held behind a gap";
    EXPECT_EQ(leg.receiver.stats().rejected, 1u);
    EXPECT_EQ(leg.receiver.stats().lost, 0u);
}

TEST(RtpReceiver, PutsReorderedPacketsInOrderWithoutConcealing) {
    for (const auto& order : std::vector<std::vector<int>>{
             {0, 2, 1, 3}, {0, 3, 1, 2}, {0, 2, 3, 1}, {0, 3, 2, 1}, {0, 1, 3, 2}}) {
        Leg leg;
        std::vector<Bytes> packets;
        for (int i = 0; i < 4; ++i)
            packets.push_back(leg.maker.constant(level_of(i)));
        auto now = t0;
        for (const int i : order)
            leg.packet(packets[static_cast<std::size_t>(i)], now += 5ms);
        EXPECT_EQ(
            leg.first_samples(), (std::vector{level_of(0), level_of(1), level_of(2), level_of(3)})
        );
        const auto stats = leg.receiver.stats();
        EXPECT_EQ(stats.concealed + stats.lost + stats.late, 0u);
        EXPECT_GE(stats.reordered, 1u);
        EXPECT_TRUE(std::ranges::is_sorted(leg.sink.frames, {}, &RecordingSink::Frame::arrived));
    }
}

TEST(RtpReceiver, GivesAMissingPacketUpWhenThreeLaterOnesHaveCome) {
    Leg leg;
    const auto speech = test::tone(200, 160 * 6);
    std::vector<Bytes> packets;
    for (std::size_t i = 0; i < 6; ++i)
        packets.push_back(leg.maker.audio(std::span{speech}.subspan(160 * i, 160)));
    leg.packet(packets[0], t0);
    leg.packet(packets[2], t0 + 41ms);
    leg.packet(packets[3], t0 + 42ms);
    EXPECT_EQ(leg.sink.frames.size(), 1u);
    leg.packet(packets[4], t0 + 43ms);
    ASSERT_EQ(leg.sink.frames.size(), 5u);
    EXPECT_TRUE(leg.sink.frames[1].concealed);
    EXPECT_EQ(leg.sink.frames[1].arrived, t0 + 41ms) << "when it was found missing";
    EXPECT_EQ(leg.sink.frames[2].arrived, t0 + 41ms);
    EXPECT_EQ(leg.sink.frames[4].arrived, t0 + 43ms);
    EXPECT_FALSE(leg.sink.frames[2].concealed);
    // The invented frame sounds like its neighbours: it is not silence.
    const auto& invented = leg.sink.frames[1].samples;
    EXPECT_GT(*std::ranges::max_element(invented), 4'000);

    leg.packet(packets[1], t0 + 44ms);
    EXPECT_EQ(leg.sink.frames.size(), 5u);
    leg.packet(packets[1], t0 + 45ms);
    const auto stats = leg.receiver.stats();
    EXPECT_EQ(stats.concealed, 1u);
    EXPECT_EQ(stats.late, 1u);
    EXPECT_EQ(stats.duplicates, 1u) << "the second time it is no news";
    EXPECT_EQ(stats.lost, 0u) << "late is not lost";
}

TEST(RtpReceiver, GivesAMissingPacketUpAfterTheReorderWait) {
    Leg leg;
    leg.packet(leg.maker.constant(level_of(0)), t0);
    leg.maker.constant(0);
    leg.packet(leg.maker.constant(level_of(2)), t0 + 20ms);
    leg.tick(t0 + 79ms);
    EXPECT_EQ(leg.sink.frames.size(), 1u);
    leg.tick(t0 + 80ms);
    EXPECT_EQ(leg.sink.frames.size(), 3u);
    EXPECT_EQ(leg.receiver.stats().lost, 1u);
}

TEST(RtpReceiver, AStallDoesNotWaitForAGapThatMayWaitLonger) {
    RtpReceiverConfig config;
    config.reorder_wait = 10s;
    Leg leg{config};
    leg.packet(leg.maker.constant(level_of(0)), t0);
    leg.maker.constant(0);
    leg.packet(leg.maker.constant(level_of(2)), t0 + 20ms);
    leg.tick(t0 + 101ms);
    EXPECT_EQ(leg.first_samples()[2], level_of(2));
    EXPECT_EQ(leg.receiver.stats().late, 0u);
}

TEST(RtpReceiver, LostPacketsVouchForTheirTimeEvenWhenTheNextComesEarly) {
    Leg leg;
    leg.packet(leg.maker.constant(level_of(0)), t0);
    for (int i = 0; i < 30; ++i)
        leg.maker.constant(0);  // 600 ms, lost
    for (int i = 0; i < 3; ++i)
        leg.packet(leg.maker.constant(level_of(1)), t0 + 1ms);
    EXPECT_EQ(leg.sink.frames.size(), 1u + 30u + 3u);
    EXPECT_EQ(leg.receiver.stats().resyncs, 0u);
}

TEST(RtpReceiver, AWindowOfNothingConcealsAtOnce) {
    RtpReceiverConfig config;
    config.reorder_packets = 0;
    Leg leg{config};
    leg.packet(leg.maker.constant(level_of(0)), t0);
    leg.maker.constant(0);
    leg.packet(leg.maker.constant(level_of(2)), t0 + 40ms);
    EXPECT_EQ(leg.sink.frames.size(), 3u);
}

TEST(RtpReceiver, DropsDuplicatesOfDeliveredAndOfHeldPackets) {
    Leg leg;
    const auto first = leg.maker.constant(level_of(0));
    leg.maker.constant(0);
    const auto third = leg.maker.constant(level_of(2));
    leg.packet(first, t0);
    leg.packet(first, t0 + 1ms);
    leg.packet(third, t0 + 40ms);
    leg.packet(third, t0 + 41ms);
    leg.ticks(t0 + 100ms, t0 + 120ms);
    leg.packet(third, t0 + 121ms);
    const auto stats = leg.receiver.stats();
    EXPECT_EQ(stats.duplicates, 3u);
    EXPECT_EQ(stats.received, 2u);
    EXPECT_EQ(leg.sink.frames.size(), 3u);
}

TEST(RtpReceiver, ALongLossIsConcealedFor100MillisecondsAndThenSilent) {
    Leg leg;
    const auto speech = test::tone(150, 160 * 10);
    for (std::size_t i = 0; i < 10; ++i) {
        leg.packet(leg.maker.audio(std::span{speech}.subspan(160 * i, 160)), t0 + i * 20ms);
    }
    for (int i = 0; i < 20; ++i)
        leg.maker.constant(0);  // lost
    leg.ticks(t0 + 200ms, t0 + 580ms);
    for (int i = 0; i < 3; ++i)
        leg.packet(leg.maker.constant(level_of(5)), t0 + 600ms + i * 20ms);

    ASSERT_EQ(leg.sink.frames.size(), 10u + 20u + 3u) << "the timeline is whole";
    for (std::size_t i = 0; i < 33; ++i)
        EXPECT_EQ(leg.sink.frames[i].concealed, i >= 10 && i < 30) << i;
    const auto stats = leg.receiver.stats();
    EXPECT_EQ(stats.concealed, 5u);
    EXPECT_EQ(stats.silent, 15u);
    EXPECT_EQ(stats.lost, 20u);
    EXPECT_EQ(leg.sink.frames[15].samples, std::vector<Sample>(160, 0));
    EXPECT_TRUE(std::ranges::is_sorted(leg.sink.frames, {}, &RecordingSink::Frame::arrived));
}

TEST(RtpReceiver, TimePassesWhileTheCallerIsMutedAndSpeechComesBackInItsPlace) {
    Leg leg;
    for (int i = 0; i < 50; ++i) {
        leg.packet(leg.maker.constant(level_of(3)), t0 + i * 20ms);
        leg.tick(t0 + i * 20ms + 1ms);
    }
    leg.ticks(t0 + 1'001ms, t0 + 11'000ms);  // ten seconds without a packet
    const auto filled = leg.sink.frames.size();
    EXPECT_NEAR(static_cast<double>(filled), 50 + 500, 5);
    leg.maker.timestamp += 500 * 160;  // no sequence number is missing: discontinuous transmission
    for (int i = 0; i < 50; ++i) {
        leg.packet(leg.maker.constant(level_of(4)), t0 + 11'000ms + i * 20ms);
        leg.tick(t0 + 11'001ms + i * 20ms);
    }
    EXPECT_EQ(leg.sink.frames.size(), 600u) << "no drift";
    const auto stats = leg.receiver.stats();
    EXPECT_EQ(stats.lost, 0u);
    EXPECT_EQ(stats.late, 0u);
    EXPECT_EQ(stats.resyncs, 0u);
}

TEST(RtpReceiver, SilenceNeverSentIsFilledInEvenWithoutTicks) {
    Leg leg;
    leg.packet(leg.maker.constant(level_of(1)), t0);
    leg.maker.timestamp += 20 * 160;
    leg.packet(leg.maker.constant(level_of(2)), t0 + 420ms);
    EXPECT_EQ(leg.sink.frames.size(), 22u);
    // … but not without end.
    leg.maker.timestamp += 3'000 * 160;
    leg.packet(leg.maker.constant(level_of(2)), t0 + 60'440ms);
    EXPECT_EQ(leg.sink.frames.size(), 22u + 50u + 1u);
}

TEST(RtpReceiver, ABurstAfterAStallIsLateWhereItsTimeWasFilledAndTheRestIsHeard) {
    Leg leg;
    std::vector<Bytes> packets;
    for (int i = 0; i < 40; ++i)
        packets.push_back(leg.maker.constant(level_of(i)));
    std::size_t next = 0;
    for (int i = 0; i < 60; ++i) {  // one tick per 20 ms; the network stalls from 200 to 500 ms
        const auto now = t0 + i * 20ms;
        if (i >= 10 && i < 25) {
            leg.tick(now);
            continue;
        }
        while (next < packets.size() && next <= static_cast<std::size_t>(i))
            leg.packet(packets[next++], now);
        leg.tick(now);
    }
    const auto stats = leg.receiver.stats();
    EXPECT_GE(stats.late, 8u);
    EXPECT_LE(stats.late, 12u);
    EXPECT_EQ(stats.resyncs, 0u);
    // Frame n is still packet n: nothing has moved.
    for (std::size_t i = 26; i < 40; ++i) {
        EXPECT_EQ(leg.sink.frames[i].samples[80], level_of(static_cast<int>(i))) << i;
    }
}

TEST(RtpReceiver, EachBurstIsJudgedByItself) {
    Leg leg;
    auto now = t0;
    for (int stall = 0; stall < 5; ++stall) {
        for (int i = 0; i < 10; ++i, now += 20ms)
            leg.packet(leg.maker.constant(level_of(1)), now);
        // 300 ms come all at once, when most of their time has been filled.
        std::vector<Bytes> burst;
        for (int i = 0; i < 15; ++i, now += 20ms) {
            burst.push_back(leg.maker.constant(level_of(2)));
            leg.tick(now);
        }
        for (const auto& bytes : burst)
            leg.packet(bytes, now);
    }
    EXPECT_EQ(leg.receiver.stats().resyncs, 0u);
    EXPECT_EQ(leg.sink.frames.size(), 5u * 25u);
}

TEST(RtpReceiver, TwoBurstsThatAreWhollyLateAreTwoBursts) {
    Leg leg;
    leg.packet(leg.maker.constant(level_of(1)), t0);
    std::vector<Bytes> packets;
    for (int i = 0; i < 20; ++i)
        packets.push_back(leg.maker.constant(level_of(2)));
    leg.ticks(t0, t0 + 300ms);
    for (std::size_t i = 0; i < 5; ++i)
        leg.packet(packets[i], t0 + 300ms);
    leg.ticks(t0 + 320ms, t0 + 600ms);
    for (std::size_t i = 5; i < 20; ++i)
        leg.packet(packets[i], t0 + 600ms);
    EXPECT_EQ(leg.receiver.stats().resyncs, 0u);
}

TEST(RtpReceiver, AfterAStallThatEndedAJumpIsAJumpAgain) {
    Leg leg;
    leg.packet(leg.maker.constant(level_of(1)), t0);
    leg.ticks(t0, t0 + 2s);
    leg.maker.timestamp += 100 * 160;
    leg.packet(leg.maker.constant(level_of(2)), t0 + 2'020ms);
    leg.maker.timestamp -= 5 * 160;  // nothing we filled in overlaps with this
    leg.packet(leg.maker.constant(level_of(3)), t0 + 2'040ms);
    EXPECT_EQ(leg.first_samples().back(), level_of(3));
}

TEST(RtpReceiver, AfterALongSilenceOfTheTicksOneTickDeliversASecondAtMost) {
    Leg leg;
    leg.packet(leg.maker.constant(level_of(1)), t0);
    leg.tick(t0 + 60s);
    EXPECT_EQ(leg.sink.frames.size(), 51u);
    // Time is in step again.
    leg.maker.timestamp += 2'999 * 160;
    leg.packet(leg.maker.constant(level_of(2)), t0 + 60'020ms);
    EXPECT_EQ(leg.first_samples().back(), level_of(2));
    EXPECT_EQ(leg.receiver.stats().resyncs, 0u);
}

TEST(RtpReceiver, AStallShorterThanItsPatienceLosesNothing) {
    Leg leg;
    std::vector<Bytes> packets;
    for (int i = 0; i < 20; ++i)
        packets.push_back(leg.maker.constant(level_of(i)));
    for (int i = 0; i < 10; ++i)
        leg.packet(packets[static_cast<std::size_t>(i)], t0 + i * 20ms);
    leg.ticks(t0 + 180ms, t0 + 260ms);
    for (int i = 10; i < 20; ++i)
        leg.packet(packets[static_cast<std::size_t>(i)], t0 + 275ms);
    ASSERT_EQ(leg.sink.frames.size(), 20u);
    for (int i = 0; i < 20; ++i) {
        EXPECT_EQ(leg.sink.frames[static_cast<std::size_t>(i)].samples[80], level_of(i));
        EXPECT_FALSE(leg.sink.frames[static_cast<std::size_t>(i)].concealed);
    }
}

TEST(RtpReceiver, ASenderWhoseClockStoodStillWhileMutedIsHeardAgainWithin200Milliseconds) {
    Leg leg;
    for (int i = 0; i < 10; ++i)
        leg.packet(leg.maker.constant(level_of(1)), t0 + i * 20ms);
    leg.ticks(t0 + 200ms, t0 + 5'000ms);
    // Against RFC 3550 §5.1 its timestamps go on where they were.
    auto now = t0 + 5'000ms;
    std::size_t heard = 0;
    for (int i = 0; i < 50; ++i, now += 20ms) {
        const auto before = leg.sink.frames.size();
        leg.packet(leg.maker.constant(level_of(2)), now);
        leg.tick(now + 1ms);
        for (auto f = before; f < leg.sink.frames.size(); ++f)
            heard += leg.sink.frames[f].samples[80] == level_of(2);
    }
    EXPECT_GE(heard, 50u - 11u);
    EXPECT_EQ(leg.receiver.stats().resyncs, 1u);
}

TEST(RtpReceiver, FollowsAJumpOfTheSendersTimestampsAtOnce) {
    for (const std::uint32_t jump : {1'000'000u, 0u - 1'000'000u, 0x8000'0000u, 0u - 800u}) {
        Leg leg;
        leg.packet(leg.maker.constant(level_of(1)), t0);
        leg.packet(leg.maker.constant(level_of(1)), t0 + 20ms);
        leg.maker.timestamp += jump;
        leg.packet(leg.maker.constant(level_of(2)), t0 + 40ms);
        leg.packet(leg.maker.constant(level_of(3)), t0 + 60ms);
        EXPECT_EQ(
            leg.first_samples(), (std::vector{level_of(1), level_of(1), level_of(2), level_of(3)})
        ) << jump;
        EXPECT_EQ(leg.receiver.stats().resyncs, 1u) << jump;
    }
}

TEST(RtpReceiver, StartedBeforeTheFirstPacketItDeliversSilenceInRealTime) {
    Leg leg;
    leg.receiver.start(t0);
    leg.ticks(t0 + 20ms, t0 + 2'000ms);
    EXPECT_NEAR(static_cast<double>(leg.sink.frames.size()), 100, 5);
    EXPECT_EQ(leg.receiver.stats().concealed, 0u);
    for (int i = 0; i < 50; ++i)
        leg.packet(leg.maker.constant(level_of(1)), t0 + 2'000ms + i * 20ms);
    EXPECT_NEAR(static_cast<double>(leg.sink.frames.size()), 150, 2);
    EXPECT_EQ(leg.receiver.stats().late, 0u);

    Leg unstarted;
    unstarted.ticks(t0, t0 + 2'000ms);
    EXPECT_TRUE(unstarted.sink.frames.empty());
}

TEST(RtpReceiver, AnotherSsrcBeginsCleanlyAndItsPredecessorsStragglersDoNotBringItBack) {
    Leg leg;
    PacketMaker other{60'000, 5, {0x2222'2222}};
    for (int i = 0; i < 5; ++i)
        leg.packet(leg.maker.constant(level_of(1)), t0 + i * 20ms);
    const auto straggler = leg.maker.constant(level_of(9));
    for (int i = 0; i < 5; ++i) {
        leg.packet(other.constant(level_of(2)), t0 + 100ms + i * 20ms);
        if (i == 1) leg.packet(straggler, t0 + 125ms);
    }
    ASSERT_EQ(leg.sink.frames.size(), 10u);
    for (std::size_t i = 0; i < 10; ++i)
        EXPECT_EQ(leg.sink.frames[i].samples[80], level_of(i < 5 ? 1 : 2));
    auto stats = leg.receiver.stats();
    EXPECT_EQ(stats.sources, 2u);
    EXPECT_EQ(stats.rejected, 1u);
    EXPECT_EQ(stats.lost, 0u);
    EXPECT_EQ(leg.receiver.ssrc(), Ssrc{0x2222'2222});

    // Once the second has fallen silent, the first may come back.
    leg.packet(leg.maker.constant(level_of(3)), t0 + 400ms);
    EXPECT_EQ(leg.receiver.ssrc(), Ssrc{0x1111'1111});
    EXPECT_EQ(leg.sink.frames.back().samples[80], level_of(3));
}

TEST(RtpReceiver, AWildSequenceNumberIsStrayButTwoInARowAreARestart) {
    Leg leg;
    leg.packet(leg.maker.constant(level_of(1)), t0);
    auto stray = leg.maker;
    stray.sequence = static_cast<std::uint16_t>(leg.maker.sequence + 20'000);
    leg.packet(stray.constant(level_of(9)), t0 + 10ms);
    leg.packet(leg.maker.constant(level_of(2)), t0 + 20ms);
    EXPECT_EQ(leg.first_samples(), (std::vector{level_of(1), level_of(2)}));
    EXPECT_EQ(leg.receiver.stats().rejected, 1u);

    leg.maker.sequence = 40'000;
    for (int i = 0; i < 4; ++i)
        leg.packet(leg.maker.constant(level_of(3)), t0 + 40ms + i * 20ms);
    EXPECT_EQ(std::ranges::count(leg.first_samples(), level_of(3)), 3);
    EXPECT_EQ(leg.receiver.stats().sources, 2u);
}

TEST(RtpReceiver, SequenceNumberAndTimestampWrapUnnoticed) {
    Leg leg;
    leg.maker.sequence = 65'530;
    leg.maker.timestamp = 0xFFFF'FFFF - 160 * 6;
    for (int i = 0; i < 20; ++i)
        leg.packet(leg.maker.constant(level_of(i)), t0 + i * 20ms);
    ASSERT_EQ(leg.sink.frames.size(), 20u);
    EXPECT_EQ(leg.receiver.stats().lost, 0u);
    const auto block = leg.receiver.report_block();
    ASSERT_TRUE(block);
    EXPECT_EQ(block->highest_sequence, 65'530u + 19u) << "extended by one cycle";
}

TEST(RtpReceiver, APressIsOneDigitHoweverItsPacketsFare) {
    const auto press = [](Leg& leg, std::uint8_t key, TimePoint now, bool marker, unsigned lost) {
        for (unsigned i = 0; i < 8; ++i) {
            const bool end = i >= 5;
            const auto duration = static_cast<std::uint16_t>(160 * std::min(i + 1, 6u));
            const auto bytes =
                leg.maker.event(event_type, {key, end, 10, duration}, marker && i == 0);
            if ((lost >> i & 1) == 0) leg.packet(bytes, now + i * 20ms);
            leg.tick(now + i * 20ms + 1ms);
        }
        leg.maker.timestamp += 8 * 160;
    };
    Leg leg;
    for (int i = 0; i < 5; ++i)
        leg.packet(leg.maker.constant(level_of(1)), t0 + i * 20ms);
    press(leg, 1, t0 + 100ms, true, 0);
    press(leg, 1, t0 + 400ms, false, 0);             // the same key again, no marker
    press(leg, 2, t0 + 700ms, true, 0b1110'0000);    // every end lost
    press(leg, 2, t0 + 1'000ms, true, 0b0001'1111);  // only ends came
    press(leg, 11, t0 + 1'300ms, true, 0b0101'0101);
    leg.ticks(t0 + 1'600ms, t0 + 1'800ms);
    EXPECT_EQ(leg.sink.digits, "1122#");
    EXPECT_EQ(leg.receiver.stats().digits, 5u);
}

TEST(RtpReceiver, DuplicatedAndReorderedEventPacketsChangeNothing) {
    Leg leg;
    leg.packet(leg.maker.constant(level_of(1)), t0);
    std::vector<Bytes> packets;
    for (unsigned i = 0; i < 4; ++i) {
        packets.push_back(
            leg.maker.event(event_type, {7, i == 3, 10, static_cast<std::uint16_t>(160 * (i + 1))})
        );
    }
    for (const unsigned i : {1u, 0u, 0u, 3u, 2u, 3u})
        leg.packet(packets[i], t0 + 20ms);
    EXPECT_EQ(leg.sink.digits, "7");
}

TEST(RtpReceiver, ADigitThatComesLateIsStillADigit) {
    Leg leg;
    leg.packet(leg.maker.constant(level_of(1)), t0);
    const auto event = leg.maker.event(event_type, {5, true, 10, 800});
    for (int i = 0; i < 4; ++i)
        leg.packet(leg.maker.constant(level_of(1)), t0 + 40ms + i * 20ms);
    EXPECT_EQ(leg.sink.digits, "");
    leg.packet(event, t0 + 150ms);
    EXPECT_EQ(leg.sink.digits, "5");
    EXPECT_EQ(leg.receiver.stats().late, 0u) << "no audio was late";
}

TEST(RtpReceiver, AnotherSourcesPressIsAnotherPress) {
    Leg leg;
    PacketMaker other{leg.maker};
    other.ssrc = {0x2222'2222};
    leg.packet(leg.maker.event(event_type, {5, true, 10, 800}), t0);
    leg.packet(other.event(event_type, {5, true, 10, 800}), t0 + 20ms);
    EXPECT_EQ(leg.sink.digits, "55");
}

TEST(RtpReceiver, TimePassesDuringADigitAndNoToneIsTakenForSpeech) {
    Leg leg;
    for (int i = 0; i < 10; ++i)
        leg.packet(leg.maker.constant(level_of(1)), t0 + i * 20ms);
    for (int i = 0; i < 25; ++i) {  // half a second of event packets only
        const auto duration = static_cast<std::uint16_t>(160 * (i + 1));
        leg.packet(leg.maker.event(event_type, {4, i >= 22, 10, duration}), t0 + 200ms + i * 20ms);
        leg.tick(t0 + 201ms + i * 20ms);
    }
    leg.maker.timestamp += 25 * 160;
    for (int i = 0; i < 10; ++i)
        leg.packet(leg.maker.constant(level_of(2)), t0 + 700ms + i * 20ms);
    EXPECT_EQ(leg.sink.frames.size(), 45u);
    EXPECT_EQ(leg.sink.digits, "4");
    EXPECT_EQ(leg.receiver.stats().late, 0u);
}

TEST(RtpReceiver, ReportsLossAndJitterAsRfc3550Says) {
    Leg leg;
    for (int i = 0; i < 100; ++i) {
        const auto bytes = leg.maker.constant(level_of(1));
        if (i % 4 == 2) continue;  // a quarter is lost
        leg.packet(bytes, t0 + i * 20ms);
    }
    auto block = leg.receiver.report_block();
    ASSERT_TRUE(block);
    EXPECT_EQ(block->ssrc, Ssrc{0x1111'1111});
    EXPECT_NEAR(block->fraction_lost, 64, 1);
    EXPECT_EQ(block->cumulative_lost, 25);
    EXPECT_EQ(block->highest_sequence, 1'000u + 99u);
    EXPECT_EQ(block->jitter, 0u);
    EXPECT_EQ(leg.receiver.stats().lost, 25u);

    // Transit time alternates by 10 ms: the estimate settles at 80 timestamp units.
    for (int i = 0; i < 400; ++i) {
        leg.packet(leg.maker.constant(level_of(1)), t0 + 2s + i * 20ms + (i % 2) * 10ms);
    }
    block = leg.receiver.report_block();
    EXPECT_EQ(block->fraction_lost, 0) << "of this interval only";
    EXPECT_EQ(block->cumulative_lost, 25);
    EXPECT_NEAR(block->jitter, 80, 2);
    EXPECT_NEAR(to_ms(leg.receiver.stats().jitter), 10, 0.3);
    EXPECT_EQ(leg.receiver.stats().max_gap, 40ms);
}

TEST(RtpReceiver, EachReportSpeaksOfItsOwnIntervalAndCountsDuplicatesAsReceived) {
    Leg leg;
    auto now = t0;
    const auto interval = [&](int packets, int lost_every) {
        for (int i = 1; i <= packets; ++i, now += 20ms) {
            const auto bytes = leg.maker.constant(level_of(1));
            if (lost_every == 0 || i % lost_every != 0) leg.packet(bytes, now);
        }
        return *leg.receiver.report_block();
    };
    EXPECT_EQ(interval(100, 0).fraction_lost, 0);
    const auto half = interval(101, 2);  // the last one comes
    EXPECT_NEAR(half.fraction_lost, 128, 2);
    EXPECT_EQ(half.cumulative_lost, 50);
    EXPECT_EQ(interval(100, 0).fraction_lost, 0);
    const auto again = leg.maker.constant(level_of(1));
    for (int i = 0; i < 61; ++i)
        leg.packet(again, now);
    EXPECT_EQ(leg.receiver.report_block()->cumulative_lost, 50 - 60);
    EXPECT_EQ(leg.receiver.stats().lost, 50u) << "what we tell people is not made good by copies";
}

TEST(RtpReceiver, AClockThatIsSetIsNotJitter) {
    Leg leg;
    for (int i = 0; i < 10; ++i)
        leg.packet(leg.maker.constant(level_of(1)), t0 + i * 20ms);
    leg.maker.timestamp += 1'000'000;
    for (int i = 10; i < 20; ++i)
        leg.packet(leg.maker.constant(level_of(1)), t0 + i * 20ms);
    EXPECT_EQ(leg.receiver.stats().jitter.count(), 0);
}

TEST(RtpReceiver, ARenegotiationChangesPayloadTypesAndNotTheTimeline) {
    Leg leg;
    leg.packet(leg.maker.constant(level_of(1)), t0);
    RtpReceiverConfig config;
    config.payloads = {};
    config.payloads.add({8}, Codec::pcma);
    leg.receiver.reconfigure(config);
    leg.packet(leg.maker.constant(level_of(2)), t0 + 20ms);
    EXPECT_EQ(leg.receiver.stats().rejected, 1u);
    leg.maker.type = {8};
    const Bytes payload(160, std::byte{g711::alaw_encode(4'000)});
    leg.packet(leg.maker.packet(payload), t0 + 40ms);
    EXPECT_EQ(leg.sink.frames.back().samples[80], g711::alaw_decode(g711::alaw_encode(4'000)));
    EXPECT_EQ(leg.receiver.stats().sources, 1u);
}

TEST(RtpReceiver, GarbageIsCountedAndHasNoOtherEffect) {
    Leg leg;
    leg.packet(leg.maker.constant(level_of(1)), t0);
    leg.packet({}, t0);
    leg.packet(Bytes(5), t0);
    leg.packet(Bytes(200, std::byte{0x55}), t0);
    leg.packet(leg.maker.packet({}), t0 + 5ms);  // valid but empty
    leg.packet(leg.maker.constant(level_of(2)), t0 + 20ms);
    EXPECT_EQ(leg.receiver.stats().rejected, 3u);
    EXPECT_EQ(leg.sink.frames.size(), 2u);
}

TEST(RtpReceiver, APacketTooLongToWaitIsDeliveredWithItsGapConcealed) {
    Leg leg;
    leg.packet(leg.maker.constant(level_of(1)), t0);
    const auto second = leg.maker.constant(level_of(2));
    const auto third = leg.maker.constant(level_of(3), 1'440);  // 180 ms
    const auto fourth = leg.maker.constant(level_of(4));
    leg.packet(fourth, t0 + 10ms);
    leg.packet(third, t0 + 20ms);
    ASSERT_EQ(leg.sink.frames.size(), 1u + 1u + 9u + 1u);
    EXPECT_TRUE(leg.sink.frames[1].concealed);
    EXPECT_EQ(leg.sink.frames[2].samples[80], level_of(3));
    EXPECT_EQ(leg.sink.frames[11].samples[80], level_of(4));
    leg.packet(second, t0 + 30ms);
    EXPECT_EQ(leg.receiver.stats().late, 1u);
}

}  // namespace
}  // namespace oavc::media
