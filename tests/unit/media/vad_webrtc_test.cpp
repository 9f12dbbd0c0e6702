#include "media/vad_webrtc.hpp"

#include "gtest/gtest.h"
#include "media/comfort_noise.hpp"
#include "media/vad_gate.hpp"
#include "support/alloc_guard.hpp"
#include "support/clips.hpp"

#include <cstddef>
#include <optional>

namespace oavc::media {
namespace {

constexpr std::size_t frame = samples_in(frame_time, narrowband);

/// Frames the engine calls voiced.
std::size_t voiced_frames(VadEngine& engine, const test::Pcm& pcm) {
    std::size_t voiced = 0;
    for (std::size_t at = 0; at + frame <= pcm.size(); at += frame) {
        voiced += engine.process({Samples{pcm}.subspan(at, frame), narrowband})[0].voiced ? 1 : 0;
    }
    return voiced;
}

TEST(WebRtcVad, HearsSpeechLikeSoundAndNotSilence) {
    const auto factory = make_webrtc_vad(2);
    EXPECT_EQ(factory->name(), "webrtc");
    const auto engine = factory->make(narrowband);
    EXPECT_EQ(engine->input_rate(), narrowband);

    EXPECT_EQ(voiced_frames(*engine, test::silence(50 * frame)), 0u);
    EXPECT_GE(voiced_frames(*engine, test::buzz(50 * frame, narrowband)), 35u);
    EXPECT_LE(voiced_frames(*engine, test::silence(50 * frame)), 10u);  // its own hang-over
}

TEST(WebRtcVad, SpeechEndsWhereItEndsAndNotAfterItsHangOver) {
    for (int aggressiveness = 0; aggressiveness <= 3; ++aggressiveness) {
        const auto engine = make_webrtc_vad(aggressiveness)->make(narrowband);
        SpeechDetector detector{narrowband, 60ms, 300ms, engine->hang_over()};
        auto pcm = test::noise(50 * frame, 20);
        test::append(pcm, test::buzz(50 * frame, narrowband));
        const std::size_t end = pcm.size();
        test::append(pcm, test::noise(50 * frame, 20, 2));
        std::optional<SpeechEvent> stopped;
        for (std::size_t at = 0; at < pcm.size(); at += frame) {
            const auto decisions = engine->process({Samples{pcm}.subspan(at, frame), narrowband});
            const auto event = detector.on_frame(decisions, frame);
            if (event && event->kind == SpeechEvent::Kind::stopped) stopped = event;
        }
        ASSERT_TRUE(stopped.has_value()) << aggressiveness;
        EXPECT_NEAR(
            static_cast<double>(stopped->last_voiced), static_cast<double>(end), 2.0 * frame
        ) << aggressiveness;
    }
}

TEST(WebRtcVad, DoesNotTakeALinesFirstNoiseForAVoice) {
    const auto factory = make_webrtc_vad(2);
    for (const double dbfs : {-75.0, -68.0, -60.0, -50.0, -45.0}) {
        const auto engine = factory->make(narrowband);
        for (const bool again : {false, true}) {
            ComfortNoise noise{dbfs, 7};
            test::Pcm pcm(100 * frame);
            noise.fill(pcm);
            EXPECT_EQ(voiced_frames(*engine, pcm), 0u) << dbfs << (again ? " after a reset" : "");
            engine->reset();
        }
    }
}

TEST(WebRtcVad, SettlesOnSteadyNoise) {
    const auto engine = make_webrtc_vad(3)->make(narrowband);
    voiced_frames(*engine, test::noise(50 * frame, 300));
    EXPECT_EQ(voiced_frames(*engine, test::noise(100 * frame, 300, 2)), 0u);
}

TEST(WebRtcVad, ProbabilityAndDecisionAgree) {
    const auto engine = make_webrtc_vad(1)->make(wideband);
    const auto pcm = test::buzz(50 * frame, narrowband);
    for (std::size_t at = 0; at < pcm.size(); at += frame) {
        const auto decision = engine->process({Samples{pcm}.subspan(at, frame), narrowband})[0];
        EXPECT_EQ(decision.voiced, decision.speech_probability > 0);
        EXPECT_EQ(decision.age, 0u);
    }
}

TEST(WebRtcVad, ListensWithoutAllocating) {
    const auto engine = make_webrtc_vad(2)->make(narrowband);
    const auto pcm = test::buzz(50 * frame, narrowband);
    const auto before = test::allocations();
    voiced_frames(*engine, pcm);
    EXPECT_EQ(test::allocations(), before);
}

TEST(WebRtcVad, ResetMakesItAsNew) {
    const auto factory = make_webrtc_vad(2);
    const auto used = factory->make(narrowband);
    voiced_frames(*used, test::noise(80 * frame, 3'000));
    used->reset();
    const auto fresh = factory->make(narrowband);
    auto pcm = test::noise(20 * frame, 500, 3);
    test::append(pcm, test::buzz(30 * frame, narrowband));
    for (std::size_t at = 0; at < pcm.size(); at += frame) {
        const FrameView view{Samples{pcm}.subspan(at, frame), narrowband};
        EXPECT_EQ(
            used->process(view)[0].speech_probability, fresh->process(view)[0].speech_probability
        );
    }
}

}  // namespace
}  // namespace oavc::media
