#include "transports/rtp/tick_alignment.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace oavc::transports::rtp {
namespace {

constexpr auto room_everywhere = [] {
    std::array<bool, TickAlignment::phases> room;
    room.fill(true);
    return room;
}();

/// A caller's packets and a leg's ticks, on a virtual clock.
struct Line {
    TickAlignment alignment;
    std::array<bool, TickAlignment::phases> room{room_everywhere};
    TimePoint tick{TimePoint{} + 10s};
    TimePoint packet{tick};
    Clock::duration packet_time{20ms};
    Clock::duration jitter{0};
    std::mt19937 random{7};
    int moves{0};
    Clock::duration shifted{0};      ///< of what we send
    Clock::duration mean_wait{0};    ///< of the latest second
    Clock::duration longest_gap{0};  ///< between two packets that we send

    explicit Line(Clock::duration wait) : packet{tick - wait} {}

    void run(std::chrono::seconds time) {
        const auto end = tick + time;
        TimePoint sent = tick;
        Clock::duration waited{0};
        int heard = 0;
        bool pause = false;
        auto late = packet;
        while (tick < end) {
            while (late <= tick) {
                alignment.on_packet(late, tick);
                if (end - tick <= 1s) waited += tick - late, ++heard;
                packet += packet_time;
                late = packet + jitter * (random() % 1000) / 1000;
            }
            auto next = tick + 20ms;
            if (!pause) {
                longest_gap = std::max(longest_gap, tick - sent);
                sent = tick;
                if (alignment.is_due()) {
                    if (const auto move = alignment.decide(room)) {
                        ++moves;
                        shifted += move->shift();
                        next = tick + move->time();
                        pause = move->pause;
                    }
                }
            } else {
                pause = false;
            }
            tick = next;
        }
        mean_wait = heard > 0 ? waited / heard : Clock::duration{0};
    }
};

TEST(TickAlignment, LetsTheTickRunShortlyAfterThePacketWhereverItBegan) {
    for (auto wait = Clock::duration{0}; wait < 20ms; wait += 500us) {
        Line line{wait};
        line.run(60s);
        EXPECT_GE(line.mean_wait, 1ms) << to_ms(wait);
        EXPECT_LT(line.mean_wait, 6ms) << to_ms(wait);
        EXPECT_LE(line.moves, 1) << to_ms(wait);
        EXPECT_LE(line.shifted, 0ms) << "a call begins by sending earlier, never later";
        EXPECT_LE(line.longest_gap, 20ms);
    }
    Line worst{19ms};
    worst.run(2s);
    EXPECT_LT(worst.mean_wait, 3ms);
}

TEST(TickAlignment, FollowsAClockThatDriftsInSmallSteps) {
    for (const auto drift : {-2us, 2us}) {  // 100 ppm
        Line line{2ms};
        line.packet_time += drift;
        line.run(600s);
        EXPECT_LT(line.mean_wait, 9ms);
        EXPECT_GE(line.moves, 5);
        EXPECT_LE(line.moves, 40);
        // 600 s of 100 ppm are 60 ms, and we send at the caller's pace.
        EXPECT_NEAR(to_ms(line.shifted), drift > 0us ? 60 : -60, 10);
        EXPECT_LE(line.longest_gap, 30ms);
    }
}

TEST(TickAlignment, DoesNotHuntAfterJitter) {
    for (const auto jitter : {2ms, 5ms, 15ms, 40ms}) {
        Line line{10ms};
        line.jitter = jitter;
        line.run(300s);
        EXPECT_LE(line.moves, 4) << jitter.count();
        EXPECT_LT(line.mean_wait, 13ms) << jitter.count();
    }
}

TEST(TickAlignment, StaysWhereThereIsNoRoomElsewhere) {
    Line line{15ms};
    line.room.fill(false);
    line.run(20s);
    EXPECT_EQ(line.moves, 0);
    // Next best: 15 ms before the packet's phase is full, the one after it is free.
    line.room[4] = true;
    line.run(20s);
    EXPECT_EQ(line.moves, 1);
}

TEST(TickAlignment, TellsByHowMuchOurPacketsShift) {
    EXPECT_EQ((TickAlignment::Move{3, true}.shift()), 6ms);
    EXPECT_EQ((TickAlignment::Move{3, false}.shift()), -14ms);
}

}  // namespace
}  // namespace oavc::transports::rtp
