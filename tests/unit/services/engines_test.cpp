// The embedded engines behind their interfaces: real PocketSphinx, Flite and eSpeak NG.

#include "services/errors.hpp"
#include "services/providers.hpp"
#include "services/service_factory.hpp"
#include "services/stt/pocketsphinx_stt.hpp"
#include "services/tts/espeak_tts.hpp"
#include "services/tts/flite_tts.hpp"
#include "services/tts/flite_voice.hpp"
#include "support/await.hpp"
#include "support/clips.hpp"
#include "support/temporary_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace oavc::services {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

class Engines : public testing::Test {
protected:
    async::Shard shard{0};
    async::WorkerPool workers{2, 256};
    Config config;

    Engines() {
        config.scripted.dialogue_file =
            std::string{OAVC_SOURCE_DIR} + "/config/dialogues/demo.dialogue";
    }

    std::vector<media::Sample> speak(TtsSession& voice, std::string text) {
        auto reply = voice.speak(std::move(text));
        std::vector<media::Sample> all;
        for (;;) {
            auto chunk = test::result_of(shard, reply->next());
            if (!chunk) {
                EXPECT_EQ(chunk.error(), ServiceErrc::end_of_stream);
                return all;
            }
            EXPECT_FALSE(chunk->samples.empty());
            all.insert(all.end(), chunk->samples.begin(), chunk->samples.end());
        }
    }

    /// What a caller with this voice sounds like over a telephone line.
    static std::vector<media::Sample> over_the_phone(const std::string& text, const char* voice) {
        const auto said = *synthesize_flite(text, voice);
        const auto narrow = test::resample(said.samples, said.rate, narrowband);
        return test::resample(narrow, narrowband, wideband);
    }

    std::string recognise(
        SttStream& stream, UtteranceId id, const std::vector<media::Sample>& pcm
    ) {
        stream.begin(id);
        for (std::size_t i = 0; i < pcm.size(); i += 320) {
            const auto size = std::min<std::size_t>(320, pcm.size() - i);
            stream.push({media::Samples{pcm}.subspan(i, size), wideband});
        }
        stream.end();
        for (;;) {
            auto event = test::value_of(shard, stream.next());
            if (event.kind == SttEvent::Kind::final && event.utterance == id) return event.text;
            EXPECT_EQ(event.utterance, id);
        }
    }
};

TEST_F(Engines, ALineOfAnAdapterCarriesTheFieldsOfItsCall) {
    const test::TemporaryFolder folder;
    log::configure({.format = log::Format::json, .file = folder.file("log")});
    FliteTts flite{config.flite, workers};
    TtsOptions options;
    options.language = "tr";
    options.log = log::Logger{}.with({log::kv("call", "c-1")});
    EXPECT_EQ(
        test::result_of(shard, flite.open(shard, std::move(options))).error(),
        ServiceErrc::configuration
    );
    log::configure({});
    std::ifstream in{folder.file("log")};
    const std::string line{std::istreambuf_iterator<char>{in}, {}};
    EXPECT_THAT(line, HasSubstr(R"("call":"c-1")"));
}

TEST_F(Engines, FliteSpeaksAndStopsWhenItIsCancelled) {
    FliteTts flite{config.flite, workers};
    auto voice = test::value_of(shard, flite.open(shard, {}));
    const auto audio = speak(*voice, "Hello, and welcome.");
    EXPECT_GT(audio.size(), 16'000u / 2);
    EXPECT_GT(*std::max_element(audio.begin(), audio.end()), 1'000);
    auto reply =
        voice->speak("A long sentence that nobody wants to hear to its end, whatever it says.");
    reply.reset();
    EXPECT_GT(speak(*voice, "The next one.").size(), 1'000u)
        << "and nothing of the old one is in it";
    EXPECT_TRUE(speak(*voice, "…").empty());
}

TEST_F(Engines, FliteRefusesUnknownVoices) {
    config.flite.voice = "nobody";
    EXPECT_THAT(
        [&] { FliteTts(config.flite, workers); },
        ThrowsMessage<std::runtime_error>(HasSubstr("unknown voice 'nobody' (known: slt"))
    );
}

TEST_F(Engines, EspeakSpeaksTurkishWithoutAShell) {
    EspeakTts espeak{config.espeak};
    TtsOptions turkish;
    turkish.language = "tr-TR";
    auto voice = test::value_of(shard, espeak.open(shard, turkish));
    const auto audio = speak(*voice, "Merhaba, size nasıl yardımcı olabilirim?");
    EXPECT_GT(audio.size(), 22'050u);
    const auto quoted = speak(*voice, "'; touch /tmp/oavc; echo \" $(id) `id` -v en --help");
    EXPECT_GT(quoted.size(), 22'050u) << "it is read aloud, nothing else";
    auto dropped = voice->speak("Bunu kimse dinlemek istemiyor.");
    dropped.reset();
    EXPECT_GT(speak(*voice, "Sonraki.").size(), 1'000u);
}

TEST_F(Engines, EspeakSaysWhatIsMissing) {
    config.espeak.command = "no-such-espeak";
    EXPECT_THAT(
        [&] { EspeakTts{config.espeak}; },
        ThrowsMessage<std::runtime_error>(HasSubstr("'no-such-espeak' was not found; install"))
    );
    config.espeak = {};
    EspeakTts espeak{config.espeak};
    TtsOptions options;
    options.voice = "--version";
    EXPECT_EQ(
        test::result_of(shard, espeak.open(shard, options)).error(), ServiceErrc::configuration
    );
}

TEST_F(Engines, AVoiceThatEspeakLacksIsAnError) {
    EspeakTts espeak{config.espeak};
    TtsOptions options;
    options.voice = "klingon-of-the-north";
    auto voice = test::value_of(shard, espeak.open(shard, options));
    auto reply = voice->speak("Hello.");
    const auto error = test::result_of(shard, reply->next()).error();
    // It may notice before or after it was given the text.
    EXPECT_TRUE(error == ServiceErrc::configuration || error == ServiceErrc::unavailable);
}

TEST_F(Engines, PocketSphinxUnderstandsTheDialogueOverTheTelephone) {
    ServiceFactory factory{config, workers};
    const auto stt = factory.make_stt("pocketsphinx");
    auto stream = test::value_of(shard, stt->open(shard, {}));
    EXPECT_THAT(
        recognise(*stream, UtteranceId{1}, over_the_phone("where is my card", "rms")),
        HasSubstr("card")
    );
    EXPECT_THAT(
        recognise(*stream, UtteranceId{2}, over_the_phone("what are your opening hours", "rms")),
        HasSubstr("opening hours")
    );
}

TEST_F(Engines, PocketSphinxHearsManyCallersAtOnceAsItHearsOne) {
    ServiceFactory factory{config, workers};
    const auto stt = factory.make_stt("pocketsphinx");
    const auto audio = over_the_phone("what are your opening hours", "slt");
    std::string alone;
    {
        auto stream = test::value_of(shard, stt->open(shard, {}));
        alone = recognise(*stream, UtteranceId{1}, audio);
    }
    std::vector<std::unique_ptr<SttStream>> streams;
    for (int i = 0; i < 6; ++i)
        streams.push_back(test::value_of(shard, stt->open(shard, {})));
    for (auto& stream : streams)
        stream->begin(UtteranceId{1});
    for (std::size_t i = 0; i + 320 <= audio.size(); i += 320) {
        for (auto& stream : streams)
            stream->push({media::Samples{audio}.subspan(i, 320), wideband});
    }
    for (auto& stream : streams)
        stream->end();
    for (auto& stream : streams) {
        for (;;) {
            auto event = test::value_of(shard, stream->next());
            if (event.kind != SttEvent::Kind::final) continue;
            EXPECT_EQ(event.text, alone);
            break;
        }
    }
}

TEST_F(Engines, ACancelledUtteranceIsNeverHeardOfAndAnEmptyOneIsEmpty) {
    ServiceFactory factory{config, workers};
    const auto stt = factory.make_stt("pocketsphinx");
    auto stream = test::value_of(shard, stt->open(shard, {}));
    const auto audio = over_the_phone("where is my card", "rms");
    stream->begin(UtteranceId{1});
    stream->push({audio, wideband});
    stream->cancel();
    EXPECT_EQ(recognise(*stream, UtteranceId{2}, {}), "") << "events carry the second number only";
}

TEST_F(Engines, AStreamMayGoWhileItsAudioIsBeingDecoded) {
    ServiceFactory factory{config, workers};
    const auto stt = factory.make_stt("pocketsphinx");
    const auto audio = over_the_phone("where is my card", "rms");
    for (int i = 0; i < 5; ++i) {
        auto stream = test::value_of(shard, stt->open(shard, {}));
        stream->begin(UtteranceId{1});
        stream->push({audio, wideband});
        stream->end();
    }
    workers.stop();
    shard.context().restart();
    shard.context().poll();
}

TEST_F(Engines, ADialogueInSeveralLanguagesGivesPocketSphinxItsEnglishPhrases) {
    const auto path = std::filesystem::path{testing::TempDir()} / "two-languages.dialogue";
    std::ofstream{path} << "language tr\n[kartım nerede]\nsay Yolda.\n"
                           "language en\n[where is my card]\nsay Here.\n[*]\nsay What?\n";
    config.scripted.dialogue_file = path.string();
    ServiceFactory factory{config, workers};
    EXPECT_NE(factory.make_stt("pocketsphinx"), nullptr);
}

TEST_F(Engines, UnknownProvidersAreNamedWithTheKnownOnes) {
    ServiceFactory factory{config, workers};
    EXPECT_THAT(
        [&] { factory.make_tts("piper2"); },
        ThrowsMessage<std::runtime_error>(HasSubstr("Unknown provider: 'piper2'"))
    );
    EXPECT_THAT(
        [&] { factory.make_stt(""); }, ThrowsMessage<std::runtime_error>(HasSubstr("pocketsphinx"))
    );
}

TEST_F(Engines, AReportSaysWhereEveryRemoteProviderIs) {
    for (auto* const key :
         {&config.deepgram_stt.api_key, &config.deepgram_tts.api_key, &config.elevenlabs.api_key}) {
        *key = "secret";
    }
    const auto where = [&](std::string_view stt, std::string_view llm, std::string_view tts) {
        config.stt_provider = stt;
        config.llm_provider = llm;
        config.tts_provider = tts;
        ServiceFactory factory{config, workers};
        std::vector<std::string> all;
        if (!stt.empty()) factory.make_stt();
        if (!llm.empty()) factory.make_llm();
        if (!tts.empty()) factory.make_tts();
        for (const auto& watched : factory.watched())
            all.push_back(watched.provider->identity().where);
        return all;
    };
    for (const auto name : known_stt_providers) {
        if (name == "pocketsphinx" || name == "faster-whisper") continue;  // need their models
        const bool here = name == "scripted";
        EXPECT_THAT(where(name, {}, {}), ElementsAre(HasSubstr(here ? "" : "://"))) << name;
    }
    for (const auto name : known_llm_providers) {
        const bool here = name == "scripted";
        EXPECT_THAT(where({}, name, {}), ElementsAre(HasSubstr(here ? "" : "://"))) << name;
    }
    for (const auto name : known_tts_providers) {
        const bool here = name == "flite" || name == "espeak-ng";
        EXPECT_THAT(where({}, {}, name), ElementsAre(HasSubstr(here ? "" : "://"))) << name;
    }

    config.openai.endpoint.url = "https://user:secret@example.com/v1?key=secret";
    config.llm_fallback = "scripted";
    EXPECT_THAT(where({}, "openai", {}), ElementsAre("https://example.com/v1", ""));
}

TEST_F(Engines, AMissingDialogueIsExplained) {
    config.scripted.dialogue_file = "/nowhere/at.all";
    ServiceFactory factory{config, workers};
    EXPECT_THAT(
        [&] { factory.make_llm("scripted"); },
        ThrowsMessage<std::runtime_error>(HasSubstr("/nowhere/at.all"))
    );
}

}  // namespace
}  // namespace oavc::services
