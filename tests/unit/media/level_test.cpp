#include "media/level.hpp"

#include "media/comfort_noise.hpp"
#include "media/g711.hpp"
#include "support/rtp_packets.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace oavc::media {
namespace {

TEST(Level, IsMeasuredAgainstFullScale) {
    EXPECT_NEAR(rms_dbfs(std::vector<Sample>(160, -32'768)), 0, 0.001);
    EXPECT_NEAR(rms_dbfs(test::tone(400, 160, 32'767)), -3.01, 0.01);
    EXPECT_NEAR(rms_dbfs(test::tone(400, 160, 3'276.7)), -23.01, 0.01);
    EXPECT_EQ(rms_dbfs(std::vector<Sample>(160, 0)), silence_dbfs);
    EXPECT_EQ(rms_dbfs({}), silence_dbfs);
    EXPECT_GT(rms_dbfs(std::vector<Sample>(160, 1)), silence_dbfs);
}

TEST(Level, VolumeRunsFromMinus60ToMinus6) {
    EXPECT_EQ(volume(-100.0), 0.0);
    EXPECT_EQ(volume(-60.0), 0.0);
    EXPECT_NEAR(volume(-33.0), 0.5, 1e-9);
    EXPECT_NEAR(volume(-27.6), 0.6, 1e-9);
    EXPECT_EQ(volume(-6.0), 1.0);
    EXPECT_EQ(volume(0.0), 1.0);
    EXPECT_NEAR(volume(test::tone(400, 160, 32'767 * 0.0589)), 0.6, 0.01);
}

TEST(Level, SilenceNoiseOfTheLineAndComfortNoiseAreNotVoicedAndQuietSpeechIs) {
    EXPECT_FALSE(is_voiced(std::vector<Sample>(160, 0)));
    EXPECT_FALSE(is_voiced(std::vector<Sample>(160, g711::alaw_decode(0xD5))))
        << "A-law has no zero";
    std::vector<Sample> noise(160);
    ComfortNoise{-60, 1}.fill(noise);
    EXPECT_FALSE(is_voiced(noise));
    EXPECT_TRUE(is_voiced(test::tone(300, 160, 300)));
}

TEST(Level, TheMeanOfSquaresIsExactAtAnyLength) {
    std::vector<Sample> noise(1'000);
    ComfortNoise{-6, 1}.fill(noise);
    noise[1] = noise[2] = noise[3] = -32'768;  // two squares of it fill 32 bits
    std::int64_t energy = 0;
    for (std::size_t count = 1; count <= noise.size(); ++count) {
        energy += std::int64_t{noise[count - 1]} * noise[count - 1];
        ASSERT_EQ(
            mean_square(Samples{noise}.first(count)),
            static_cast<double>(energy) / static_cast<double>(count)
        ) << count;
    }
    EXPECT_EQ(mean_square({}), 0);
    EXPECT_EQ(mean_square(std::vector<Sample>(50'000, -32'768)), full_scale_mean_square);
}

// The thresholds are told apart without a logarithm, where they can be.
TEST(Level, VoiceAndVolumeAreWhatTheDecibelsSay) {
    std::vector<Sample> frame(160);
    int voiced = 0;
    int audible = 0;
    for (const Sample level : {Sample{32}, Sample{33}, Sample{103}, Sample{104}, Sample{20'000}}) {
        for (std::size_t louder = 0; louder <= frame.size(); ++louder) {
            std::fill(frame.begin(), frame.end(), level);
            std::fill_n(frame.begin(), louder, static_cast<Sample>(level + 1));
            ASSERT_EQ(is_voiced(frame), is_voiced(frame, voiced_dbfs)) << level << ' ' << louder;
            ASSERT_EQ(volume(frame), volume(rms_dbfs(frame))) << level << ' ' << louder;
            voiced += is_voiced(frame) ? 1 : 0;
            audible += volume(frame) > 0 ? 1 : 0;
        }
    }
    EXPECT_GT(voiced, 161);  // the thresholds lie within the sweep
    EXPECT_LT(voiced, 3 * 161);
    EXPECT_GT(audible, 3 * 161);
    EXPECT_LT(audible, 5 * 161);
}

TEST(Level, ARecordingsOwnNoiseIsBelowItsGate) {
    auto recording = test::tone(300, 1'600, 16'000);
    std::vector<Sample> noise(1'600);
    ComfortNoise{-41, 1}.fill(noise);
    recording.insert(recording.end(), noise.begin(), noise.end());
    const auto threshold = voiced_threshold(recording, 160);
    EXPECT_TRUE(is_voiced(noise)) << "by the plain gate";
    EXPECT_FALSE(is_voiced(noise, threshold));
    EXPECT_TRUE(is_voiced(std::span{recording}.first(160), threshold));
    EXPECT_EQ(voiced_threshold(std::vector<Sample>(1'600, 0), 160), voiced_dbfs);
}

TEST(ComfortNoise, HasItsLevelAndNoOffset) {
    for (const double dbfs : {-70.0, -60.0, -40.0}) {
        std::vector<Sample> noise(80'000);
        ComfortNoise{dbfs, 12'345}.fill(noise);
        EXPECT_NEAR(rms_dbfs(noise), dbfs, 1) << dbfs;
        double sum = 0;
        for (const Sample s : noise)
            sum += s;
        EXPECT_NEAR(sum / 80'000, 0, 3) << dbfs;
    }
}

}  // namespace
}  // namespace oavc::media
