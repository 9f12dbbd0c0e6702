#include "services/tts/elevenlabs.hpp"

#include "base/bytes.hpp"
#include "services/errors.hpp"
#include "support/await.hpp"
#include "support/fake_elevenlabs.hpp"
#include "support/spoken.hpp"
#include "support/tls_front.hpp"
#include "support/voice_test.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

namespace oavc::services {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

using Coding = ElevenLabsFormat::Coding;

// --- The protocol, from bytes -------------------------------------------------------------------

TEST(ElevenLabsFormats, AreThoseThatNeedNoDecoder) {
    EXPECT_EQ(parse_elevenlabs_format("ulaw_8000")->coding, Coding::ulaw);
    EXPECT_EQ(parse_elevenlabs_format("alaw_8000")->coding, Coding::alaw);
    EXPECT_EQ(parse_elevenlabs_format("pcm_22050")->rate, (SampleRate{22'050}));
    for (const auto bad :
         {"mp3_44100_128", "opus_48000_64", "pcm_", "pcm_12345", "pcm_8000x", "ulaw_16000", ""}) {
        EXPECT_FALSE(parse_elevenlabs_format(bad)) << bad;
    }
}

TEST(ElevenLabsExchange, SendsTheSettingsTheSentenceAndTheEnd) {
    ElevenLabsExchange exchange{"Hoş geldiniz.", {.speed = 1.1}, {}};
    EXPECT_THAT(
        exchange.requests(),
        ElementsAre(
            R"({"text":" ","voice_settings":{"stability":0.5,"similarity_boost":0.8,"speed":1.1}})",
            R"({"text":"Hoş geldiniz. ","flush":true})",
            R"({"text":""})"
        )
    );
}

error_code tell(
    ElevenLabsExchange& exchange, std::string_view message, std::vector<media::Sample>& audio
) {
    return exchange.receive(message, false, audio);
}

TEST(ElevenLabsExchange, TakesAudioInEveryFormOfItsMessages) {
    ElevenLabsExchange exchange{"a", {}, {Coding::pcm, {16'000}}};
    std::vector<media::Sample> audio;
    // Three bytes and one: a sample is cut in two.
    EXPECT_EQ(
        tell(exchange, R"({"audio":"AQAC","isFinal":null,"alignment":null})", audio), error_code{}
    );
    EXPECT_EQ(tell(exchange, R"({"audio":"AA==","isFinal":false})", audio), error_code{});
    EXPECT_EQ(tell(exchange, R"({"audio":null})", audio), error_code{});
    EXPECT_EQ(tell(exchange, R"({"audio":""})", audio), error_code{});
    EXPECT_EQ(tell(exchange, "no JSON", audio), error_code{});
    EXPECT_THAT(audio, ElementsAre(1, 2));
    EXPECT_EQ(
        tell(exchange, R"({"audio":"AwA=","isFinal":true})", audio), ServiceErrc::end_of_stream
    );
    EXPECT_THAT(audio, ElementsAre(1, 2, 3));
    EXPECT_EQ(tell(exchange, R"({"audio":"!!!"})", audio), ServiceErrc::protocol);
}

TEST(ElevenLabsExchange, DecodesTelephoneAudio) {
    std::vector<media::Sample> audio;
    ElevenLabsExchange ulaw{"a", {}, {Coding::ulaw, narrowband}};
    tell(ulaw, R"({"audio":"/4A="})", audio);
    EXPECT_THAT(audio, ElementsAre(0, 32124));
    audio.clear();
    ElevenLabsExchange alaw{"a", {}, {Coding::alaw, narrowband}};
    tell(alaw, R"({"audio":"1Q=="})", audio);
    EXPECT_THAT(audio, ElementsAre(8));
}

TEST(ElevenLabsExchange, SaysWhatKindOfErrorItWas) {
    const std::vector<std::pair<std::string, error_code>> errors{
        {"quota_exceeded", make_error_code(ServiceErrc::rejected)},
        {"invalid_api_key", make_error_code(ServiceErrc::rejected)},
        {"voice_id_does_not_exist", make_error_code(ServiceErrc::rejected)},
        {"max_character_limit_exceeded", make_error_code(ServiceErrc::rejected)},
        {"invalid_input_message", make_error_code(ServiceErrc::rejected)},
        {"too_many_concurrent_requests", make_error_code(ServiceErrc::overloaded)},
        {"system_busy", make_error_code(ServiceErrc::overloaded)},
        {"something_new", make_error_code(ServiceErrc::unavailable)},
        {"input_timeout_exceeded", error_code{}},  // the close frame is what counts
    };
    for (const auto& [name, meaning] : errors) {
        ElevenLabsExchange exchange{"a", {}, {}};
        std::vector<media::Sample> audio;
        EXPECT_EQ(
            tell(
                exchange, R"({"message":"Because.","error":")" + name + R"(","code":1008})", audio
            ),
            meaning
        ) << name;
        EXPECT_EQ(exchange.complaint(), "Because.");
    }
}

TEST(ElevenLabsExchange, AnOrderlyCloseAfterAudioIsTheEnd) {
    ElevenLabsExchange exchange{"a", {}, {}};
    EXPECT_EQ(exchange.on_close(1000), ServiceErrc::unavailable) << "nothing was said";
    std::vector<media::Sample> audio;
    tell(exchange, R"({"audio":"/4A="})", audio);
    EXPECT_EQ(exchange.on_close(1000), ServiceErrc::end_of_stream);
    EXPECT_EQ(exchange.on_close(1008), ServiceErrc::unavailable);
    EXPECT_EQ(exchange.on_close(1009), ServiceErrc::rejected);
    EXPECT_EQ(exchange.on_close(0), ServiceErrc::unavailable);
}

TEST(ElevenLabsUrl, NamesVoiceModelFormatAndLanguage) {
    ElevenLabsConfig config;
    const auto url = elevenlabs_url(config, "v1", "tr-TR");
    EXPECT_EQ(
        url,
        "wss://api.elevenlabs.io/v1/text-to-speech/v1/stream-input?model_id=eleven_flash_v2_5"
        "&output_format=ulaw_8000&inactivity_timeout=180&auto_mode=true&language_code=tr"
    );
    config.model = "eleven_multilingual_v2";
    EXPECT_THAT(elevenlabs_url(config, "v1", "tr"), Not(HasSubstr("language_code")));
    EXPECT_THAT(elevenlabs_url(config, "", "tr"), IsEmpty());
    EXPECT_THAT(elevenlabs_url(config, "../x?y", "tr"), IsEmpty());
}

// --- Against a server ---------------------------------------------------------------------------

class ElevenLabs : public test::VoiceTest<ElevenLabsTts, ElevenLabsConfig, test::FakeElevenLabs> {
protected:
    ElevenLabsConfig config() const override {
        auto made = VoiceTest::config();
        made.endpoint.url = server_.base_url();
        made.api_key = "secret";
        made.voice_id = "voice1";
        made.output_format = "pcm_16000";
        return made;
    }
};

TEST_F(ElevenLabs, SpeaksInEveryFormat) {
    const auto wide = test::say(shard_, session(), "Merhaba.");
    EXPECT_EQ(wide.end, ServiceErrc::end_of_stream);
    EXPECT_EQ(wide.rate, wideband);
    EXPECT_EQ(wide.samples, test::tone_for("Merhaba. ", wideband));
    for (const auto format : {"ulaw_8000", "alaw_8000"}) {
        auto telephone = config();
        telephone.output_format = format;
        const auto spoken = test::say(shard_, session(telephone), "Merhaba.");
        EXPECT_EQ(spoken.end, ServiceErrc::end_of_stream);
        EXPECT_EQ(spoken.rate, narrowband);
        const auto tone = test::tone_for("Merhaba. ", narrowband);
        ASSERT_THAT(spoken.samples, SizeIs(tone.size()));
        for (std::size_t i = 0; i < tone.size(); ++i)
            ASSERT_LT(std::abs(spoken.samples[i] - tone[i]), 300) << format << " " << i;
    }
}

TEST_F(ElevenLabs, EverySentenceHasAConnectionOfItsOwn) {
    auto& voice = session();
    for (const auto sentence : {"Bir.", "İki.", "Üç."})
        EXPECT_EQ(test::say(shard_, voice, sentence).end, ServiceErrc::end_of_stream);
    const auto sessions = server_.sessions();
    ASSERT_THAT(sessions, SizeIs(3));
    EXPECT_THAT(sessions, Each(SizeIs(3)));
    EXPECT_EQ(sessions[1][1], R"({"text":"İki. ","flush":true})");
    EXPECT_EQ(server_.handshakes().back().header("xi-api-key"), "secret");
}

TEST_F(ElevenLabs, TheEndMayBeMissingBeforeAnOrderlyClose) {
    server_.set({.final_message = false, .chunk_bytes = 333});
    const auto spoken = test::say(shard_, session(), "Merhaba.");
    EXPECT_EQ(spoken.end, ServiceErrc::end_of_stream);
    EXPECT_EQ(spoken.samples, test::tone_for("Merhaba. ", wideband)) << "samples cut in two";
}

TEST_F(ElevenLabs, NothingOfACancelledSentenceReachesTheNext) {
    server_.synthesizer(test::levels(8'000));
    server_.trouble({.pause = 5ms});
    test::expect_that_a_cancelled_sentence_is_over(shard_, session(), 8'000);
}

TEST_F(ElevenLabs, ErrorsKeysAndBrokenConnectionsAreTold) {
    server_.set({.error = R"({"message":"You have no credits.","error":"quota_exceeded"})"});
    EXPECT_EQ(test::say(shard_, session(), "Bir.").end, ServiceErrc::rejected);
    server_.set({});
    server_.trouble({.close_after = 2, .close_code = 1011});
    const auto cut = test::say(shard_, session(), "Bir.");
    EXPECT_EQ(cut.end, ServiceErrc::unavailable);
    EXPECT_THAT(cut.samples, SizeIs(1'000)) << "what came is played";
    server_.trouble({});
    auto wrong = config();
    wrong.api_key = "guess";
    EXPECT_EQ(test::say(shard_, session(wrong), "Bir.").end, ServiceErrc::rejected);
    EXPECT_EQ(test::result_of(shard_, service_->probe(shard_)).error(), ServiceErrc::rejected);
}

TEST_F(ElevenLabs, IdleConnectionsThatTheServerClosesAreReplaced) {
    server_.set({.idle_limit = 30ms});
    auto& voice = session();
    EXPECT_TRUE(test::run_until(shard_, [&] { return server_.connections().total() >= 3; }));
    EXPECT_EQ(test::say(shard_, voice, "Bir.").end, ServiceErrc::end_of_stream);
}

TEST_F(ElevenLabs, GarbageIsIgnoredAndProbingWorks) {
    server_.trouble({.garbage = true});
    EXPECT_EQ(test::say(shard_, session(), "Bir.").end, ServiceErrc::end_of_stream);
    EXPECT_TRUE(test::result_of(shard_, service_->probe(shard_)).has_value());
}

TEST_F(ElevenLabs, WorksBehindTls) {
    const test::SelfMadeCertificate certificate{testing::TempDir(), "localhost"};
    const test::TlsFront front{certificate, server_.port()};
    auto secure = config();
    secure.endpoint.url = "wss://localhost:" + std::to_string(front.port()) + "/";
    secure.endpoint.tls.ca_file = certificate.certificate_file;
    secure.endpoint.connect_timeout = 20s;
    EXPECT_EQ(test::say(shard_, session(secure), "Bir.").end, ServiceErrc::end_of_stream);
    session_.reset();
    test::run_dry(shard_);
}

TEST_F(ElevenLabs, AVoiceIsNeeded) {
    auto voiceless = config();
    voiceless.voice_id.clear();
    ElevenLabsTts service{voiceless};
    EXPECT_EQ(
        test::result_of(shard_, service.open(shard_, {})).error(), ServiceErrc::configuration
    );
    EXPECT_TRUE(test::result_of(shard_, service.open(shard_, {"", "voice1"})).has_value());
    test::run_dry(shard_);
}

TEST(ElevenLabsConfigured, RefusesWhatCannotWork) {
    ElevenLabsConfig config;
    EXPECT_THROW(ElevenLabsTts{config}, std::runtime_error) << "no key";
    config.api_key = "secret";
    EXPECT_NO_THROW(ElevenLabsTts{config});
    config.output_format = "mp3_44100_128";
    EXPECT_THROW(ElevenLabsTts{config}, std::runtime_error);
}

}  // namespace
}  // namespace oavc::services
