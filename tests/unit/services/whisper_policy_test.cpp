// What surrounds the Whisper model: pure rules, virtual time.

#include "services/stt/whisper/decode_queue.hpp"
#include "services/stt/whisper/hallucination_filter.hpp"
#include "services/stt/whisper/local_agreement.hpp"
#include "services/stt/whisper/model_file.hpp"
#include "services/stt/whisper/speech_span.hpp"
#include "services/stt/whisper/state_slot.hpp"
#include "services/stt/whisper/text.hpp"
#include "support/clips.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace oavc::services::whisper {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
namespace fs = std::filesystem;
using Kind = DecodeJob::Kind;

// ---- text

TEST(WhisperText, LosesSpacesAroundAndACharacterCutInHalf) {
    EXPECT_EQ(trimmed("  merhaba \n"), "merhaba");
    EXPECT_EQ(trimmed("   "), "");
    EXPECT_EQ(trimmed("ki\xC5\x9F"), "kiş");
    EXPECT_EQ(trimmed("ki\xC5"), "ki");
    EXPECT_EQ(trimmed("para \xE2\x82"), "para");
    EXPECT_EQ(trimmed("\xF0\x9F\x98"), "");
}

TEST(WhisperText, KnowsUtf8WhenItSeesIt) {
    for (const auto* good : {"", "abc", "çğıöşü İI", "€", "\xF0\x9F\x98\x80", "a\nb"})
        EXPECT_TRUE(is_clean_utf8(good)) << good;
    for (const auto* bad :
         {"\x80",
          "\xC3",
          "\xC0\xAF",
          "\xED\xA0\x80",
          "\xF5\x80\x80\x80",
          "\xE2\x82",
          "a\x01"
          "b",
          "\x7F"})
        EXPECT_FALSE(is_clean_utf8(bad)) << bad;
    EXPECT_EQ(count_characters("şöyle €"), 7u);
}

// ---- LocalAgreement

TEST(WhisperLocalAgreement, CommitsWhatTwoHypothesesInARowAgreeOn) {
    LocalAgreement agreement;
    EXPECT_EQ(agreement.update("what is"), "");
    EXPECT_EQ(agreement.update("What is my ball"), "What is");
    EXPECT_EQ(agreement.update("What is my balance"), "What is my");
    EXPECT_EQ(agreement.update("What is my balance, please?"), "What is my balance,");
}

TEST(WhisperLocalAgreement, NeverTakesBackWhenHypothesesShrinkOrChange) {
    LocalAgreement agreement;
    agreement.update("one two three four");
    EXPECT_EQ(agreement.update("one two three four"), "one two three four");
    EXPECT_EQ(agreement.update("one two"), "one two three four");
    EXPECT_EQ(agreement.update(""), "one two three four");
    EXPECT_EQ(agreement.update("five six seven eight nine"), "one two three four");
    EXPECT_EQ(agreement.update("five six seven eight nine"), "one two three four nine");
}

TEST(WhisperLocalAgreement, ComparesTurkishLettersWithoutCase) {
    LocalAgreement agreement;
    agreement.update("IŞIK İSTANBUL ĞÜÇÖ");
    EXPECT_EQ(agreement.update("ışık istanbul ğüçö"), "ışık istanbul ğüçö");
    LocalAgreement other;
    other.update("şarkı");
    EXPECT_EQ(other.update("sarki"), "") << "ş is no s";
}

// ---- what is speech, where to cut

TEST(WhisperSpeech, MeasuresFromTheFirstToTheLastLoudBlock) {
    auto audio = test::silence(16'000);
    const auto speech = measure_speech(audio, -45);
    EXPECT_EQ(speech.length, 0ms);
    EXPECT_LT(speech.level_dbfs, -90);
    test::append(audio, test::buzz(8'000, rate));
    test::append(audio, test::silence(3'200));
    test::append(audio, test::buzz(8'000, rate));
    test::append(audio, test::silence(16'000));
    EXPECT_EQ(measure_speech(audio, -45).length, 1200ms);
    EXPECT_GT(measure_speech(audio, -45).level_dbfs, -45);
    EXPECT_EQ(measure_speech({}, -45).length, 0ms);
}

TEST(WhisperSpeech, CutsWhereItIsQuietest) {
    auto audio = test::silence(16'000);
    test::append(audio, test::buzz(3 * 16'000, rate));
    const auto pause = audio.size();
    test::append(audio, test::silence(1'600));
    test::append(audio, test::buzz(16'000, rate));
    const auto cut = quietest_cut(audio);
    EXPECT_GE(cut, pause);
    EXPECT_LE(cut, pause + 1'600);
    audio.resize(pause);
    EXPECT_GE(quietest_cut(audio), 2u * 16'000) << "the last two seconds only";
    EXPECT_LT(quietest_cut(audio), audio.size());
    EXPECT_EQ(quietest_cut({}), 0u);
}

// ---- hallucinations; no_speech_probability stays 0 as whisper.cpp 1.9 gives it

constexpr SpeechSpan two_seconds{2000ms, -26.0};

Decoded said(const char* text, double probability = -0.3) {
    Decoded decoded;
    decoded.segments.push_back({.text = text, .mean_log_probability = probability, .tokens = 5});
    return decoded;
}

HallucinationFilter::Verdict judge(
    const char* text,
    SpeechSpan speech = two_seconds,
    double probability = -0.3,
    const char* prompt = ""
) {
    return HallucinationFilter{FasterWhisperConfig{}}.after_decoding(
        said(text, probability), speech, prompt
    );
}

TEST(WhisperFilter, LetsOrdinarySpeechThrough) {
    for (const auto* text :
         {" Kartım nerede?",
          " Thank you.",
          " Teşekkürler.",
          " no no no no",
          " evet",
          " 5 5 5 1 2"}) {
        const auto verdict = judge(text);
        EXPECT_EQ(verdict.text, text + 1);
        EXPECT_FALSE(verdict.dropped) << text;
    }
    EXPECT_EQ(judge("").text, "");
    EXPECT_FALSE(judge("").dropped);
}

TEST(WhisperFilter, SavesTheDecodeOfSilenceAndOfClicks) {
    const HallucinationFilter filter{FasterWhisperConfig{}};
    EXPECT_EQ(filter.before_decoding({0ms, -80}), DropReason::too_quiet);
    EXPECT_EQ(filter.before_decoding({240ms, -20}), DropReason::too_short);
    EXPECT_EQ(filter.before_decoding({250ms, -20}), std::nullopt);
}

TEST(WhisperFilter, DropsWhatTheModelDoesNotBelieve) {
    EXPECT_EQ(judge(" kartım", two_seconds, -1.05).dropped, DropReason::low_probability);
    EXPECT_EQ(judge(" kartım", two_seconds, -0.95).text, "kartım");
    EXPECT_EQ(judge(" kartım", {900ms, -26}, -0.95).dropped, DropReason::low_probability);
    EXPECT_EQ(judge(" kartım", {900ms, -26}, -0.75).text, "kartım");

    auto mixed = said(" my card is lost", -0.2);
    mixed.segments.push_back({.text = " Thanks for all", .mean_log_probability = -1.6});
    const auto verdict =
        HallucinationFilter{FasterWhisperConfig{}}.after_decoding(mixed, two_seconds, "");
    EXPECT_EQ(verdict.text, "my card is lost") << "segment by segment";
    EXPECT_EQ(verdict.dropped, DropReason::low_probability);
}

TEST(WhisperFilter, DropsMoreTextThanAnyoneSaysInThatTime) {
    const auto* sentence = " this is far too much to have been said within such a moment";
    EXPECT_EQ(judge(sentence, {1500ms, -26}).dropped, DropReason::too_fast);
    EXPECT_FALSE(judge(sentence, {3000ms, -26}).dropped);
    EXPECT_FALSE(judge(" evet", {80ms, -26}).dropped) << "short words are short";
    EXPECT_FALSE(judge(" çğışöüçğışöüçğışöüçğışöü", {900ms, -26}).dropped) << "letters, not bytes";
}

TEST(WhisperFilter, DropsRepetitions) {
    const SpeechSpan long_speech{20'000ms, -26};
    for (const auto* text :
         {" ya ya ya ya ya ya ya",
          " i'm sorry, i'm sorry, i'm sorry, i'm sorry, i'm sorry",
          " so I will go home now and so I will go home now and so I will go home now and so I "
          "will go home now and",
          " hahahahahahahahaha",
          " aaaaaaaaaaaaaaaaaa"}) {
        EXPECT_EQ(judge(text, long_speech).dropped, DropReason::repetition) << text;
    }
    for (const auto* text :
         {" bye bye bye",
          " hayır hayır hayır hayır",
          " very very very very much",
          " i'm sorry, i'm sorry, i'm really sorry"}) {
        EXPECT_FALSE(judge(text, long_speech).dropped) << text;
    }
}

TEST(WhisperFilter, DropsPhrasesOfSubtitlesInBothLanguages) {
    for (const auto* text :
         {" Thanks for watching!",
          " Altyazı M.K.",
          " ALTYAZI M.K.",
          " İzlediğiniz için teşekkürler.",
          " Abone olmayı unutmayın!"}) {
        EXPECT_EQ(judge(text, {1500ms, -30}).dropped, DropReason::known_phrase) << text;
    }
    EXPECT_EQ(judge(" Thanks for watching!", {6000ms, -30}).dropped, DropReason::known_phrase)
        << "noise as long as that, and only these words";
    EXPECT_FALSE(judge(" Thanks for watching!", {2200ms, -30}).dropped) << "somebody said it";
    EXPECT_FALSE(judge(" Thanks for watching my house", {2000ms, -30}).dropped);

    FasterWhisperConfig config;
    config.ignored_phrases = {"Görüşürüz."};
    EXPECT_EQ(
        HallucinationFilter{config}.after_decoding(said(" görüşürüz"), {1000ms, -30}, "").dropped,
        DropReason::known_phrase
    );
}

TEST(WhisperFilter, DropsOurOwnPromptOnQuietAudioOnly) {
    const auto* prompt = "Garanti, Kredi kartı, hesap numarası";
    EXPECT_EQ(
        judge(" Kredi kartı hesap", {1500ms, -40}, -0.3, prompt).dropped, DropReason::prompt_echo
    );
    EXPECT_FALSE(judge(" Kredi kartı", {1500ms, -25}, -0.3, prompt).dropped);
    EXPECT_FALSE(judge(" kart", {1500ms, -40}, -0.3, prompt).dropped) << "no whole word";
}

TEST(WhisperFilter, DropsBrokenText) {
    EXPECT_EQ(judge(" a\x80z").dropped, DropReason::broken_text);
    EXPECT_EQ(judge(" ki\xC5").text, "ki") << "only the end is cut";
}

// ---- which file

TEST(WhisperModelFile, ComputeTypeChoosesTheQuantisation) {
    EXPECT_THAT(model_files("base", "float16"), ElementsAre("ggml-base.bin"));
    EXPECT_THAT(model_files("base", "float32"), ElementsAre("ggml-base.bin"));
    EXPECT_THAT(
        model_files("small", "int8_float16"),
        ElementsAre("ggml-small-q8_0.bin", "ggml-small-q5_1.bin")
    );
    EXPECT_THAT(
        model_files("medium", "auto"),
        ElementsAre("ggml-medium.bin", "ggml-medium-q8_0.bin", "ggml-medium-q5_0.bin")
    );
    EXPECT_THAT(model_files("large", "default"), testing::Contains("ggml-large-v3.bin"));
    EXPECT_THAT(model_files("large-v3", "int8"), ElementsAre("ggml-large-v3-q5_0.bin"));
    EXPECT_EQ(model_files("turbo", "int8")[0], "ggml-large-v3-turbo-q8_0.bin");
    EXPECT_EQ(model_files("distil-large-v3", "float16")[0], "ggml-distil-large-v3.bin");
    EXPECT_THROW(model_files("huge", "auto"), std::runtime_error);
    EXPECT_THROW(model_files("base", "int4"), std::runtime_error);
}

TEST(WhisperModelFile, NamesTheExpectedPathAndTheCommandThatFetchesIt) {
    const auto folder = fs::path{testing::TempDir()} / fmt::format("whisper-{}", ::getpid());
    fs::create_directories(folder);
    FasterWhisperConfig config;
    config.compute_type = "int8";
    try {
        find_model(config, folder);
        FAIL();
    } catch (const std::runtime_error& error) {
        EXPECT_THAT(error.what(), HasSubstr((folder / "ggml-base-q8_0.bin").string()));
        EXPECT_THAT(error.what(), HasSubstr("oavc models pull base-q8_0"));
    }
    std::ofstream{folder / "ggml-base-q5_1.bin"} << "x";
    EXPECT_EQ(find_model(config, folder), folder / "ggml-base-q5_1.bin") << "what is there";
    std::ofstream{folder / "ggml-base-q8_0.bin"} << "x";
    EXPECT_EQ(find_model(config, folder), folder / "ggml-base-q8_0.bin");
    config.model_path = (folder / "mine.bin").string();
    EXPECT_THROW(find_model(config, folder), std::runtime_error);
    fs::remove_all(folder);
}

// ---- the state that frees itself

struct CountingApi {
    struct Context {
        int made{0};
        int freed{0};
        bool memory{true};
    };
    struct State {
        Context* context;
    };
    static State* make(Context& context) {
        if (!context.memory) return nullptr;
        ++context.made;
        return new State{&context};
    }
    static void free(State* state) {
        ++state->context->freed;
        delete state;
    }
};

TEST(WhisperState, IsNotFreedAgainAfterMinusSeven) {
    CountingApi::Context context;
    {
        StateSlot<CountingApi> slot{context};
        EXPECT_EQ(slot.settle(-6), -6);
        EXPECT_EQ(context.made, 1);
        CountingApi::free(slot.get());  // what whisper.cpp does
        EXPECT_EQ(slot.settle(-7), -7);
        context.memory = false;
        EXPECT_EQ(slot.get(), nullptr);
        context.memory = true;
        EXPECT_NE(slot.get(), nullptr);
        EXPECT_EQ(context.made, 2);
    }
    EXPECT_EQ(context.freed, 2);
    context.memory = false;
    EXPECT_THROW(StateSlot<CountingApi>{context}, std::runtime_error);
}

// ---- the queue

class WhisperQueue : public testing::Test {
protected:
    using Job = DecodeQueue::Job;

    Job offer(Kind kind, std::uint64_t call, bool expected = true) {
        auto job = std::make_shared<DecodeJob>(kind, call, TimePoint::max());
        EXPECT_EQ(queue_.offer(job, now_), expected);
        return job;
    }
    Job final(std::uint64_t call) { return offer(Kind::final, call); }
    Job partial(std::uint64_t call) { return offer(Kind::partial, call); }
    Job take() { return queue_.take(now_); }

    TimePoint now_{Clock::now()};
    DecodeStats stats_;
    DecodeQueue queue_{4, 1, stats_};
};

TEST_F(WhisperQueue, CallsTakeTurnsHoweverMuchOneOfThemHas) {
    const auto a1 = final(1);
    const auto a2 = final(1);
    const auto a3 = final(1);
    const auto b1 = final(2);
    for (const auto& expected : {a1, b1, a2, a3}) {
        const auto job = take();
        EXPECT_EQ(job, expected);
        queue_.finished(job);
    }
    EXPECT_EQ(take(), nullptr);
    EXPECT_EQ(queue_.waiting_finals(), 0u);
}

TEST_F(WhisperQueue, OneCallsFinalsRunInOrderAndOneAtATime) {
    DecodeQueue wide{4, 3, stats_};
    const auto make = [&](std::uint64_t call) {
        auto job = std::make_shared<DecodeJob>(Kind::final, call, TimePoint::max());
        EXPECT_TRUE(wide.offer(job, now_));
        return job;
    };
    const auto a1 = make(1);
    const auto a2 = make(1);
    const auto b1 = make(2);
    EXPECT_EQ(wide.take(now_), a1);
    EXPECT_EQ(wide.take(now_), b1);
    EXPECT_EQ(wide.take(now_), nullptr) << "a2 waits for a1";
    wide.finished(a1);
    EXPECT_EQ(wide.take(now_), a2);
}

TEST_F(WhisperQueue, IsBoundedAndCountsWhatItRefuses) {
    for (std::uint64_t call = 1; call <= 4; ++call)
        final(call);
    offer(Kind::final, 5, false);
    EXPECT_EQ(stats_.refused, 1u);
    queue_.finished(take());
    final(5);
}

TEST_F(WhisperQueue, FinalsGoBeforePartialsAndKeepThemOut) {
    const auto waiting = partial(1);
    const auto urgent = final(2);
    offer(Kind::partial, 3, false);
    EXPECT_EQ(stats_.skipped, 1u);
    EXPECT_EQ(take(), urgent);
    queue_.finished(urgent);
    EXPECT_EQ(take(), waiting);
}

TEST_F(WhisperQueue, NewerAudioReplacesAWaitingPartialAndARunningOneIsNotDoubled) {
    const auto old = partial(1);
    const auto newer = partial(1);
    EXPECT_EQ(stats_.superseded, 1u);
    EXPECT_EQ(take(), newer);
    EXPECT_EQ(take(), nullptr);
    offer(Kind::partial, 1, false);
    EXPECT_EQ(stats_.skipped, 1u);
}

TEST_F(WhisperQueue, AFinalStopsItsCallsPartial) {
    const auto running = partial(1);
    EXPECT_EQ(take(), running);
    const auto done = final(1);
    EXPECT_TRUE(running->abort.raised());
    EXPECT_EQ(stats_.aborted, 1u);
    queue_.finished(running);
    EXPECT_EQ(take(), done);
}

TEST_F(WhisperQueue, AFinalTakesTheWorkerOfAnotherCallsPartialWhenNoneIsFree) {
    DecodeQueue two{4, 2, stats_};
    const auto offer_to = [&](Kind kind, std::uint64_t call) {
        auto job = std::make_shared<DecodeJob>(kind, call, TimePoint::max());
        EXPECT_TRUE(two.offer(job, now_));
        return job;
    };
    const auto one = offer_to(Kind::partial, 1);
    const auto other = offer_to(Kind::partial, 2);
    EXPECT_EQ(two.take(now_), one);
    offer_to(Kind::final, 3);
    EXPECT_FALSE(one->abort.raised()) << "a worker is free";
    EXPECT_NE(two.take(now_), nullptr);
    offer_to(Kind::final, 4);
    EXPECT_TRUE(one->abort.raised());
    EXPECT_FALSE(other->abort.raised());
    offer_to(Kind::final, 5);
    EXPECT_EQ(stats_.aborted, 1u) << "nothing more to stop";
}

TEST_F(WhisperQueue, WhatNobodyWantsIsNotDecoded) {
    const auto gone = final(1);
    const auto running = final(2);
    queue_.forget(gone);
    EXPECT_EQ(take(), running);
    queue_.forget(running);
    EXPECT_TRUE(running->abort.raised());
    EXPECT_TRUE(running->settled);
    queue_.finished(running);
    const auto hypothesis = partial(3);
    queue_.forget(hypothesis);
    EXPECT_EQ(take(), nullptr);
    EXPECT_EQ(queue_.waiting_finals(), 0u);
}

TEST_F(WhisperQueue, GivesUpAtTheDeadlineWaitingOrRunningAndOnce) {
    const auto add = [&](std::uint64_t call, milliseconds limit) {
        auto job = std::make_shared<DecodeJob>(Kind::final, call, now_ + limit);
        EXPECT_TRUE(queue_.offer(job, now_));
        return job;
    };
    const auto running = add(1, 100ms);
    const auto waiting = add(2, 200ms);
    const auto patient = add(3, 60s);
    EXPECT_EQ(take(), running);
    EXPECT_THAT(queue_.drop_late(now_ + 99ms), ElementsAre());
    EXPECT_THAT(queue_.drop_late(now_ + 100ms), ElementsAre(running));
    EXPECT_TRUE(running->abort.raised());
    EXPECT_THAT(queue_.drop_late(now_ + 200ms), ElementsAre(waiting));
    EXPECT_THAT(queue_.drop_late(now_ + 300ms), ElementsAre());
    EXPECT_EQ(stats_.late, 2u);
    queue_.finished(running);
    EXPECT_EQ(take(), patient);
}

TEST_F(WhisperQueue, HurriesWhatHasWaited) {
    const auto prompt = final(1);
    const auto patient = final(2);
    prompt->parameters.beam_size = patient->parameters.beam_size = 5;
    patient->parameters.temperature_step = 0.4;
    take();
    EXPECT_EQ(prompt->parameters.beam_size, 5);
    queue_.finished(prompt);
    now_ += DecodeQueue::hurry_after;
    take();
    EXPECT_EQ(patient->parameters.beam_size, 1);
    EXPECT_EQ(patient->parameters.temperature_step, 0.0);
    EXPECT_EQ(stats_.hurried, 1u);
    EXPECT_EQ(stats_.wait_ms, 1000u);
}

}  // namespace
}  // namespace oavc::services::whisper
