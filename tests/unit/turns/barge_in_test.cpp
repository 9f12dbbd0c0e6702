#include "turns/barge_in.hpp"

#include <gtest/gtest.h>

namespace oavc::turns {
namespace {

const TimePoint t0{};

TEST(BargeInJudge, VadIsSureOnceSpeechLasts) {
    BargeInJudge judge{{.use_volume = false, .use_min_words = false, .vad_duration = 160ms}};
    judge.begin(t0, t0 - 5s);
    EXPECT_EQ(judge.verdict(t0 + 159ms), std::nullopt);
    EXPECT_EQ(judge.verdict(t0 + 160ms), BargeInStrategy::vad);
}

TEST(BargeInJudge, VadCountsSpeechOnlyAndNotTheSilenceAfterIt) {
    BargeInJudge judge{{.use_volume = false, .vad_duration = 160ms, .resume_after = 600ms}};
    judge.begin(t0, t0 - 5s);
    judge.on_speech_end(t0 + 100ms);
    EXPECT_EQ(judge.verdict(t0 + 500ms), std::nullopt);
    EXPECT_FALSE(judge.dismissed(t0 + 699ms));
    EXPECT_TRUE(judge.dismissed(t0 + 700ms));
}

TEST(BargeInJudge, VolumeMustStayLoudWithoutABreak) {
    BargeInJudge judge{{
        .use_vad = false,
        .use_min_words = false,
        .volume_threshold = 0.6,
        .volume_duration = 300ms,
    }};
    judge.begin(t0, t0 - 5s);
    judge.on_volume(0.7, t0);
    judge.on_volume(0.5, t0 + 200ms);
    judge.on_volume(0.7, t0 + 220ms);
    judge.on_volume(0.7, t0 + 500ms);
    EXPECT_EQ(judge.verdict(t0 + 500ms), std::nullopt);
    judge.on_volume(0.7, t0 + 520ms);
    EXPECT_EQ(judge.verdict(t0 + 520ms), BargeInStrategy::volume);
}

TEST(BargeInJudge, TwoWordsInterrupt) {
    BargeInJudge judge{{.use_vad = false, .use_volume = false, .min_words = 2}};
    judge.begin(t0, t0 - 5s);
    judge.on_words("dur");
    EXPECT_EQ(judge.verdict(t0 + 300ms), std::nullopt);
    judge.on_words("dur artık");
    EXPECT_EQ(judge.verdict(t0 + 300ms), BargeInStrategy::min_words);
}

TEST(BargeInJudge, ABackChannelNeedsMuchLongerAndManyOfThemAreNoWords) {
    BargeInJudge judge{{.vad_duration = 160ms, .min_words = 2}};
    judge.begin(t0, t0 - 5s);
    judge.on_words("yeah okay");
    EXPECT_EQ(judge.verdict(t0 + 400ms), std::nullopt);
    EXPECT_EQ(judge.verdict(t0 + 700ms), BargeInStrategy::vad);
}

TEST(BargeInJudge, IsNeverSureInTheProtectionWindow) {
    BargeInJudge judge{{.vad_duration = 100ms, .protection = 1s}};
    judge.begin(t0 + 200ms, t0);
    EXPECT_EQ(judge.verdict(t0 + 900ms), std::nullopt);
    EXPECT_EQ(judge.verdict(t0 + 1s), BargeInStrategy::vad);
}

}  // namespace
}  // namespace oavc::turns
