#include "caller/bench/playback.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace oavc::caller::bench {
namespace {

constexpr TimePoint t0 = TimePoint{} + 1h;

class PlaybackTest : public ::testing::Test {
protected:
    Clock::duration put(std::size_t bytes, TimePoint now) {
        return playback_.put(std::vector<std::byte>(bytes, std::byte{1}), now);
    }
    void advance(TimePoint now) {
        playback_.advance(
            now,
            [this](TimePoint at, std::span<const std::byte> ulaw) {
                heard_ += ulaw.size();
                last_ = at;
            },
            [this](std::string_view name) { marks_.emplace_back(name); }
        );
    }

    Playback playback_;
    std::size_t heard_{0};
    TimePoint last_{};
    std::vector<std::string> marks_;
};

TEST_F(PlaybackTest, PlaysInRealTimeFromTheMomentAudioComes) {
    put(480, t0);
    advance(t0);
    EXPECT_EQ(heard_, 0u);
    advance(t0 + 20ms);
    EXPECT_EQ(heard_, 160u);
    EXPECT_EQ(last_, t0);
    advance(t0 + 25ms);
    EXPECT_EQ(heard_, 200u);
    EXPECT_EQ(last_, t0 + 20ms) << "when its first byte sounds, not when somebody asks";
    advance(t0 + 1s);
    EXPECT_EQ(heard_, 480u);
    EXPECT_FALSE(playback_.plays());
}

TEST_F(PlaybackTest, MarksComeBackInOrderWhenTheAudioBeforeThemHasPlayed) {
    playback_.mark("at once");
    advance(t0);
    EXPECT_EQ(marks_, (std::vector<std::string>{"at once"}));
    put(160, t0);
    playback_.mark("a");
    put(160, t0);
    playback_.mark("b");
    advance(t0 + 19ms);
    EXPECT_EQ(marks_.size(), 1u);
    advance(t0 + 20ms);
    EXPECT_EQ(marks_.back(), "a");
    advance(t0 + 40ms);
    EXPECT_EQ(marks_, (std::vector<std::string>{"at once", "a", "b"}));
}

TEST_F(PlaybackTest, AClearDropsTheAudioAndGivesBackTheMarks) {
    put(1600, t0);
    playback_.mark("a");
    playback_.mark("b");
    advance(t0 + 20ms);
    playback_.clear();
    advance(t0 + 21ms);
    EXPECT_EQ(heard_, 160u);
    EXPECT_EQ(marks_, (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(put(160, t0 + 30ms), 0ms) << "silence by order is no gap";
    advance(t0 + 50ms);
    EXPECT_EQ(heard_, 320u);
}

TEST_F(PlaybackTest, TellsTheGapWhenItRanDryWithinSpeech) {
    EXPECT_EQ(put(160, t0), 0ms) << "the beginning";
    EXPECT_EQ(put(160, t0 + 10ms), 0ms) << "in time";
    advance(t0 + 40ms);
    EXPECT_EQ(put(160, t0 + 40ms), 0ms) << "just in time";
    advance(t0 + 60ms);
    EXPECT_EQ(put(160, t0 + 73ms), 13ms);
    advance(t0 + 100ms);
    EXPECT_EQ(put(160, t0 + 5s), 0ms) << "a long one is a pause";
}

TEST_F(PlaybackTest, SaysThatItRanDryBeforeAnybodyLooked) {
    put(160, t0);
    EXPECT_FALSE(playback_.ran_dry(t0 + 20ms));
    EXPECT_TRUE(playback_.ran_dry(t0 + 25ms));
    advance(t0 + 25ms);
    EXPECT_FALSE(playback_.ran_dry(t0 + 25ms));
    EXPECT_EQ(put(160, t0 + 25ms), 5ms);
    advance(t0 + 40ms);
    EXPECT_EQ(last_, t0 + 25ms) << "what came late sounds late";
}

TEST_F(PlaybackTest, IsBounded) {
    put(Playback::longest, t0);
    put(1, t0);
    EXPECT_EQ(playback_.stats().overflowed, 1u);
    for (std::size_t i = 0; i <= Playback::most_marks; ++i)
        playback_.mark("m");
    EXPECT_EQ(playback_.stats().overflowed, 2u);
}

}  // namespace
}  // namespace oavc::caller::bench
