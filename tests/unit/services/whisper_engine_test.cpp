// whisper.cpp itself, on a model of random weights: what it says is nonsense, how it behaves is
// real.

#include "services/stt/whisper/whisper_engine.hpp"

#include "async/worker_pool.hpp"
#include "services/errors.hpp"
#include "services/service_factory.hpp"
#include "services/stt/whisper/faster_whisper_stt.hpp"
#include "services/stt/whisper/speech_span.hpp"
#include "support/await.hpp"
#include "support/clips.hpp"
#include "support/tiny_whisper_model.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace oavc::services::whisper {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

std::string load_error(const FasterWhisperConfig& config) {
    try {
        load_whisper_cpp(config);
    } catch (const std::runtime_error& error) {
        return error.what();
    }
    return "loaded";
}

#ifndef OAVC_HAS_WHISPER

TEST(WhisperCpp, IsNamedAsMissingWhereItIsNotBuilt) {
    EXPECT_THAT(load_error({}), HasSubstr("scripts/fetch-whisper"));
}

#else

class TinyWhisper : public testing::Test {
protected:
    static void SetUpTestSuite() {
        path_ = fs::path{testing::TempDir()} / fmt::format("tiny-whisper-{}.bin", ::getpid());
        test::write_tiny_whisper(path_);
    }
    static void TearDownTestSuite() { fs::remove(path_); }

    static FasterWhisperConfig config() {
        FasterWhisperConfig config;
        config.model_path = path_.string();
        config.device = "cpu";
        config.language = "tr";
        config.cpu_threads = 1;
        config.num_workers = 2;
        return config;
    }

    static fs::path path_;
};
fs::path TinyWhisper::path_;

/// A voice of its own for each caller: a buzz at a pitch that is theirs.
std::vector<float> voice(int caller, double seconds) {
    std::vector<float> audio(static_cast<std::size_t>(seconds * rate.hz));
    for (std::size_t i = 0; i < audio.size(); ++i) {
        const double turn = static_cast<double>(i) / rate.hz * (110 + 37 * caller);
        audio[i] = static_cast<float>(0.3 * (2 * (turn - std::floor(turn)) - 1));
    }
    return audio;
}

DecodeParameters parameters(int tokens = 12) {
    DecodeParameters parameters;
    parameters.language = "tr";
    parameters.max_tokens = tokens;
    parameters.audio_context = 256;  // 5 s: a sixth of the encoder's time
    return parameters;
}

/// Words and how sure the model was of them, to the last digit: what a single different sample
/// would change.
std::string text_of(const Result<Decoded>& decoded) {
    if (!decoded) return decoded.error().message();
    std::string text;
    for (const auto& segment : decoded->segments)
        text += fmt::format("{} ({})", segment.text, segment.mean_log_probability);
    return text;
}

TEST_F(TinyWhisper, SaysWordsWithTheirProbabilityAndTheSameOnesEachTime) {
    const auto engine = load_whisper_cpp(config());
    const auto decoder = engine->make_decoder();
    const Abort never;
    testing::internal::CaptureStdout();
    const auto first = decoder->decode(voice(0, 2), parameters(), never);
    EXPECT_EQ(testing::internal::GetCapturedStdout(), "") << "words of callers go nowhere else";
    ASSERT_TRUE(first) << first.error().message();
    ASSERT_EQ(first->segments.size(), 1u);
    EXPECT_THAT(first->segments[0].text, HasSubstr(" w"));
    EXPECT_GT(first->segments[0].tokens, 4u);
    EXPECT_LT(first->segments[0].mean_log_probability, 0.0);
    EXPECT_EQ(first->language, "tr");

    // Another caller's audio and prompt on the same state leave no trace.
    auto other = parameters();
    other.prompt = " w17 w18 w19";
    EXPECT_NE(text_of(decoder->decode(voice(5, 3), other, never)), text_of(first));
    EXPECT_EQ(text_of(decoder->decode(voice(0, 2), parameters(), never)), text_of(first));
    const auto fresh = engine->make_decoder();
    EXPECT_EQ(text_of(fresh->decode(voice(0, 2), parameters(), never)), text_of(first));
}

TEST_F(TinyWhisper, NoSamplesGiveNothingAndNotTheFormerAudioAgain) {
    const auto engine = load_whisper_cpp(config());
    const auto own = engine->make_decoder();
    const Abort never;
    ASSERT_NE(text_of(own->decode(voice(0, 2), parameters(), never)), "");
    EXPECT_EQ(text_of(own->decode({}, parameters(), never)), "");
}

TEST_F(TinyWhisper, FiftyMillisecondsArePaddedAndDecoded) {
    const auto engine = load_whisper_cpp(config());
    const auto decoder = engine->make_decoder();
    const auto decoded = decoder->decode(voice(0, 0.05), parameters(), Abort{});
    ASSERT_TRUE(decoded) << decoded.error().message();
    EXPECT_EQ(decoded->segments.size(), 1u);
}

TEST_F(TinyWhisper, ThirtySecondsBeamsFallbackDetectionAndAFittedContextAllRun) {
    const auto engine = load_whisper_cpp(config());
    const auto decoder = engine->make_decoder();
    auto asked = parameters(3);
    asked.language.clear();
    asked.audio_context = 0;
    asked.beam_size = 8;
    asked.temperature_step = 0.5;
    for (int i = 0; i < 300; ++i)
        asked.prompt += " w" + std::to_string(1'000 + i);  // more than the prompt may hold
    asked.every_window = true;
    const auto whole = decoder->decode(voice(0, 30), asked, Abort{});
    ASSERT_TRUE(whole) << whole.error().message();
    EXPECT_TRUE(engine->knows_language(whole->language)) << whole->language;

    asked = parameters(3);
    asked.audio_context = 512;
    EXPECT_TRUE(decoder->decode(voice(0, 5), asked, Abort{}));
    asked.audio_context = 9'000;  // more than the model has: cut down, not refused
    EXPECT_TRUE(decoder->decode(voice(0, 5), asked, Abort{}));
    asked.beam_size = 9;
    const auto refused = decoder->decode(voice(0, 5), asked, Abort{});
    EXPECT_EQ(refused.error(), ServiceErrc::configuration);
    EXPECT_TRUE(decoder->decode(voice(0, 5), parameters(), Abort{})) << "usable after a refusal";
}

TEST_F(TinyWhisper, StopsSoonAfterAnAbortAndWorksOn) {
    const auto engine = load_whisper_cpp(config());
    const auto decoder = engine->make_decoder();
    const auto before = text_of(decoder->decode(voice(0, 2), parameters(), Abort{}));

    Abort raised;
    raised.raise();
    EXPECT_EQ(decoder->decode(voice(0, 2), parameters(), raised).error(), ServiceErrc::cancelled);
    auto endless = parameters(200);
    endless.beam_size = 3;
    const auto began = Clock::now();
    ASSERT_TRUE(decoder->decode(voice(0, 25), endless, Abort{}));
    const auto whole = Clock::now() - began;
    const auto again = Clock::now();
    const Abort late{again + whole / 8};
    EXPECT_EQ(decoder->decode(voice(0, 25), endless, late).error(), ServiceErrc::cancelled);
    EXPECT_LT(Clock::now() - again, whole / 2);
    EXPECT_EQ(text_of(decoder->decode(voice(0, 2), parameters(), Abort{})), before);
}

TEST_F(TinyWhisper, EightCallsShareOneModelAndHearOnlyTheirOwn) {
    const auto engine = load_whisper_cpp(config());
    constexpr int calls = 8;
    std::vector<std::string> alone;
    {
        const auto decoder = engine->make_decoder();
        for (int call = 0; call < calls; ++call)
            alone.push_back(text_of(decoder->decode(voice(call, 1.5), parameters(), Abort{})));
    }
    std::vector<std::string> together(calls);
    std::vector<std::thread> threads;
    for (int call = 0; call < calls; ++call) {
        threads.emplace_back([&, call] {
            const auto decoder = engine->make_decoder();
            for (int round = 0; round < 2; ++round) {
                together[static_cast<std::size_t>(call)] =
                    text_of(decoder->decode(voice(call, 1.5), parameters(), Abort{}));
            }
        });
    }
    for (auto& thread : threads)
        thread.join();
    EXPECT_EQ(together, alone);
    EXPECT_NE(alone[0], alone[1]);
}

TEST_F(TinyWhisper, ServesEightCallsAtOnce) {
    auto settings = config();
    settings.min_log_probability = -100;
    settings.beam_size = 1;
    settings.deadline = std::chrono::minutes{1};
    FasterWhisperStt stt{load_whisper_cpp(settings), settings};
    async::Shard shard{0};
    std::vector<std::unique_ptr<SttStream>> streams;
    for (int call = 0; call < 8; ++call) {
        streams.push_back(test::value_of(shard, stt.open(shard, {})));
        auto& stream = *streams.back();
        stream.begin(UtteranceId{1});
        std::vector<media::Sample> pcm;
        for (const float sample : voice(call, 1.5))
            pcm.push_back(static_cast<media::Sample>(sample * 32'000));
        stream.push({pcm, rate});
        stream.end();
    }
    for (auto& stream : streams) {
        for (;;) {
            const auto event = test::value_of(shard, stream->next());
            if (event.kind == SttEvent::Kind::final) break;
        }
    }
    EXPECT_EQ(stt.stats().finals, 8u);
    EXPECT_EQ(stt.stats().late, 0u);
}

TEST_F(TinyWhisper, TheFactoryMakesIt) {
    async::WorkerPool workers{1, 8};
    Config all;
    all.whisper = config();
    ServiceFactory factory{all, workers};
    const auto stt = factory.make_stt("faster-whisper");
    EXPECT_EQ(stt->name(), "faster-whisper");
    EXPECT_TRUE(stt->capabilities().interim_results);
}

TEST_F(TinyWhisper, KnowsItsLanguagesByCodeOnly) {
    const auto engine = load_whisper_cpp(config());
    EXPECT_TRUE(engine->multilingual());
    EXPECT_TRUE(engine->knows_language("tr"));
    EXPECT_TRUE(engine->knows_language("yue"));
    EXPECT_FALSE(engine->knows_language("xx"));
    EXPECT_FALSE(engine->knows_language("turkish"));
    EXPECT_FALSE(engine->knows_language(""));
}

TEST_F(TinyWhisper, AnEnglishModelRefusesOtherLanguages) {
    const auto path = path_.string() + ".en";
    test::write_tiny_whisper(path, {.multilingual = false});
    auto settings = config();
    settings.model_path = path;
    const auto engine = load_whisper_cpp(settings);
    fs::remove(path);
    EXPECT_FALSE(engine->multilingual());
    EXPECT_THROW((FasterWhisperStt{engine, settings}), std::runtime_error);
    settings.language = "auto";
    EXPECT_NO_THROW((FasterWhisperStt{engine, settings}));
}

TEST_F(TinyWhisper, SaysWhyAModelCannotBeLoaded) {
    auto settings = config();
    settings.device = "cuda";
#ifndef OAVC_HAS_CUDA
    EXPECT_THAT(load_error(settings), HasSubstr("-DOAVC_CUDA=ON"));
#endif
    settings.device = "tpu";
    EXPECT_THAT(load_error(settings), HasSubstr("known: auto, cpu, cuda"));
    settings = config();
    settings.model_path = "/nowhere/model.bin";
    EXPECT_THAT(load_error(settings), HasSubstr("/nowhere/model.bin"));

    const auto path = path_.string() + ".bad";
    for (const std::string content : {"", "this is not a model"}) {
        std::ofstream{path} << content;
        settings.model_path = path;
        EXPECT_THAT(load_error(settings), HasSubstr("no ggml model of Whisper"));
    }
    fs::remove(path);
}

#endif

}  // namespace
}  // namespace oavc::services::whisper
