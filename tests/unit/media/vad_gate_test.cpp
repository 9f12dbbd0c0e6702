#include "media/vad_gate.hpp"

#include "gtest/gtest.h"

#include <algorithm>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::media {
namespace {

constexpr std::size_t frame = 160;  // 20 ms at 8 kHz
constexpr VadDecision voiced{1.0F, true};
constexpr VadDecision unvoiced{0.0F, false};
using Kind = SpeechEvent::Kind;

VadDecisions one(const VadDecision& decision) { return {&decision, 1}; }

/// Feeds a picture of frames ('#' voiced, '.' not) and collects the events.
std::vector<SpeechEvent> play(SpeechDetector& detector, std::string_view frames) {
    std::vector<SpeechEvent> events;
    for (const char c : frames) {
        if (auto event = detector.on_frame(one(c == '#' ? voiced : unvoiced), frame)) {
            events.push_back(*event);
        }
    }
    return events;
}

TEST(SpeechDetector, TellsWhereSpeechBeganAndEndedToTheSample) {
    SpeechDetector detector{narrowband, 60ms, 100ms};
    const auto events = play(detector, "..#####.....");
    ASSERT_EQ(events.size(), 2u);
    EXPECT_EQ(events[0], (SpeechEvent{Kind::started, 2 * frame, 5 * frame, 5 * frame}));
    EXPECT_EQ(events[1], (SpeechEvent{Kind::stopped, 2 * frame, 7 * frame, 12 * frame}));
}

TEST(SpeechDetector, IgnoresClicksShorterThanMinSpeech) {
    SpeechDetector detector{narrowband, 60ms, 100ms};
    EXPECT_TRUE(play(detector, "..##..........#.........##....").empty());
    EXPECT_FALSE(detector.speaking());
}

TEST(SpeechDetector, ATrainOfClicksNeverAddsUp) {
    SpeechDetector detector{narrowband, 60ms, 100ms};
    for (int i = 0; i < 200; ++i)
        EXPECT_TRUE(play(detector, "##..").empty());
}

TEST(SpeechDetector, StartsExactlyAtMinSpeech) {
    SpeechDetector detector{narrowband, 60ms, 100ms};
    EXPECT_TRUE(play(detector, "##").empty());
    EXPECT_TRUE(detector.maybe_speaking());
    EXPECT_EQ(play(detector, "#").size(), 1u);
    EXPECT_TRUE(detector.speaking());
    EXPECT_FALSE(detector.maybe_speaking());
}

TEST(SpeechDetector, ADipOfOneFrameOnlyDelaysTheStart) {
    SpeechDetector detector{narrowband, 60ms, 100ms};
    const auto events = play(detector, "##.##");
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0], (SpeechEvent{Kind::started, 0, 5 * frame, 5 * frame}));
}

TEST(SpeechDetector, AForgottenClickDoesNotMoveTheOnset) {
    SpeechDetector detector{narrowband, 60ms, 100ms};
    const auto events = play(detector, "##...###");
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].first_voiced, 5 * frame);
}

TEST(SpeechDetector, PausesShorterThanMinSilenceDoNotStop) {
    SpeechDetector detector{narrowband, 60ms, 100ms};
    const auto events = play(detector, "###....#....###....");
    ASSERT_EQ(events.size(), 1u);
    EXPECT_TRUE(detector.speaking());
    EXPECT_EQ(detector.last_voiced(), 15 * frame);
}

TEST(SpeechDetector, StopsExactlyAtMinSilence) {
    SpeechDetector detector{narrowband, 60ms, 100ms};
    play(detector, "###....");
    const auto stop = play(detector, ".");
    ASSERT_EQ(stop.size(), 1u);
    EXPECT_EQ(stop[0], (SpeechEvent{Kind::stopped, 0, 3 * frame, 8 * frame}));
}

TEST(SpeechDetector, WithoutHysteresisFollowsEachFrame) {
    SpeechDetector detector{narrowband, 0ms, 0ms};
    EXPECT_EQ(play(detector, ".#.#.").size(), 4u);
}

TEST(SpeechDetector, TakesTheEnginesHangOverForPause) {
    SpeechDetector detector{narrowband, 60ms, 100ms, 40ms};
    const auto events = play(detector, "######....");
    ASSERT_EQ(events.size(), 2u);
    // Six frames voiced, the last two of them hang-over: 100 ms of pause are over at frame 9.
    EXPECT_EQ(events[1], (SpeechEvent{Kind::stopped, 0, 4 * frame, 9 * frame}));
    EXPECT_EQ(detector.last_voiced(), 4 * frame);
}

TEST(SpeechDetector, AHangOverNeverReachesBackOverItsOwnRun) {
    SpeechDetector detector{narrowband, 60ms, 200ms, 100ms};
    play(detector, "##########...#.");
    EXPECT_EQ(detector.last_voiced(), 13 * frame);
    EXPECT_TRUE(detector.speaking());
}

TEST(SpeechDetector, ResetForgetsTheSpeechButNotThePosition) {
    SpeechDetector detector{narrowband, 60ms, 100ms};
    play(detector, "####");
    detector.reset();
    EXPECT_FALSE(detector.speaking());
    EXPECT_TRUE(play(detector, "......").empty());
    const auto events = play(detector, "###");
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].first_voiced, 10 * frame);
}

// An engine with windows longer than a frame: 512-sample windows under 320-sample frames.
TEST(SpeechDetector, PlacesLateAndRepeatedDecisionsByTheAudioTheyJudged) {
    SpeechDetector detector{wideband, 32ms, 64ms};
    constexpr std::size_t step = 320;
    constexpr std::size_t window = 512;
    // Voiced windows: 1 and 2, samples 512 … 1535.
    std::vector<SpeechEvent> events;
    for (std::size_t end = step; end <= 10 * step; end += step) {
        const std::size_t done = end / window;
        const bool is_voiced = done == 2 || done == 3;
        const VadDecision decision{
            is_voiced ? 1.0F : 0.0F,
            is_voiced,
            static_cast<std::uint32_t>(window),
            static_cast<std::uint32_t>(end - done * window)};
        if (auto event = detector.on_frame(one(decision), step)) events.push_back(*event);
    }
    ASSERT_EQ(events.size(), 2u);
    EXPECT_EQ(events[0], (SpeechEvent{Kind::started, 512, 1024, 4 * step}));
    EXPECT_EQ(events[1], (SpeechEvent{Kind::stopped, 512, 1536, 8 * step}));
}

TEST(SpeechDetector, AudioCalledUnvoicedMayTurnOutVoiced) {
    SpeechDetector detector{narrowband, 60ms, 100ms};
    play(detector, ".....");
    // The sixth frame brings the judgement of the last five: voiced from the third on.
    const VadDecision late[]{
        {0, false, frame, 4 * frame},
        {1, true, frame, 3 * frame},
        {1, true, frame, 2 * frame},
        {1, true, frame, frame},
        {1, true, frame, 0}};
    const auto started = detector.on_frame(late, frame);
    ASSERT_TRUE(started.has_value());
    EXPECT_EQ(*started, (SpeechEvent{Kind::started, 2 * frame, 5 * frame, 6 * frame}));
    EXPECT_EQ(detector.last_voiced(), 6 * frame);
}

TEST(SpeechDetector, AVoicedFrameCountsOnceHoweverOftenItIsToldOf) {
    SpeechDetector detector{narrowband, 60ms, 100ms};
    const VadDecision twice[]{{1, true, 2 * frame, 0}, {1, true, 2 * frame, 0}};
    EXPECT_FALSE(play(detector, "#").size());
    EXPECT_FALSE(detector.on_frame(twice, frame).has_value());  // 40 ms in all
    EXPECT_TRUE(detector.maybe_speaking());
}

TEST(SpeechDetector, APauseThatTheSameFrameEndsIsNone) {
    SpeechDetector detector{narrowband, 20ms, 100ms};
    play(detector, "#....");
    const VadDecision both[]{{0, false, frame, frame}, {1, true, frame, 0}};
    EXPECT_FALSE(detector.on_frame(both, 2 * frame).has_value());
    EXPECT_TRUE(detector.speaking());
}

TEST(SpeechDetector, FramesWithoutADecisionOnlyLetTimePass) {
    SpeechDetector detector{narrowband, 20ms, 60ms};
    play(detector, "#");
    for (int i = 0; i < 10; ++i)
        EXPECT_FALSE(detector.on_frame({}, frame).has_value());
    EXPECT_TRUE(detector.speaking());
    EXPECT_EQ(detector.position(), 11 * frame);
}

// Against rules that are told in another way, over random decisions.
TEST(SpeechDetector, KeepsItsPromisesOverRandomDecisions) {
    std::minstd_rand random{7};
    for (int round = 0; round < 200; ++round) {
        const auto min_speech = milliseconds{20 * (random() % 6)};
        const auto min_silence = milliseconds{20 * (random() % 10)};
        SpeechDetector detector{narrowband, min_speech, min_silence};
        std::string frames;
        while (frames.size() < 300)
            frames.append(1 + random() % 12, random() % 2 == 0 ? '#' : '.');

        bool speaking = false;
        std::optional<SpeechEvent> last;
        for (std::size_t i = 0; i < frames.size(); ++i) {
            const auto event = detector.on_frame(one(frames[i] == '#' ? voiced : unvoiced), frame);
            ASSERT_EQ(detector.position(), (i + 1) * frame);
            if (!event) {
                // Silence that lasted min_silence must have stopped a running speech.
                if (speaking && frames[i] == '.') {
                    ASSERT_LT(
                        detector.position() - detector.last_voiced(),
                        samples_in(min_silence, narrowband)
                    );
                }
                continue;
            }
            ASSERT_EQ(event->kind, speaking ? Kind::stopped : Kind::started);
            ASSERT_EQ(event->decided_at, (i + 1) * frame);
            ASSERT_LT(event->first_voiced, event->last_voiced);
            // Both ends lie on voiced frames, with an unvoiced one (or the start) before the first.
            const auto first = event->first_voiced / frame;
            const auto final = event->last_voiced / frame - 1;
            ASSERT_EQ(frames[first], '#');
            ASSERT_EQ(frames[final], '#');
            if (event->kind == Kind::started) {
                ASSERT_EQ(frames[i], '#');
                const auto span = std::string_view{frames}.substr(first, i + 1 - first);
                const auto heard = static_cast<std::size_t>(std::ranges::count(span, '#'));
                ASSERT_GE(heard * frame, samples_in(min_speech, narrowband));
                if (last) ASSERT_GE(event->first_voiced, last->decided_at);
            } else {
                ASSERT_EQ(frames.find('#', final + 1) > i, true);
                ASSERT_GE(
                    event->decided_at - event->last_voiced, samples_in(min_silence, narrowband)
                );
            }
            speaking = !speaking;
            last = event;
        }
    }
}

}  // namespace
}  // namespace oavc::media
