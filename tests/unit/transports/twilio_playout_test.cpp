#include "transports/twilio/playout.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <string>

namespace oavc::transports::twilio {
namespace {

constexpr milliseconds frame{20};
const TimePoint t0 = TimePoint{} + 1h;

/// Twilio's playback buffer on virtual time, `delay` away from us each way.
class Carrier {
public:
    explicit Carrier(Clock::duration delay) : delay_{delay} {}

    void media(TimePoint sent) { in_.push_back({sent + delay_, {}}); }
    void mark(TimePoint sent, std::string name) { in_.push_back({sent + delay_, std::move(name)}); }
    void clear(TimePoint sent) { in_.push_back({sent + delay_, "clear"}); }
    void stall(Clock::duration d) { stalled_ += d; }

    /// Lives one millisecond. Playback consumes; reached marks go back.
    void step(TimePoint now, Playout& playout) {
        while (!in_.empty() && in_.front().at <= now) {
            auto event = std::move(in_.front());
            in_.pop_front();
            if (event.name.empty()) {
                buffered_ += frame;
            } else if (event.name == "clear") {
                buffered_ = {};
                for (auto& pending : marks_)
                    out_.push_back({now + delay_, pending.name});
                marks_.clear();
            } else {
                marks_.push_back({played_ + buffered_, std::move(event.name)});
            }
        }
        deepest_ = std::max(deepest_, buffered_);
        if (stalled_ > Clock::duration{}) {
            stalled_ -= 1ms;
        } else if (buffered_ > Clock::duration{}) {
            buffered_ -= 1ms;
            played_ += 1ms;
            dry_ = false;
        } else {
            dry_ = true;
        }
        while (!marks_.empty() && marks_.front().position <= played_) {
            if (echoing_) out_.push_back({now + delay_, marks_.front().name});
            marks_.pop_front();
        }
        while (!out_.empty() && out_.front().at <= now) {
            playout.on_echo(out_.front().name, now);
            out_.pop_front();
        }
    }

    struct Event {
        TimePoint at;
        std::string name;
    };
    struct Pending {
        Clock::duration position;
        std::string name;
    };
    Clock::duration delay_;
    Clock::duration stalled_{};
    Clock::duration buffered_{};
    Clock::duration played_{};
    Clock::duration deepest_{};
    bool dry_{true};
    bool echoing_{true};
    std::deque<Event> in_;
    std::deque<Event> out_;
    std::deque<Pending> marks_;
};

/// Speaks for `length` as the transport does: each 20 ms as many frames as there is room for.
struct Speaker {
    Playout playout{200ms};
    Carrier carrier;
    TimePoint now = t0;
    milliseconds sent{0};
    int dry_ms{0};  ///< that the caller heard nothing within our words

    explicit Speaker(Clock::duration delay) : carrier{delay} {}

    milliseconds left{0};  ///< to say

    void run(milliseconds time, milliseconds length) {
        const auto end = now + time;
        left += length;
        while (now < end) {
            if ((now - t0) % frame == Clock::duration{}) {
                bool any = false;
                while (left > 0ms && playout.room(now) >= frame) {
                    carrier.media(now);
                    playout.on_sent(frame, now);
                    sent += frame;
                    left -= frame;
                    any = true;
                    mark(false);
                }
                mark(!any);
            }
            carrier.step(now, playout);
            if (left > 0ms && carrier.dry_ && carrier.played_ > Clock::duration{}) ++dry_ms;
            now += 1ms;
        }
    }
    void mark(bool flush) {
        if (!playout.mark_due(flush)) return;
        carrier.mark(now, std::string{playout.mark_name()});
        playout.on_marked(now);
    }
};

TEST(Playout, KeepsAtMost200MillisecondsAheadOfTheEar) {
    for (const auto delay : {0ms, 30ms, 80ms}) {
        Speaker speaker{delay};
        speaker.run(10s, 8s);
        EXPECT_LE(speaker.carrier.deepest_, 200ms) << delay.count();
        EXPECT_LE(speaker.playout.stats().deepest, 200ms) << delay.count();
        EXPECT_EQ(speaker.sent, 8s) << delay.count();
        EXPECT_EQ(speaker.dry_ms, 0) << delay.count();
        EXPECT_EQ(speaker.carrier.played_, Clock::duration{8s}) << delay.count();
        EXPECT_EQ(speaker.playout.unheard(speaker.now), 0ms) << delay.count();
        EXPECT_GE(speaker.playout.stats().echoes, 78u) << delay.count();
    }
}

TEST(Playout, NeverClaimsWordsHeardLongBeforeTheyAre) {
    for (const auto delay : {0ms, 30ms, 80ms}) {
        Speaker speaker{delay};
        for (int sentence = 0; sentence < 20; ++sentence) {  // some with a pause behind
            speaker.run(0ms, 300ms + sentence * 40ms);
            for (int i = 0; i < 600; ++i) {
                speaker.run(1ms, 0ms);
                if (speaker.playout.stats().echoes == 0) continue;  // the way is not known yet
                const auto heard = speaker.sent - speaker.playout.unheard(speaker.now);
                ASSERT_NEAR(to_ms(heard), to_ms(speaker.carrier.played_), 40)
                    << delay.count() << " " << sentence << " " << i;
            }
        }
    }
}

TEST(Playout, FallsBackOnElapsedTimeWithoutEchoes) {
    Speaker speaker{0ms};
    speaker.carrier.echoing_ = false;
    speaker.run(10s, 8s);
    EXPECT_LE(speaker.carrier.deepest_, 200ms);
    EXPECT_EQ(speaker.carrier.played_, Clock::duration{8s});
    EXPECT_EQ(speaker.playout.unheard(speaker.now), 0ms);
}

TEST(Playout, NoticesThatPlaybackStalledAndSendsNoFurtherAhead) {
    Speaker speaker{20ms};
    speaker.run(2s, 60s);
    speaker.carrier.deepest_ = {};
    speaker.carrier.stall(2s);
    speaker.run(2s, 0ms);
    EXPECT_LE(speaker.carrier.deepest_, 600ms) << "an overdue echo stops us";
    speaker.run(3s, 0ms);
    speaker.carrier.deepest_ = {};
    speaker.run(3s, 0ms);
    EXPECT_LE(speaker.carrier.deepest_, 260ms) << "the playhead was put back";
    EXPECT_LE(speaker.dry_ms, 100);
}

TEST(Playout, ClearThrowsAwayWhatIsUnheardAndItsEchoesProveNothing) {
    Speaker speaker{0ms};
    speaker.run(1s, 5s);
    const auto ahead = speaker.playout.unheard(speaker.now);
    EXPECT_GE(ahead, 160ms);
    EXPECT_LE(ahead, 200ms);
    const auto echoes = speaker.playout.stats().echoes;
    EXPECT_EQ(speaker.playout.clear(speaker.now), ahead);
    speaker.carrier.clear(speaker.now);
    speaker.left = 0ms;
    EXPECT_EQ(speaker.playout.unheard(speaker.now), 0ms);
    EXPECT_EQ(speaker.playout.room(speaker.now), 200ms);
    speaker.run(50ms, 0ms);
    EXPECT_EQ(speaker.playout.stats().echoes, echoes)
        << "marks echoed after a clear were not played";
    EXPECT_GE(speaker.playout.stats().stale_echoes, 1u);
    EXPECT_EQ(speaker.playout.clear(speaker.now), 0ms);

    speaker.run(2s, 1s);  // a new utterance is counted anew
    EXPECT_EQ(speaker.playout.unheard(speaker.now), 0ms);
    EXPECT_GE(speaker.playout.stats().echoes, echoes + 9);
}

TEST(Playout, ToleratesStrangeEchoes) {
    Playout playout{200ms};
    for (int i = 0; i < 5; ++i)
        playout.on_sent(frame, t0);
    ASSERT_TRUE(playout.mark_due(false));
    const std::string first{playout.mark_name()};
    EXPECT_EQ(first, "e1:1");
    playout.on_marked(t0);
    for (int i = 0; i < 5; ++i)
        playout.on_sent(frame, t0);
    const std::string second{playout.mark_name()};
    playout.on_marked(t0);
    for (const auto* strange :
         {"",
          "e",
          "e1",
          "e1:",
          "e1:x",
          "utt-3",
          "e1:3",
          "e1:0",
          "e2:1",
          "e0:1",
          "e1:1 ",
          "e1:18446744073709551615",
          "e99999999999999999999:1"}) {
        playout.on_echo(strange, t0 + 1ms);
    }
    EXPECT_EQ(playout.stats().stale_echoes, 13u);
    EXPECT_EQ(playout.unheard(t0 + 1ms), 199ms);
    playout.on_echo(second, t0 + 200ms);  // the first one's got lost
    EXPECT_EQ(playout.unheard(t0 + 200ms), 0ms);
    playout.on_echo(first, t0 + 210ms);
    playout.on_echo(second, t0 + 210ms);
    EXPECT_EQ(playout.stats().stale_echoes, 15u);
    EXPECT_EQ(playout.stats().echoes, 1u);
}

TEST(Playout, AnEchoProvesWhatItsMarkFollows) {
    Playout playout{200ms};
    for (int i = 0; i < 5; ++i)
        playout.on_sent(frame, t0);
    const std::string name{playout.mark_name()};
    playout.on_marked(t0);
    for (int i = 0; i < 5; ++i)
        playout.on_sent(frame, t0);
    EXPECT_EQ(playout.unheard(t0 + 50ms), 150ms);
    playout.on_echo(name, t0 + 50ms);  // sooner than real time allows, but Twilio knows
    EXPECT_EQ(playout.unheard(t0 + 50ms), 100ms);
}

TEST(Playout, SendsAMarkPer100MillisecondsAndOneBehindTheLastWord) {
    Playout playout{1000ms};
    int marks = 0;
    for (int i = 0; i < 27; ++i) {
        playout.on_sent(frame, t0);
        if (playout.mark_due(false)) {
            playout.on_marked(t0);
            ++marks;
        }
    }
    EXPECT_EQ(marks, 5);
    EXPECT_FALSE(playout.mark_due(false));
    EXPECT_TRUE(playout.mark_due(true));
    playout.on_marked(t0);
    EXPECT_FALSE(playout.mark_due(true)) << "nothing new to mark";
}

TEST(Playout, KeepsABoundedNumberOfMarksWaiting) {
    Playout playout{1h};
    for (int i = 0; i < 1000; ++i) {
        playout.on_sent(100ms, t0);
        if (playout.mark_due(false)) playout.on_marked(t0);
    }
    EXPECT_EQ(playout.stats().marks, Playout::max_marks);
}

}  // namespace
}  // namespace oavc::transports::twilio
