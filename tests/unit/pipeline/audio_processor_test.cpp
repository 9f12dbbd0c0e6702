#include "pipeline/audio_processor.hpp"

#include "media/level.hpp"
#include "support/session_test.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <vector>

namespace oavc::pipeline {
namespace {

constexpr TimePoint start{10s};

/// A caller on the line: hums or is silent, 20 ms at a time.
class AudioProcessorTest : public testing::Test {
protected:
    void call(SampleRate line, SampleRate recogniser) {
        format = {.rate = line, .ptime = frame_time};
        rate = recogniser;
        processor.emplace(
            format,
            LoudnessVad{}.make(line),
            media::VadConfig{},
            recogniser,
            [this](auto frame) {
                EXPECT_EQ(frame.rate, rate);
                given.insert(given.end(), frame.samples.begin(), frame.samples.end());
            }
        );
    }
    /// One frame. `amplitude` below 500 is silence to LoudnessVad.
    AudioProcessor::Heard frame(double amplitude) {
        std::vector<media::Sample> samples(format.samples_per_frame());
        for (auto& sample : samples) {
            const auto phase = 2 * std::numbers::pi * 400 * static_cast<double>(position++) /
                               static_cast<double>(format.rate.hz);
            sample = static_cast<media::Sample>(std::lround(amplitude * std::sin(phase)));
        }
        arrived += frame_time;
        return processor->on_frame({samples, format.rate}, arrived);
    }
    /// Frames until the speech has begun; its onset.
    TimePoint speak_up() {
        for (int i = 0; i < 50; ++i) {
            if (const auto heard = frame(8'000); heard.speech_started) return *heard.speech_started;
        }
        ADD_FAILURE() << "never heard";
        return {};
    }
    milliseconds length() const {
        return std::chrono::duration_cast<milliseconds>(duration_of(given.size(), rate));
    }

    media::AudioFormat format;
    SampleRate rate;
    std::optional<AudioProcessor> processor;
    std::vector<media::Sample> given;
    std::uint64_t position{0};
    TimePoint arrived{start};
};

TEST_F(AudioProcessorTest, GivesTheRecogniserThePreRollAndThenEveryFrame) {
    for (const auto& [line, recogniser] :
         {std::pair{narrowband, narrowband}, {narrowband, wideband}, {wideband, wideband}}) {
        given.clear();
        call(line, recogniser);
        for (int i = 0; i < 100; ++i)
            EXPECT_FALSE(frame(100).speech_started);
        const auto before = arrived;
        const auto onset = speak_up();
        EXPECT_GE(onset, before) << "the first loud frame's beginning";
        EXPECT_LE(onset, before + frame_time) << "a resampler hears later";
        EXPECT_TRUE(given.empty());
        processor->open(onset);
        const auto heard_late = std::chrono::duration_cast<milliseconds>(arrived - onset);
        for (int i = 0; i < 10; ++i)
            frame(8'000);
        processor->close();
        // 300 ms before the onset, and the frame in which that lies, and what came since.
        EXPECT_EQ(length(), 300ms + frame_time + heard_late + 200ms);
        const auto quiet = samples_in(300ms, recogniser);
        const media::Samples all{given};
        EXPECT_NEAR(media::rms_dbfs(all.first(quiet)), -53.3, 1.0);
        EXPECT_NEAR(media::rms_dbfs(all.subspan(quiet + 400)), -15.3, 0.2);
    }
}

TEST_F(AudioProcessorTest, GivesAtMostASecondFromBeforeItWasOpened) {
    call(narrowband, narrowband);
    for (int i = 0; i < 200; ++i)
        frame(100);
    processor->open(start);
    EXPECT_EQ(length(), 1'000ms);
}

TEST_F(AudioProcessorTest, ABrokenOffUtteranceLeavesNothingToTheNextOne) {
    call(narrowband, wideband);
    processor->open(speak_up());
    processor->drop();
    given.clear();
    frame(8'000);
    EXPECT_TRUE(given.empty());
    for (int i = 0; i < 100; ++i)
        frame(0);
    processor->open(arrived);
    processor->close();
    EXPECT_EQ(media::rms_dbfs(given), media::silence_dbfs);
}

TEST_F(AudioProcessorTest, KnowsWhenTheVoiceWasHeardLast) {
    call(narrowband, wideband);
    speak_up();
    const auto fell_silent = arrived;
    std::optional<TimePoint> stopped;
    for (int i = 0; i < 40 && !stopped; ++i) {
        const auto heard = frame(0);
        EXPECT_EQ(heard.last_voiced, fell_silent);
        EXPECT_EQ(heard.volume, 0);
        stopped = heard.speech_stopped;
    }
    ASSERT_TRUE(stopped);
    EXPECT_EQ(*stopped, fell_silent);
    EXPECT_FALSE(processor->speaking());
}

}  // namespace
}  // namespace oavc::pipeline
