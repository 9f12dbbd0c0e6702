#include "turns/interruption_handler.hpp"

#include <gtest/gtest.h>

namespace oavc::turns {
namespace {

const TimePoint t0{};

TEST(InterruptionHandler, VadIsSureOnceSpeechLasts) {
    InterruptionHandler handler{
        {.use_volume = false, .use_min_words = false, .vad_duration = 160ms}};
    handler.begin(t0, t0 - 5s);
    handler.on_audio(0, t0 + 159ms, t0 + 160ms);
    EXPECT_EQ(handler.verdict(t0 + 160ms), std::nullopt);
    handler.on_audio(0, t0 + 160ms, t0 + 160ms);
    EXPECT_EQ(handler.verdict(t0 + 160ms), InterruptionStrategy::vad);
}

TEST(InterruptionHandler, VadCountsSpeechOnlyAndNotTheSilenceAfterIt) {
    InterruptionHandler handler{
        {.use_volume = false, .vad_duration = 160ms, .resume_after = 600ms}};
    handler.begin(t0, t0 - 5s);
    handler.on_audio(0, t0 + 100ms, t0 + 400ms);
    EXPECT_EQ(handler.verdict(t0 + 500ms), std::nullopt);
    EXPECT_FALSE(handler.dismissed(t0 + 699ms));
    EXPECT_TRUE(handler.dismissed(t0 + 700ms));
}

TEST(InterruptionHandler, VolumeMustStayLoudWithoutABreak) {
    InterruptionHandler handler{{
        .use_vad = false,
        .use_min_words = false,
        .volume_threshold = 0.6,
        .volume_duration = 300ms,
    }};
    handler.begin(t0, t0 - 5s);
    handler.on_audio(0.7, t0, t0);
    handler.on_audio(0.5, t0, t0 + 200ms);
    handler.on_audio(0.7, t0, t0 + 220ms);
    handler.on_audio(0.7, t0, t0 + 500ms);
    EXPECT_EQ(handler.verdict(t0 + 500ms), std::nullopt);
    handler.on_audio(0.7, t0, t0 + 520ms);
    EXPECT_EQ(handler.verdict(t0 + 520ms), InterruptionStrategy::volume);
}

TEST(InterruptionHandler, TwoWordsInterrupt) {
    InterruptionHandler handler{{.use_vad = false, .use_volume = false, .min_words = 2}};
    handler.begin(t0, t0 - 5s);
    handler.on_words("dur");
    EXPECT_EQ(handler.verdict(t0 + 300ms), std::nullopt);
    handler.on_words("dur artık");
    EXPECT_EQ(handler.verdict(t0 + 300ms), InterruptionStrategy::min_words);
}

TEST(InterruptionHandler, ABackChannelNeedsMuchLongerAndManyOfThemAreNoWords) {
    InterruptionHandler handler{{.vad_duration = 160ms, .min_words = 2}};
    handler.begin(t0, t0 - 5s);
    handler.on_words("yeah okay");
    handler.on_audio(0, t0 + 400ms, t0 + 400ms);
    EXPECT_EQ(handler.verdict(t0 + 400ms), std::nullopt);
    handler.on_audio(0, t0 + 700ms, t0 + 700ms);
    EXPECT_EQ(handler.verdict(t0 + 700ms), InterruptionStrategy::vad);
}

TEST(InterruptionHandler, IsNeverSureInTheProtectionWindow) {
    InterruptionHandler handler{{.vad_duration = 100ms, .protection = 1s}};
    handler.begin(t0 + 200ms, t0);
    handler.on_audio(0, t0 + 900ms, t0 + 900ms);
    EXPECT_EQ(handler.verdict(t0 + 900ms), std::nullopt);
    EXPECT_EQ(handler.verdict(t0 + 1s), InterruptionStrategy::vad);
}

}  // namespace
}  // namespace oavc::turns
