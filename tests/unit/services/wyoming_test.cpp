#include "async/deadline.hpp"
#include "async/task_group.hpp"
#include "services/detail/wyoming_protocol.hpp"
#include "services/errors.hpp"
#include "services/stt/wyoming_stt.hpp"
#include "services/tts/detail/wyoming_exchange.hpp"
#include "services/tts/wyoming_tts.hpp"
#include "support/await.hpp"
#include "support/fake_wyoming.hpp"
#include "support/spoken.hpp"
#include "support/voice_test.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

namespace oavc::services {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

namespace json = boost::json;

// --- The protocol, from bytes -------------------------------------------------------------------

/// "type data payload" of every event in `bytes`, which come in pieces of `step`. "!": an error.
std::vector<std::string> events_in(std::string_view bytes, std::size_t step) {
    WyomingParser parser;
    std::vector<std::string> events;
    for (std::size_t at = 0; at < bytes.size(); at += step) {
        parser.feed(bytes.substr(at, step));
        for (;;) {
            const auto event = parser.next();
            if (!event) {
                EXPECT_EQ(event.error(), ServiceErrc::protocol);
                events.emplace_back("!");
                return events;
            }
            if (!*event) break;
            events.push_back(
                (*event)->type + " " + json::serialize((*event)->data) + " " +
                std::string{(*event)->payload}
            );
        }
    }
    return events;
}

/// What the reference implementation writes, byte for byte.
const std::string reference =
    "{\"type\": \"transcribe\", \"version\": \"1.9.0\", \"data_length\": 18}\n"
    "{\"language\": \"tr\"}"
    "{\"type\": \"audio-start\", \"version\": \"1.9.0\", \"data_length\": 61}\n"
    "{\"rate\": 16000, \"width\": 2, \"channels\": 1, \"timestamp\": null}"
    "{\"type\": \"audio-chunk\", \"version\": \"1.9.0\", \"data_length\": 61, "
    "\"payload_length\": 8}\n"
    "{\"rate\": 16000, \"width\": 2, \"channels\": 1, \"timestamp\": null}"
    "\n234567\n"
    "{\"type\": \"audio-stop\", \"version\": \"1.9.0\", \"data_length\": 19}\n"
    "{\"timestamp\": null}"
    "{\"type\": \"transcript\", \"version\": \"1.9.0\", \"data_length\": 26}\n"
    "{\"text\": \"Şükrü geldi\"}"
    "{\"type\": \"synthesize\", \"version\": \"1.9.0\", \"data_length\": 75}\n"
    "{\"text\": \"Merhaba. Hoş geldiniz.\", \"voice\": {\"name\": \"tr_TR-dfki-medium\"}}"
    "{\"type\": \"describe\", \"version\": \"1.9.0\"}\n"
    "{\"type\": \"error\", \"version\": \"1.9.0\", \"data_length\": 29}\n"
    "{\"text\": \"boom\", \"code\": \"x\"}";

TEST(WyomingParser, ReadsWhatTheReferenceWritesCutAnywhere) {
    for (std::size_t step = 1; step <= reference.size(); step = step < 40 ? step + 1 : step * 2) {
        EXPECT_THAT(
            events_in(reference, step),
            ElementsAre(
                R"(transcribe {"language":"tr"} )",
                R"(audio-start {"rate":16000,"width":2,"channels":1,"timestamp":null} )",
                R"(audio-chunk {"rate":16000,"width":2,"channels":1,"timestamp":null} )"
                "\n234567\n",
                R"(audio-stop {"timestamp":null} )",
                R"(transcript {"text":"Şükrü geldi"} )",
                R"(synthesize {"text":"Merhaba. Hoş geldiniz.",)"
                R"("voice":{"name":"tr_TR-dfki-medium"}} )",
                "describe {} ",
                R"(error {"text":"boom","code":"x"} )"
            )
        ) << step;
    }
}

TEST(WyomingParser, TakesDataInTheHeaderAndTheBlockWins) {
    const auto one = [](std::string_view bytes) {
        const auto events = events_in(bytes, bytes.size());
        return events.size() == 1 ? events.front() : "not one event";
    };
    EXPECT_EQ(
        one("{\"type\":\"transcribe\",\"data\":{\"language\":\"tr\"}}\n"),
        R"(transcribe {"language":"tr"} )"
    );
    EXPECT_EQ(
        one("{\"type\":\"a\",\"data\":{\"a\":1,\"b\":1},\"data_length\":7}\n{\"a\":2}"),
        R"(a {"a":2,"b":1} )"
    );
    EXPECT_EQ(
        one("{\"type\":\"a\",\"data\":null,\"data_length\":0,\"payload_length\":null}\n"), "a {} "
    );
}

TEST(WyomingParser, RefusesWhatIsNotTheProtocol) {
    for (const std::string_view bad : {
             "\n",
             "no JSON\n",
             "[]\n",
             "{}\n",
             "{\"type\":7}\n",
             "{\"type\":\"a\",\"data_length\":-1}\n",
             "{\"type\":\"a\",\"data_length\":\"7\"}\n",
             "{\"type\":\"a\",\"data_length\":1.5}\n",
             "{\"type\":\"a\",\"data_length\":1048577}\n",
             "{\"type\":\"a\",\"payload_length\":16777217}\n",
             "{\"type\":\"a\",\"payload_length\":18446744073709551615}\n",
             "{\"type\":\"a\",\"data_length\":3}\n[1]",
             "{\"type\":\"a\",\"data_length\":3}\n{a}",
         }) {
        EXPECT_THAT(events_in(bad, bad.size()), ElementsAre("!")) << bad;
    }
    const std::string endless(WyomingParser::longest_header + 2, 'x');
    EXPECT_THAT(events_in(endless, 1'000), ElementsAre("!"));
}

TEST(WyomingParser, ReadsWhatWeWrite) {
    const auto bytes = wyoming_event("audio-chunk", {{"rate", 16'000}}, "\n\n") +
                       wyoming_event("audio-stop") +
                       wyoming_event("transcript", {{"text", "Şükrü"}});
    EXPECT_THAT(
        events_in(bytes, 3),
        ElementsAre(
            "audio-chunk {\"rate\":16000} \n\n",
            "audio-stop {} ",
            "transcript {\"text\":\"Şükrü\"} "
        )
    );
}

TEST(WyomingExchange, NamesTheVoiceElseTheLanguage) {
    const auto asked = [](const WyomingVoice& voice) {
        WyomingExchange exchange{"a", voice};
        const auto request = exchange.requests().front();
        return request.substr(request.find('\n') + 1);
    };
    EXPECT_EQ(asked({}), R"({"text":"a"})");
    EXPECT_EQ(asked({"", "tr", ""}), R"({"text":"a","voice":{"language":"tr"}})");
    EXPECT_EQ(
        asked({"tr_TR-dfki-medium", "tr", "2"}),
        R"({"text":"a","voice":{"name":"tr_TR-dfki-medium","speaker":"2"}})"
    );
}

TEST(WyomingExchange, BelievesEachChunksFormatButNotAChangeOfIt) {
    std::vector<media::Sample> audio;
    WyomingExchange exchange{"a", {}};
    const auto chunk = [&](std::string_view payload, std::int64_t rate, std::int64_t width = 2) {
        const auto event =
            wyoming_event("audio-chunk", {{"rate", rate}, {"width", width}}, payload);
        return exchange.receive(event, true, audio);
    };
    EXPECT_EQ(
        exchange.receive(wyoming_event("audio-start", {{"rate", 16'000}}), true, audio),
        error_code{}
    );
    EXPECT_EQ(chunk({"\1\0\2", 3}, 22'050), error_code{});
    EXPECT_EQ(exchange.rate(), (SampleRate{22'050}));
    EXPECT_EQ(chunk({"\0\3\0", 3}, 22'050), error_code{});
    EXPECT_THAT(audio, ElementsAre(1, 2, 3)) << "a sample was cut in two";
    EXPECT_EQ(chunk({"\1\0", 2}, 8'000), ServiceErrc::protocol);
    EXPECT_EQ(chunk({"\1\0", 2}, 22'050, 4), ServiceErrc::protocol);
    EXPECT_EQ(chunk({"\1\0", 2}, 0), ServiceErrc::protocol);
}

// --- The voice ----------------------------------------------------------------------------------

using WyomingVoiceServer = test::VoiceTest<WyomingTts, WyomingTtsConfig, test::FakeWyoming>;

TEST_F(WyomingVoiceServer, SpeaksSentenceAfterSentenceAtTheServersRate) {
    auto& voice = session();
    for (const SampleRate rate : {SampleRate{22'050}, SampleRate{16'000}}) {
        for (const bool late : {false, true}) {
            server_.set({.rate = rate, .rate_in_chunks_only = late});
            const auto spoken = test::say(shard_, voice, "Merhaba.");
            EXPECT_EQ(spoken.end, ServiceErrc::end_of_stream);
            EXPECT_EQ(spoken.rate, rate);
            EXPECT_EQ(spoken.samples, test::tone_for("Merhaba.", rate));
        }
    }
    EXPECT_LE(server_.connections().total(), 2) << "one in use and one in reserve";
    EXPECT_EQ(server_.sentences().front(), R"({"text":"Merhaba.","voice":{"language":"tr"}})");
}

TEST_F(WyomingVoiceServer, TheAgentsVoiceComesBeforeTheConfigurations) {
    auto voices = config();
    voices.voice = "tr_TR-dfki-medium";
    test::say(shard_, session(voices), "Evet");
    test::say(shard_, session(voices, {"tr", "tr_TR-fahrettin-medium"}), "Evet");
    EXPECT_THAT(
        server_.sentences(),
        ElementsAre(
            R"({"text":"Evet","voice":{"name":"tr_TR-dfki-medium"}})",
            R"({"text":"Evet","voice":{"name":"tr_TR-fahrettin-medium"}})"
        )
    );
}

TEST_F(WyomingVoiceServer, NothingOfACancelledSentenceReachesTheNext) {
    server_.synthesizer(test::levels(22'050));
    server_.trouble({.pause = 2ms});
    test::expect_that_a_cancelled_sentence_is_over(shard_, session(), 22'050);
}

TEST_F(WyomingVoiceServer, FailuresAreTold) {
    auto& voice = session();
    server_.set({.error = "unknown voice"});
    EXPECT_EQ(test::say(shard_, voice, "Evet.").end, ServiceErrc::unavailable);
    server_.set({.width = 4});
    EXPECT_EQ(test::say(shard_, voice, "Evet.").end, ServiceErrc::protocol);
    server_.set({});
    server_.trouble({.garbage = true});
    EXPECT_EQ(test::say(shard_, voice, "Evet.").end, ServiceErrc::protocol);
    server_.trouble({.close_after = 4});
    const auto cut = test::say(shard_, voice, "Evet.");
    EXPECT_EQ(cut.end, ServiceErrc::unavailable);
    EXPECT_THAT(cut.samples, SizeIs(2'048)) << "two chunks came, and are played";
    server_.trouble({.drop_after = 0});
    EXPECT_EQ(test::say(shard_, voice, "Evet.").end, ServiceErrc::unavailable);
    server_.trouble({});
    EXPECT_EQ(test::say(shard_, voice, "Evet.").end, ServiceErrc::end_of_stream);
}

TEST_F(WyomingVoiceServer, AServerThatWasRestartedIsUsedAgain) {
    auto& voice = session();
    EXPECT_EQ(test::say(shard_, voice, "Evet.").end, ServiceErrc::end_of_stream);
    server_.stop();
    EXPECT_EQ(test::say(shard_, voice, "Evet.").end, ServiceErrc::unavailable);
    EXPECT_EQ(test::result_of(shard_, service_->probe(shard_)).error(), ServiceErrc::unavailable);
    server_.start();
    EXPECT_EQ(test::say(shard_, voice, "Evet.").end, ServiceErrc::end_of_stream);
    EXPECT_TRUE(test::result_of(shard_, service_->probe(shard_)).has_value());
}

TEST_F(WyomingVoiceServer, AProbeNoticesAServerThatIsFrozen) {
    server_.freeze();
    auto impatient = config();
    impatient.endpoint.connect_timeout = 50ms;
    WyomingTts service{impatient};
    EXPECT_EQ(test::result_of(shard_, service.probe(shard_)).error(), ServiceErrc::timed_out);
    server_.thaw();
}

TEST_F(WyomingVoiceServer, AnUrlOfAnotherSchemeIsAMistakeOfTheConfiguration) {
    auto wrong = config();
    wrong.endpoint.url = "ws://localhost:10200";
    EXPECT_EQ(test::say(shard_, session(wrong), "Evet.").end, ServiceErrc::configuration);
}

// --- The ear ------------------------------------------------------------------------------------

class WyomingEarServer : public ::testing::Test {
protected:
    void TearDown() override {
        stream_.reset();
        test::run_dry(shard_);
    }
    SttStream& stream(const std::string& language = "tr-TR") {
        WyomingSttConfig config;
        config.endpoint.url = server_.url();
        config.endpoint.connect_timeout = 20s;
        service_.emplace(config);
        stream_ = test::value_of(shard_, service_->open(shard_, {language}));
        return *stream_;
    }
    /// Samples count up from `first`, so that a lost or doubled one shows.
    static std::vector<media::Sample> ramp(std::size_t size, int first = 0) {
        std::vector<media::Sample> samples(size);
        for (std::size_t i = 0; i < size; ++i)
            samples[i] = static_cast<media::Sample>((first + static_cast<int>(i)) % 30'000);
        return samples;
    }
    void push(SttStream& stream, const std::vector<media::Sample>& samples) {
        for (std::size_t at = 0; at < samples.size(); at += 320) {
            const auto size = std::min<std::size_t>(320, samples.size() - at);
            stream.push({media::Samples{samples}.subspan(at, size), wideband});
        }
    }
    void utter(SttStream& stream, UtteranceId id, std::size_t samples) {
        stream.begin(id);
        push(stream, ramp(samples));
        stream.end();
    }

    async::Shard shard_{0};
    test::FakeWyoming server_;
    std::optional<WyomingStt> service_;
    std::unique_ptr<SttStream> stream_;
};

TEST_F(WyomingEarServer, HearsUtteranceAfterUtteranceEachOnAConnectionOfItsOwn) {
    auto& ear = stream();
    for (std::uint32_t i = 1; i <= 3; ++i) {
        utter(ear, UtteranceId{i}, 16'100);
        const auto event = test::value_of(shard_, ear.next());
        EXPECT_EQ(event.kind, SttEvent::Kind::final);
        EXPECT_EQ(event.utterance, UtteranceId{i});
        EXPECT_EQ(event.text, "Merhaba.");
    }
    const auto utterances = server_.utterances();
    ASSERT_THAT(utterances, SizeIs(3));
    for (const auto& heard : utterances) {
        EXPECT_EQ(heard.language, "tr");
        EXPECT_EQ(heard.audio, ramp(16'100));
        EXPECT_EQ(heard.chunks, 11u) << "100 ms each, and the rest";
    }
}

TEST_F(WyomingEarServer, SendsWhileTheCallerSpeaks) {
    auto& ear = stream();
    ear.begin(UtteranceId{1});
    push(ear, ramp(4'800));
    EXPECT_TRUE(test::run_until(shard_, [&] {
        const auto utterances = server_.utterances();
        return utterances.size() == 1 && utterances[0].chunks == 3;
    }));
    push(ear, ramp(1'600, 4'800));
    EXPECT_TRUE(test::run_until(shard_, [&] { return server_.utterances()[0].chunks == 4; }));
    EXPECT_EQ(server_.utterances()[0].audio, ramp(6'400));
}

TEST_F(WyomingEarServer, ACancelledUtteranceIsCancelledAtTheServerAndNeverHeard) {
    server_.recogniser([](const std::vector<media::Sample>& audio) {
        return std::to_string(audio.size());
    });
    auto& ear = stream();
    ear.begin(UtteranceId{1});
    push(ear, ramp(3'200));
    EXPECT_TRUE(test::run_until(shard_, [&] { return server_.utterances().size() == 1; }));
    ear.cancel();
    utter(ear, UtteranceId{2}, 1'600);
    ear.cancel();  // after its end, before its transcript
    utter(ear, UtteranceId{3}, 160);
    const auto event = test::value_of(shard_, ear.next());
    EXPECT_EQ(event.utterance, UtteranceId{3});
    EXPECT_EQ(event.text, "160");
    EXPECT_TRUE(test::run_until(shard_, [&] { return server_.connections().open() == 1; }));
}

TEST_F(WyomingEarServer, TwoUtterancesMayWaitForTheirTranscripts) {
    server_.trouble({.delay = 50ms});
    auto& ear = stream();
    utter(ear, UtteranceId{1}, 1'600);
    utter(ear, UtteranceId{2}, 1'600);
    std::vector<UtteranceId> heard;
    heard.push_back(test::value_of(shard_, ear.next()).utterance);
    heard.push_back(test::value_of(shard_, ear.next()).utterance);
    EXPECT_THAT(heard, testing::UnorderedElementsAre(UtteranceId{1}, UtteranceId{2}));
}

TEST_F(WyomingEarServer, AnUtteranceWithoutAudioHasAnEmptyTranscript) {
    server_.recogniser([](const std::vector<media::Sample>&) { return ""; });
    auto& ear = stream("");
    utter(ear, UtteranceId{1}, 0);
    EXPECT_THAT(test::value_of(shard_, ear.next()).text, IsEmpty());
    EXPECT_EQ(server_.utterances()[0].language, "");
}

TEST_F(WyomingEarServer, TellsAnUtteranceAgainWhenItsConnectionWasDead) {
    auto& ear = stream();
    EXPECT_TRUE(test::run_until(shard_, [&] { return server_.connections().open() == 1; }));
    ear.begin(UtteranceId{1});
    push(ear, ramp(8'000));
    EXPECT_TRUE(test::run_until(shard_, [&] { return server_.utterances().size() == 1; }));
    server_.stop();
    server_.start();
    EXPECT_TRUE(test::run_until(shard_, [&] { return server_.utterances().size() >= 2; }));
    push(ear, ramp(8'000, 8'000));
    ear.end();
    EXPECT_EQ(test::value_of(shard_, ear.next()).text, "Merhaba.");
    EXPECT_EQ(server_.utterances().back().audio, ramp(16'000)) << "from its beginning";
    EXPECT_GE(service_->stats().repeated, 1u);
}

TEST_F(WyomingEarServer, FailuresEndTheStream) {
    const auto outcome = [this] {
        auto& ear = stream();
        utter(ear, UtteranceId{1}, 1'600);
        return test::result_of(shard_, ear.next()).error();
    };
    server_.set({.error = "out of memory"});
    EXPECT_EQ(outcome(), ServiceErrc::unavailable);
    server_.set({});
    server_.trouble({.close_after = 2});
    EXPECT_EQ(outcome(), ServiceErrc::unavailable);
    server_.trouble({.garbage = true});
    EXPECT_EQ(outcome(), ServiceErrc::protocol);
    server_.stop();
    EXPECT_EQ(outcome(), ServiceErrc::unavailable);
}

TEST_F(WyomingEarServer, AServerThatFallsSilentCanBeLeft) {
    server_.trouble({.stall_after = 0});
    auto& ear = stream();
    utter(ear, UtteranceId{1}, 1'600);
    EXPECT_TRUE(test::result_of(shard_, async::with_deadline(ear.next(), 50ms)).has_error());
    ear.cancel();
    server_.trouble({});
    utter(ear, UtteranceId{2}, 1'600);
    EXPECT_EQ(test::value_of(shard_, ear.next()).utterance, UtteranceId{2});
}

TEST_F(WyomingEarServer, AHopelesslyLateServerIsLeft) {
    server_.trouble({.stall_after = 0});
    auto& ear = stream();
    for (std::uint32_t i = 0; i < 9; ++i)
        utter(ear, UtteranceId{i}, 160);
    EXPECT_EQ(test::result_of(shard_, ear.next()).error(), ServiceErrc::overloaded);
}

TEST_F(WyomingEarServer, AStreamMayGoWhileItIsAwaited) {
    server_.trouble({.stall_after = 0});
    auto& ear = stream();
    utter(ear, UtteranceId{1}, 1'600);
    async::TaskGroup tasks{shard_.executor(), [](std::exception_ptr) {}};
    error_code end;
    const auto wait = [](SttStream* of, error_code* into) -> asio::awaitable<void> {
        const auto event = co_await of->next();
        *into = event.error();
    };
    tasks.spawn(wait(&ear, &end));
    EXPECT_TRUE(test::run_until(shard_, [&] { return server_.utterances().size() == 1; }));
    tasks.cancel();
    stream_.reset();
    EXPECT_TRUE(test::run_until(shard_, [&] { return tasks.empty(); }));
    EXPECT_EQ(end, ServiceErrc::cancelled);
    EXPECT_TRUE(test::run_until(shard_, [&] { return server_.connections().open() == 0; }));
}

TEST_F(WyomingEarServer, ProbingAsksForADescription) {
    stream();
    EXPECT_TRUE(test::result_of(shard_, service_->probe(shard_)).has_value());
    server_.stop();
    EXPECT_EQ(test::result_of(shard_, service_->probe(shard_)).error(), ServiceErrc::unavailable);
}

}  // namespace
}  // namespace oavc::services
