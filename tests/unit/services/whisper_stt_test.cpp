// The service on a model whose words the test chooses.

#include "services/errors.hpp"
#include "services/stt/whisper/faster_whisper_stt.hpp"
#include "services/stt/whisper/speech_span.hpp"
#include "support/await.hpp"
#include "support/clips.hpp"
#include "support/fake_whisper_engine.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace oavc::services::whisper {
namespace {

using test::FakeWhisper;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr std::size_t second = rate.hz;

FasterWhisperConfig finals_only() {
    FasterWhisperConfig config;
    config.partials = false;
    config.language = "en";
    config.deadline = std::chrono::minutes{1};
    return config;
}

class WhisperStt : public testing::Test {
protected:
    std::unique_ptr<SttStream> open(FasterWhisperStt& stt, std::string language = {}) {
        return test::value_of(shard_, stt.open(shard_, {std::move(language)}));
    }
    SttEvent next(SttStream& stream) { return test::value_of(shard_, stream.next()); }
    error_code failure(SttStream& stream) { return test::result_of(shard_, stream.next()).error(); }

    static void push(SttStream& stream, const test::Pcm& audio) {
        for (std::size_t at = 0; at < audio.size(); at += 320) {
            const auto size = std::min<std::size_t>(320, audio.size() - at);
            stream.push({media::Samples{audio}.subspan(at, size), rate});
        }
    }
    static void say(SttStream& stream, std::uint32_t id, double seconds = 1.0) {
        stream.begin(UtteranceId{id});
        push(stream, speech(seconds));
        stream.end();
    }
    static test::Pcm speech(double seconds) {
        return test::buzz(static_cast<std::size_t>(seconds * second), rate);
    }
    /// Until nothing is left to do on the shard.
    void settle() {
        shard_.context().restart();
        shard_.context().poll();
    }

    async::Shard shard_{0};
    std::shared_ptr<FakeWhisper> engine_ = std::make_shared<FakeWhisper>();
};

TEST_F(WhisperStt, GivesOneFinalPerUtterance) {
    engine_->say("Kartım nerede?");
    FasterWhisperStt stt{engine_, finals_only()};
    EXPECT_EQ(stt.name(), "faster-whisper");
    EXPECT_EQ(stt.capabilities().input_rate, wideband);
    EXPECT_FALSE(stt.capabilities().interim_results);
    const auto stream = open(stt);
    for (std::uint32_t id = 1; id <= 3; ++id) {
        say(*stream, id);
        const auto event = next(*stream);
        EXPECT_EQ(event.kind, SttEvent::Kind::final);
        EXPECT_EQ(event.utterance, UtteranceId{id});
        EXPECT_EQ(event.text, "Kartım nerede?");
    }
    const auto heard = engine_->heard();
    ASSERT_EQ(heard.size(), 3u);
    EXPECT_EQ(heard[0].audio.size(), second);
    EXPECT_THAT(heard[0].audio, Each(testing::AllOf(testing::Ge(-1.0F), testing::Le(1.0F))));
    EXPECT_EQ(heard[0].parameters.language, "en");
    EXPECT_EQ(heard[0].parameters.beam_size, 5);
    EXPECT_EQ(heard[0].parameters.max_tokens, 22);
    EXPECT_EQ(heard[0].parameters.audio_context, 0) << "finals hear the whole window";
}

TEST_F(WhisperStt, DecodesNeitherNothingNorSilenceNorAClick) {
    engine_->say("Thanks for watching!");
    FasterWhisperStt stt{engine_, finals_only()};
    const auto stream = open(stt);
    stream->end();  // nothing was begun
    stream->begin(UtteranceId{1});
    stream->end();
    EXPECT_EQ(next(*stream).text, "");
    stream->begin(UtteranceId{2});
    push(*stream, test::silence(2 * second));
    stream->end();
    EXPECT_EQ(next(*stream).text, "");
    say(*stream, 3, 0.05);
    EXPECT_EQ(next(*stream).text, "");
    EXPECT_EQ(engine_->heard().size(), 0u);
    EXPECT_EQ(stt.dropped()[static_cast<std::size_t>(DropReason::too_quiet)], 1u);
    EXPECT_EQ(stt.dropped()[static_cast<std::size_t>(DropReason::too_short)], 1u);

    say(*stream, 4);  // noise that passes the gate
    const auto event = next(*stream);
    EXPECT_EQ(event.utterance, UtteranceId{4});
    EXPECT_EQ(event.text, "");
    EXPECT_EQ(stt.dropped()[static_cast<std::size_t>(DropReason::known_phrase)], 1u);
}

TEST_F(WhisperStt, CutsLongSpeechAtAPauseAndJoinsTheTexts) {
    engine_->say_by([n = std::make_shared<int>(0)](const auto&) {
        return "part " + std::to_string(++*n);
    });
    FasterWhisperStt stt{engine_, finals_only()};
    const auto stream = open(stt);
    stream->begin(UtteranceId{1});
    for (int i = 0; i < 2; ++i) {
        push(*stream, speech(28.9));
        push(*stream, test::silence(second / 10));
    }
    push(*stream, speech(7));
    stream->end();
    EXPECT_EQ(next(*stream).text, "part 1 part 2 part 3");
    std::size_t total = 0;
    for (const auto& heard : engine_->heard()) {
        EXPECT_LE(heard.audio.size(), longest_piece);
        total += heard.audio.size();
    }
    EXPECT_EQ(total, 65 * second) << "no sample is lost or doubled";
    EXPECT_NEAR(static_cast<double>(engine_->heard()[0].audio.size()) / second, 28.95, 0.06);
}

TEST_F(WhisperStt, InterimsAreWhatTwoDecodesAgreeOn) {
    auto config = finals_only();
    config.partials = true;
    engine_->say_by([](const FakeWhisper::Heard& heard) -> std::string {
        if (heard.parameters.beam_size > 1) return "What is my balance?";
        return heard.audio.size() < second           ? "what is"
               : heard.audio.size() < 3 * second / 2 ? "What is my ball"
                                                     : "What is my balance";
    });
    FasterWhisperStt stt{engine_, config};
    EXPECT_TRUE(stt.capabilities().interim_results);
    const auto stream = open(stt);
    stream->begin(UtteranceId{1});
    std::vector<std::string> interims;
    for (std::size_t decode = 1; decode <= 3; ++decode) {
        push(*stream, speech(0.7));
        engine_->await_heard(decode);
        while (stt.stats().partials < decode)
            std::this_thread::yield();
        if (decode > 1) interims.push_back(next(*stream).text);
    }
    stream->end();
    EXPECT_EQ(next(*stream).text, "What is my balance?");
    EXPECT_THAT(interims, ElementsAre("What is", "What is my"));
    const auto heard = engine_->heard();
    EXPECT_EQ(heard[0].parameters.beam_size, 1);
    EXPECT_EQ(heard[0].parameters.temperature_step, 0.0);
    EXPECT_EQ(heard[0].parameters.audio_context, 512) << "a partial costs less than a final";
}

TEST_F(WhisperStt, APartialThatStillRunsIsStoppedByTheFinal) {
    auto config = finals_only();
    config.partials = true;
    engine_->say("hello there");
    engine_->hold();
    FasterWhisperStt stt{engine_, config};
    const auto stream = open(stt);
    stream->begin(UtteranceId{1});
    push(*stream, speech(0.8));
    engine_->await_running(1);
    push(*stream, speech(2));
    EXPECT_EQ(engine_->heard().size(), 1u) << "never two of one call";
    stream->end();
    engine_->await_heard(2);
    EXPECT_TRUE(engine_->heard()[0].aborted);
    engine_->release();
    const auto event = next(*stream);
    EXPECT_EQ(event.kind, SttEvent::Kind::final);
    EXPECT_EQ(event.text, "hello there");
}

TEST_F(WhisperStt, NothingComesForACancelledUtterance) {
    engine_->say("stale");
    FasterWhisperStt stt{engine_, finals_only()};
    const auto stream = open(stt);

    engine_->hold();  // cancelled while it is decoded
    say(*stream, 1);
    engine_->await_running(1);
    stream->cancel();
    engine_->await_running(0);
    EXPECT_TRUE(engine_->heard()[0].aborted);
    engine_->release();

    say(*stream, 2);  // cancelled when its final was there, unread
    while (stt.stats().finals < 1)
        std::this_thread::yield();
    settle();
    stream->cancel();

    stream->begin(UtteranceId{3});  // cancelled while it was spoken
    push(*stream, speech(1));
    stream->cancel();
    stream->end();

    engine_->say("fresh");
    say(*stream, 4);
    const auto event = next(*stream);
    EXPECT_EQ(event.utterance, UtteranceId{4});
    EXPECT_EQ(event.text, "fresh");
}

TEST_F(WhisperStt, CallsHearTheirOwnCallerAndTakeTurns) {
    auto config = finals_only();
    config.num_workers = 3;
    // Each caller's audio has a level of its own; the fake says which it heard.
    engine_->say_by([](const FakeWhisper::Heard& heard) {
        float peak = 0;
        for (const float sample : heard.audio)
            peak = std::max(peak, std::abs(sample));
        return "caller " + std::to_string(std::lround(peak * 32'768.0F / 1'000.0F));
    });
    FasterWhisperStt stt{engine_, config};
    EXPECT_EQ(engine_->decoders(), 3u);
    std::vector<std::unique_ptr<SttStream>> streams;
    constexpr int calls = 10;
    for (int call = 0; call < calls; ++call) {
        streams.push_back(open(stt));
        test::Pcm audio(second);
        for (std::size_t i = 0; i < audio.size(); ++i)
            audio[i] = static_cast<media::Sample>((call + 2) * (i % 2 == 0 ? 1'000 : -1'000));
        streams.back()->begin(UtteranceId{1});
        push(*streams.back(), audio);
        streams.back()->end();
    }
    for (std::size_t call = 0; call < calls; ++call)
        EXPECT_EQ(next(*streams[call]).text, "caller " + std::to_string(call + 2));
}

TEST_F(WhisperStt, PromptAndHotwordsAreJoinedForEveryDecode) {
    auto config = finals_only();
    config.initial_prompt = "Bank call.";
    config.hotwords = {"Garanti", "IBAN"};
    engine_->say("yes");
    FasterWhisperStt stt{engine_, config};
    const auto stream = open(stt);
    say(*stream, 1);
    next(*stream);
    EXPECT_EQ(engine_->heard()[0].parameters.prompt, "Bank call. Garanti, IBAN");
    EXPECT_TRUE(engine_->heard()[0].parameters.every_window);
}

TEST_F(WhisperStt, LanguagesAreCheckedBeforeAnyoneSpeaks) {
    auto config = finals_only();
    config.language = "xx";
    EXPECT_THROW((FasterWhisperStt{engine_, config}), std::runtime_error);
    config.language = "tr-TR";
    EXPECT_NO_THROW((FasterWhisperStt{engine_, config}));
    config.beam_size = 9;
    EXPECT_THROW((FasterWhisperStt{engine_, config}), std::runtime_error);
    config.beam_size = 1;
    EXPECT_THROW(
        (FasterWhisperStt{std::make_shared<FakeWhisper>(false), config}), std::runtime_error
    );

    config.language = "agent";
    engine_->say("yes");
    FasterWhisperStt stt{engine_, config};
    const auto turkish = open(stt, "tr-TR");
    say(*turkish, 1);
    next(*turkish);
    const auto any = open(stt, "");
    say(*any, 1);
    next(*any);
    EXPECT_EQ(engine_->heard()[0].parameters.language, "tr");
    EXPECT_EQ(engine_->heard()[1].parameters.language, "") << "detected";
    const auto refused = test::result_of(shard_, stt.open(shard_, {"xx"}));
    EXPECT_EQ(refused.error(), ServiceErrc::configuration);
}

TEST_F(WhisperStt, AutoDetectsWhateverTheAgentSpeaks) {
    auto config = finals_only();
    config.language = "auto";
    engine_->say("yes");
    FasterWhisperStt stt{engine_, config};
    const auto stream = open(stt, "tr");
    say(*stream, 1);
    next(*stream);
    EXPECT_EQ(engine_->heard()[0].parameters.language, "");
}

TEST_F(WhisperStt, AFullQueueFailsTheStreamAsOverloaded) {
    auto config = finals_only();
    config.max_queue = 1;
    engine_->hold();
    FasterWhisperStt stt{engine_, config};
    const auto first = open(stt);
    say(*first, 1);
    engine_->await_running(1);
    const auto second_call = open(stt);
    say(*second_call, 1);
    const auto third = open(stt);
    say(*third, 1);
    EXPECT_EQ(failure(*third), ServiceErrc::overloaded);
    EXPECT_EQ(stt.stats().refused, 1u);
    engine_->say("here");
    engine_->release();
    EXPECT_EQ(next(*first).text, "here");
    EXPECT_EQ(next(*second_call).text, "here");
}

TEST_F(WhisperStt, AtItsDeadlineAFinalIsGivenUpWaitingOrRunning) {
    auto config = finals_only();
    config.deadline = 50ms;
    engine_->hold();
    engine_->be_deaf();
    FasterWhisperStt stt{engine_, config};
    const auto running = open(stt);
    const auto waiting = open(stt);
    say(*running, 1);
    say(*waiting, 1);
    EXPECT_EQ(failure(*running), ServiceErrc::timed_out);
    EXPECT_EQ(failure(*waiting), ServiceErrc::timed_out);
    EXPECT_EQ(stt.stats().late, 2u);
    engine_->release();
}

TEST_F(WhisperStt, AFailureOfTheEngineFailsTheStreamAndNoOther) {
    engine_->say("fine");
    FasterWhisperStt stt{engine_, finals_only()};
    const auto unlucky = open(stt);
    const auto lucky = open(stt);
    engine_->fail(ServiceErrc::unavailable);
    say(*unlucky, 1);
    EXPECT_EQ(failure(*unlucky), ServiceErrc::unavailable);
    say(*lucky, 1);
    EXPECT_EQ(next(*lucky).text, "fine");
    EXPECT_EQ(stt.stats().failed, 1u);
}

TEST_F(WhisperStt, TheOldestOfTooManyWaitingUtterancesGetsAnEmptyFinal) {
    engine_->say("late");
    engine_->hold();
    FasterWhisperStt stt{engine_, finals_only()};
    const auto stream = open(stt);
    for (std::uint32_t id = 1; id <= 9; ++id)
        say(*stream, id);
    const auto oldest = next(*stream);
    EXPECT_EQ(oldest.utterance, UtteranceId{1});
    EXPECT_EQ(oldest.text, "");
    engine_->release();
    for (std::uint32_t id = 2; id <= 9; ++id) {
        const auto event = next(*stream);
        EXPECT_EQ(event.utterance, UtteranceId{id}) << "in order";
        EXPECT_EQ(event.text, "late");
    }
}

TEST_F(WhisperStt, StreamsAndServiceMayGoWhileTheirAudioIsDecoded) {
    for (int round = 0; round < 4; ++round) {
        auto shard = std::make_unique<async::Shard>(0);
        auto config = finals_only();
        config.partials = true;
        config.num_workers = 2;
        auto engine = std::make_shared<FakeWhisper>();
        engine->say("hello");
        engine->hold();
        auto stt = std::make_unique<FasterWhisperStt>(engine, config);
        std::vector<std::unique_ptr<SttStream>> streams;
        for (int i = 0; i < 4; ++i) {
            streams.push_back(test::value_of(*shard, stt->open(*shard, {})));
            streams.back()->begin(UtteranceId{1});
            push(*streams.back(), speech(1));
            if (i % 2 == 0) streams.back()->end();
        }
        engine->await_running(2);
        if (round % 2 == 0) engine->release();
        if (round < 2) {
            streams.clear();
            stt.reset();
        } else {
            stt.reset();
            streams.clear();
        }
        shard->context().poll();
        shard.reset();
    }
}

}  // namespace
}  // namespace oavc::services::whisper
