#include "services/errors.hpp"
#include "services/llm/dialogue.hpp"
#include "services/stt/detail/letter_to_sound.hpp"
#include "services/stt/detail/phrase_grammar.hpp"
#include "services/stt/detail/sphinx_model.hpp"
#include "services/stt/phrase_recognizer.hpp"
#include "services/stt/pocketsphinx_stt.hpp"
#include "support/await.hpp"
#include "support/busy_worker.hpp"
#include "support/phone_speech.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <string>
#include <vector>

namespace oavc::services {
namespace {

using test::phoned;
using testing::HasSubstr;
using testing::IsEmpty;

const std::vector<std::string> bank{
    "where is my card",
    "where is my courier",
    "what is my balance",
    "what are your opening hours",
    "transfer me to an agent",
    "tell me about your savings accounts",
    "i have lost my card",
    "good morning",
    "goodbye",
};

std::unique_ptr<PocketSphinxStt> make_stt(
    async::WorkerPool& workers,
    const std::vector<std::string>& phrases = bank,
    std::size_t max_decoders = 0,
    PocketSphinxConfig config = {}
) {
    auto model = SphinxModel::from_phrases(phrases, config.model_dir);
    EXPECT_TRUE(model) << model.error().what;
    return std::make_unique<PocketSphinxStt>(*model, config, workers, max_decoders);
}

void push_all(SttStream& stream, const test::Pcm& audio) {
    for (std::size_t at = 0; at < audio.size(); at += 320) {
        const auto size = std::min<std::size_t>(320, audio.size() - at);
        stream.push({media::Samples{audio}.subspan(at, size), wideband});
    }
}

/// The final of the utterance under way; earlier events go to `interims`.
std::string final_of(
    async::Shard& shard,
    SttStream& stream,
    UtteranceId utterance,
    std::vector<std::string>* interims = nullptr
) {
    for (;;) {
        auto event = test::value_of(shard, stream.next());
        EXPECT_EQ(event.utterance, utterance);
        if (event.kind == SttEvent::Kind::final) return event.text;
        if (interims != nullptr) interims->push_back(event.text);
    }
}

TEST(PhraseRecognizer, UnderstandsKnownPhrasesAfterTheTelephoneByEveryVoice) {
    PhraseRecognizer ear{bank};
    for (const auto voice : {"slt", "rms", "awb", "kal"}) {
        EXPECT_EQ(ear.recognize(phoned("where is my card", voice), wideband), "where is my card")
            << voice;
        EXPECT_THAT(
            ear.recognize(phoned("What are your opening hours?", voice), wideband),
            testing::StartsWith("what are your opening")
        ) << voice;
    }
    const auto speech = synthesize_flite("transfer me to an agent", "kal");
    EXPECT_EQ(ear.recognize(speech->samples, speech->rate), "transfer me to an agent")
        << "8 kHz, too";
}

TEST(PhraseRecognizer, GivesTheSameWordsHoweverOftenAndWhateverCameBefore) {
    PhraseRecognizer ear{bank};
    const auto a = phoned("what is my balance", "slt");
    const auto b = phoned("i have lost my card", "awb");
    const auto first = ear.recognize(a, wideband);
    ear.recognize(b, wideband);
    ear.recognize(test::noise(16'000, 300), wideband);
    EXPECT_EQ(ear.recognize(a, wideband), first);
    PhraseRecognizer other{bank};
    EXPECT_EQ(other.recognize(a, wideband), first);
}

TEST(PhraseRecognizer, HearsSeveralPhrasesInARow) {
    PhraseRecognizer ear{bank};
    auto two = phoned("good morning");
    test::append(two, phoned("where is my courier"));
    EXPECT_EQ(ear.recognize(two, wideband), "good morning where is my courier");
}

TEST(PhraseRecognizer, UnderstandsARealPersonAfterTheTelephone) {
    const auto path = test::shared_file("audio/jfk.wav");
    if (path.empty()) GTEST_SKIP() << "audio/jfk.wav is not in the shared folder (OAVC_SHARED)";
    const auto dialogue = load_dialogue(OAVC_TEST_DATA "/real-speech.dialogue");
    ASSERT_TRUE(dialogue) << dialogue.error().what;
    const auto recording = test::through_old_telephone(*test::read_wav(path));
    PhraseRecognizer ear{dialogue->phrases("en")};
    EXPECT_THAT(ear.recognize(recording, wideband), HasSubstr("country"));

    // And in the pieces that a voice detector makes of it, each as if a call began with it.
    const auto parts = test::cut_at_pauses(recording);
    EXPECT_GE(parts.size(), 2u);
    std::string heard;
    for (const auto& part : parts)
        heard += ear.recognize(part, wideband) + " ";
    EXPECT_THAT(heard, HasSubstr("fellow americans"));
    EXPECT_THAT(heard, HasSubstr("country can do for you"));
    EXPECT_THAT(heard, HasSubstr("for your country"));
}

TEST(SphinxModel, PronouncesUnknownWordsByRuleAndNamesThoseItCannot) {
    const std::string dir = PocketSphinxConfig{}.model_dir;
    const auto guessed = SphinxModel::from_phrases({"call zorblatt now"}, dir);
    ASSERT_TRUE(guessed) << guessed.error().what;
    EXPECT_THAT((*guessed)->guessed_words(), testing::ElementsAre("zorblatt"));
    EXPECT_EQ(letter_to_sound("zorblatt"), "Z AO R B L AH T");
    EXPECT_EQ(letter_to_sound("kartım"), "");

    const auto what = [&](const std::vector<std::string>& phrases, const std::string& from) {
        const auto model = SphinxModel::from_phrases(phrases, from);
        return model ? std::string{"loaded"} : model.error().what;
    };
    EXPECT_THAT(what({"gate 24"}, dir), HasSubstr("cannot pronounce '24'"));
    EXPECT_THAT(what({}, dir), HasSubstr("has no phrases"));
    EXPECT_THAT(
        what({"hello"}, "/nowhere"), HasSubstr("install the Debian package pocketsphinx-en-us")
    );
}

TEST(BigramModel, LeavesRoomForWhatWasNeverSaid) {
    const auto arpa = bigram_model({{"a", "b"}, {"a", "c"}});
    EXPECT_THAT(arpa, HasSubstr("ngram 1=5\nngram 2=5\n"));
    EXPECT_THAT(arpa, HasSubstr("-0.4771 a b\n")) << "2/4 of 1/2, and 2/4 of 1/6";
    EXPECT_THAT(arpa, HasSubstr("-99.0000 <s>"));
}

TEST(PocketSphinxStt, TheFirstDecoderIsMadeByTheFirstProbeAndNotByTheStart) {
    async::Shard shard{0};
    async::WorkerPool workers{1, 16};
    const auto stt = make_stt(workers);
    EXPECT_EQ(stt->decoders(), 0u);
    for (int i = 0; i < 2; ++i) {
        EXPECT_TRUE(test::result_of(shard, stt->probe(shard)));
        EXPECT_EQ(stt->decoders(), 1u);
    }
}

TEST(PocketSphinxStt, StreamsInterimsAndExactlyOneFinalPerUtterance) {
    async::WorkerPool workers{2, 64};
    async::Shard shard{0};
    auto stt = make_stt(workers);
    EXPECT_EQ(stt->name(), "pocketsphinx");
    EXPECT_TRUE(stt->capabilities().interim_results);
    auto stream = test::value_of(shard, stt->open(shard, {"en-US"}));
    std::vector<std::string> interims;
    for (std::uint32_t id = 1; id <= 3; ++id) {
        stream->begin(UtteranceId{id});
        // Piece by piece, so that the decoder has time for interim results.
        const auto audio = phoned("what are your opening hours", "slt");
        push_all(*stream, {audio.begin(), audio.begin() + 24'000});
        while (interims.size() < id) {
            const auto event = test::value_of(shard, stream->next());
            ASSERT_EQ(event.kind, SttEvent::Kind::interim);
            interims.push_back(event.text);
        }
        push_all(*stream, {audio.begin() + 24'000, audio.end()});
        stream->end();
        EXPECT_EQ(
            final_of(shard, *stream, UtteranceId{id}, &interims), "what are your opening hours"
        );
    }
    EXPECT_EQ(stt->stats().utterances, 3u);
    EXPECT_EQ(stt->decoders(), 1u) << "reused";
}

TEST(PocketSphinxStt, AnUtteranceWithoutAudioHasAnEmptyFinal) {
    async::WorkerPool workers{1, 64};
    async::Shard shard{0};
    auto stt = make_stt(workers);
    auto stream = test::value_of(shard, stt->open(shard, {}));
    stream->end();  // nothing was begun
    stream->begin(UtteranceId{1});
    stream->end();
    EXPECT_EQ(final_of(shard, *stream, UtteranceId{1}), "");
    stream->begin(UtteranceId{2});
    push_all(*stream, test::silence(320));
    stream->end();
    EXPECT_EQ(final_of(shard, *stream, UtteranceId{2}), "");
}

TEST(PocketSphinxStt, NothingComesForACancelledUtterance) {
    async::WorkerPool workers{1, 64};
    async::Shard shard{0};
    auto stt = make_stt(workers);
    auto stream = test::value_of(shard, stt->open(shard, {}));
    const auto audio = phoned("where is my card");
    for (std::uint32_t id = 1; id <= 6; ++id) {
        stream->begin(UtteranceId{id});
        push_all(*stream, audio);
        if (id % 2 == 0) stream->end();  // also when its final is under way
        stream->cancel();
    }
    stream->begin(UtteranceId{7});
    push_all(*stream, audio);
    stream->end();
    EXPECT_EQ(final_of(shard, *stream, UtteranceId{7}), "where is my card");
}

TEST(PocketSphinxStt, ManyCallsShareTheModelAndHearTheirOwnCaller) {
    async::WorkerPool workers{2, 64};
    async::Shard shard{0};
    constexpr std::size_t calls = 12;
    auto stt = make_stt(workers, bank, 3);  // fewer decoders than callers: they take turns
    std::vector<std::unique_ptr<SttStream>> streams;
    for (std::size_t i = 0; i < calls; ++i) {
        streams.push_back(test::value_of(shard, stt->open(shard, {})));
        streams[i]->begin(UtteranceId{1});
        push_all(*streams[i], phoned(bank[i % bank.size()]));
        streams[i]->end();
    }
    for (std::size_t i = 0; i < calls; ++i) {
        EXPECT_EQ(final_of(shard, *streams[i], UtteranceId{1}), bank[i % bank.size()]);
    }
    EXPECT_LE(stt->decoders(), 3u);
}

TEST(PocketSphinxStt, StreamsAndServiceMayGoWhileTheirAudioIsDecoded) {
    const auto audio = phoned("tell me about your savings accounts");
    async::WorkerPool workers{2, 64};
    for (int round = 0; round < 8; ++round) {
        auto shard = std::make_unique<async::Shard>(0);
        auto stt = make_stt(workers);
        std::vector<std::unique_ptr<SttStream>> streams;
        for (int i = 0; i < 3; ++i) {
            streams.push_back(test::value_of(*shard, stt->open(*shard, {})));
            streams.back()->begin(UtteranceId{1});
            push_all(*streams.back(), audio);
            if (i != 1) streams.back()->end();
        }
        if (round % 2 == 0) {
            streams.clear();
            stt.reset();
        } else {
            stt.reset();
            streams.clear();
        }
        shard.reset();
    }
}

TEST(PocketSphinxStt, TheShardMayBeGoneWhenTheJobGetsItsTurn) {
    async::WorkerPool workers{1, 8};
    auto shard = std::make_unique<async::Shard>(0);
    auto stt = make_stt(workers);
    test::BusyWorker worker{workers};
    auto stream = test::value_of(*shard, stt->open(*shard, {}));
    stream->begin(UtteranceId{1});
    push_all(*stream, phoned("where is my card"));
    stream->end();
    stream.reset();
    stt.reset();
    shard.reset();
    worker.release();
    test::wait_for_worker(workers);
}

TEST(PocketSphinxStt, AWaitingReaderIsToldWhenItsStreamGoes) {
    async::WorkerPool workers{1, 8};
    async::Shard shard{0};
    auto stt = make_stt(workers);
    auto stream = test::value_of(shard, stt->open(shard, {}));
    std::optional<error_code> told;
    asio::co_spawn(
        shard.context(),
        stream->next(),
        [&](std::exception_ptr, Result<SttEvent> event) { told = event.error(); }
    );
    shard.context().poll();
    stream.reset();
    shard.context().restart();
    shard.context().poll();
    ASSERT_TRUE(told.has_value());
    EXPECT_EQ(*told, ServiceErrc::cancelled);
}

TEST(PocketSphinxStt, OverloadDropsTheOldestAudioCountsItAndStillEndsTheUtterance) {
    async::WorkerPool workers{1, 2};
    async::Shard shard{0};
    PocketSphinxConfig config;
    config.max_backlog_ms = 1'000;
    auto stt = make_stt(workers, bank, 0, config);
    test::BusyWorker worker{workers};
    ASSERT_TRUE(workers.try_submit([] {}));
    auto stream = test::value_of(shard, stt->open(shard, {}));
    stream->begin(UtteranceId{1});
    auto audio = test::silence(80'000);
    test::append(audio, phoned("where is my card"));
    push_all(*stream, audio);
    EXPECT_EQ(stt->stats().dropped_samples, audio.size() - 16'000) << "one second is kept";
    auto second = test::value_of(shard, stt->open(shard, {}));
    second->begin(UtteranceId{1});
    push_all(*second, phoned("good morning"));
    second->end();
    EXPECT_GE(stt->stats().delayed_jobs, 1u) << "the pool's queue is full";
    worker.release();
    stream->end();
    EXPECT_THAT(final_of(shard, *stream, UtteranceId{1}), HasSubstr("card"));
    EXPECT_EQ(final_of(shard, *second, UtteranceId{1}), "good morning");
}

TEST(PocketSphinxStt, RefusesALanguageItDoesNotKnow) {
    async::WorkerPool workers{1, 8};
    async::Shard shard{0};
    auto stt = make_stt(workers);
    const auto stream = test::result_of(shard, stt->open(shard, {"tr-TR"}));
    ASSERT_FALSE(stream);
    EXPECT_EQ(stream.error(), ServiceErrc::configuration);
}

}  // namespace
}  // namespace oavc::services
