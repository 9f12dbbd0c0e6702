#include "services/tts/piper.hpp"

#include "async/deadline.hpp"
#include "async/task_group.hpp"
#include "base/bytes.hpp"
#include "services/errors.hpp"
#include "services/tts/detail/pcm_stream.hpp"
#include "services/tts/detail/piper_exchange.hpp"
#include "support/await.hpp"
#include "support/fake_piper.hpp"
#include "support/spoken.hpp"
#include "support/tls_front.hpp"
#include "support/voice_test.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace oavc::services {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr SampleRate medium{22'050};

// --- The protocol, from bytes -------------------------------------------------------------------

std::string pcm(std::initializer_list<int> samples) {
    std::vector<media::Sample> values;
    for (const int sample : samples)
        values.push_back(static_cast<media::Sample>(sample));
    return test::bytes_of(values);
}

TEST(PcmStream, TakesAudioCutAnywhere) {
    const std::string bytes = pcm({1, -2, 300, -32768, 32767});
    for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
        PcmStream stream{medium};
        std::vector<media::Sample> samples;
        EXPECT_TRUE(stream.feed(as_bytes(bytes.substr(0, cut)), samples));
        EXPECT_TRUE(stream.feed(as_bytes(bytes.substr(cut)), samples));
        EXPECT_THAT(samples, ElementsAre(1, -2, 300, -32768, 32767)) << cut;
        EXPECT_EQ(stream.rate(), medium);
    }
}

std::string wav_header(SampleRate rate) {
    const auto u32 = [](std::uint32_t value) {
        std::string text;
        for (int i = 0; i < 4; ++i)
            text += static_cast<char>(value >> (8 * i) & 0xFF);
        return text;
    };
    return "RIFF" + u32(0xFFFFFFFF) + "WAVEfmt " + u32(16) + std::string{"\1\0\1\0", 4} +
           u32(rate.hz) + u32(rate.hz * 2) + std::string{"\2\0\20\0", 4} + "data" + u32(0xFFFFFFFF);
}

TEST(PcmStream, UnderstandsAWavFileWhereNoneWasExpected) {
    const std::string bytes = wav_header({16'000}) + pcm({7, 8, 9});
    for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
        PcmStream stream{medium};
        std::vector<media::Sample> samples;
        EXPECT_TRUE(stream.feed(as_bytes(bytes.substr(0, cut)), samples));
        EXPECT_TRUE(stream.feed(as_bytes(bytes.substr(cut)), samples));
        EXPECT_THAT(samples, ElementsAre(7, 8, 9)) << cut;
        EXPECT_EQ(stream.rate(), (SampleRate{16'000}));
    }
}

TEST(PiperExchange, AsksAsTheServersNewestClientDoes) {
    PiperExchange exchange{"Hoş geldiniz", "tr_TR-dfki-medium", medium};
    EXPECT_THAT(
        exchange.requests(),
        ElementsAre(
            R"({"text":"Hoş geldiniz","voice":"tr_TR-dfki-medium","sample_rate":22050,"format":"pcm16"})"
        )
    );
    PiperExchange voiceless{"a", "", {16'000}};
    EXPECT_THAT(
        voiceless.requests(), ElementsAre(R"({"text":"a","sample_rate":16000,"format":"pcm16"})")
    );
}

error_code tell(PiperExchange& exchange, std::string_view text) {
    std::vector<media::Sample> audio;
    const auto end = exchange.receive(text, false, audio);
    EXPECT_THAT(audio, IsEmpty());
    return end;
}

TEST(PiperExchange, KnowsEverySpelling) {
    const std::vector<std::string> going_on{
        R"({"type":"connected","message":"ready"})",
        R"({"type":"start"})",
        R"({"type":"audio_start"})",
        R"({"status":"started"})",
        R"({"type":"progress"})",
        "not JSON",
        "[]",
        "7",
        "",
        R"({"type":3})"};
    const std::vector<std::string> ends{
        R"({"type":"end"})",
        R"({"type":"audio_end"})",
        R"({"status":"completed"})",
        R"({"status":"completed","type":"whatever"})",
        R"({"status":"completed","error":null})"};
    const std::vector<std::string> errors{
        R"({"type":"error","message":"no such voice"})", R"({"error":"no such voice"})"};
    PiperExchange exchange{"a", "", medium};
    for (const auto& text : going_on)
        EXPECT_EQ(tell(exchange, text), error_code{}) << text;
    for (const auto& text : ends)
        EXPECT_EQ(tell(exchange, text), ServiceErrc::end_of_stream) << text;
    for (const auto& text : errors) {
        PiperExchange failing{"a", "", medium};
        EXPECT_EQ(tell(failing, text), ServiceErrc::unavailable) << text;
        EXPECT_EQ(failing.complaint(), "no such voice");
    }
}

TEST(PiperExchange, BelievesARateThatTheServerNames) {
    PiperExchange exchange{"a", "", medium};
    EXPECT_EQ(exchange.rate(), medium);
    tell(exchange, R"({"type":"start","sample_rate":16000})");
    EXPECT_EQ(exchange.rate(), (SampleRate{16'000}));
    tell(exchange, R"({"type":"start","sample_rate":3})");
    tell(exchange, R"({"type":"start","sample_rate":"8000"})");
    tell(exchange, R"({"type":"start","sample_rate":99999999999})");
    EXPECT_EQ(exchange.rate(), (SampleRate{16'000})) << "nonsense changes nothing";
}

// --- Against a server ---------------------------------------------------------------------------

using Piper = test::VoiceTest<PiperTts, PiperConfig, test::FakePiper>;

TEST_F(Piper, SpeaksWhateverTheServersManner) {
    using Manner = test::FakePiper::Manner;
    const std::vector<Manner> manners{
        {},
        {.greeting = "", .start = R"({"type":"audio_start"})", .end = R"({"type":"audio_end"})"},
        {.start = R"({"status":"started"})", .end = R"({"status":"completed"})"},
        {.start = "", .frame_bytes = 1377},
        {.greet_late = true},
    };
    for (const auto& manner : manners) {
        server_.set(manner);
        const auto spoken = test::say(shard_, session(), "Merhaba.");
        EXPECT_EQ(spoken.end, ServiceErrc::end_of_stream);
        EXPECT_EQ(spoken.rate, medium);
        EXPECT_EQ(spoken.samples, test::tone_for("Merhaba.", medium));
    }
}

TEST_F(Piper, TheAgentsVoiceComesBeforeTheConfigurations) {
    test::say(shard_, session(config(), {"tr", "tr_TR-fahrettin-medium"}), "  Evet\n");
    test::say(shard_, session(), "Evet");
    const auto requests = server_.requests();
    ASSERT_THAT(requests, SizeIs(2));
    EXPECT_THAT(requests[0], HasSubstr(R"("text":"Evet")"));
    EXPECT_THAT(requests[0], HasSubstr("tr_TR-fahrettin-medium"));
    EXPECT_THAT(requests[1], HasSubstr("tr_TR-dfki-medium"));
}

TEST_F(Piper, WhatNobodyCanPronounceIsNotSent) {
    for (const auto* text : {" … ?! ", " ?! ", "😊"}) {
        EXPECT_EQ(test::say(shard_, session(), text).end, ServiceErrc::end_of_stream);
        EXPECT_THAT(server_.requests(), SizeIs(0)) << text;
    }
}

TEST_F(Piper, OneConnectionCarriesSentenceAfterSentence) {
    auto& voice = session();
    for (int i = 0; i < 5; ++i)
        EXPECT_EQ(test::say(shard_, voice, "Evet.").end, ServiceErrc::end_of_stream);
    EXPECT_LE(server_.connections().total(), 2) << "one in use and one in reserve";
}

TEST_F(Piper, NothingOfACancelledSentenceReachesTheNext) {
    server_.synthesizer(test::levels(22'050));
    server_.trouble({.pause = 5ms});
    auto& voice = session();
    for (int i = 0; i < 3; ++i)
        test::expect_that_a_cancelled_sentence_is_over(shard_, voice, 22'050);
}

TEST_F(Piper, ACancelledSentenceIsCancelledAtTheServer) {
    server_.trouble({.stall_after = 2});
    auto& voice = session();
    auto reply = voice.speak("Merhaba.");
    EXPECT_TRUE(test::result_of(shard_, reply->next()).has_value());
    EXPECT_TRUE(test::run_until(shard_, [&] { return server_.connections().open() == 2; }));
    reply.reset();
    EXPECT_TRUE(test::run_until(shard_, [&] { return server_.connections().open() == 1; }));
}

TEST_F(Piper, SentencesAskedForTogetherComeInOrder) {
    server_.synthesizer(test::levels(22'050));
    auto& voice = session();
    const auto first = voice.speak("1");
    auto second = voice.speak("2");
    const auto third = voice.speak("3");
    async::TaskGroup tasks{shard_.executor(), [](std::exception_ptr) {}};
    std::vector<int> heard;
    const auto listen = [](TtsReply* reply, std::vector<int>* into) -> asio::awaitable<void> {
        const auto spoken = co_await test::read_all(*reply);
        if (!spoken.samples.empty()) into->push_back(spoken.samples.front());
    };
    tasks.spawn(listen(third.get(), &heard));
    tasks.spawn(listen(first.get(), &heard));
    second.reset();  // nobody wants it any more
    EXPECT_TRUE(test::run_until(shard_, [&] { return tasks.empty(); }));
    EXPECT_THAT(heard, ElementsAre('1', '3'));
    EXPECT_THAT(server_.requests(), SizeIs(2));
}

TEST_F(Piper, AnErrorEndsTheSentenceAndNothingElse) {
    auto& voice = session();
    for (const auto error : {R"({"type":"error","message":"boom"})", R"({"error":"boom"})"}) {
        test::FakePiper::Manner manner;
        manner.error = error;
        server_.set(manner);
        EXPECT_EQ(test::say(shard_, voice, "Evet.").end, ServiceErrc::unavailable) << error;
        server_.set({});
        EXPECT_EQ(test::say(shard_, voice, "Evet.").end, ServiceErrc::end_of_stream) << error;
    }
}

TEST_F(Piper, AConnectionThatEndsInMidSentenceIsAnError) {
    server_.trouble({.close_after = 3});
    const auto spoken = test::say(shard_, session(), "Merhaba.");
    EXPECT_EQ(spoken.end, ServiceErrc::unavailable);
    EXPECT_THAT(spoken.samples, SizeIs(4096)) << "what came is played: two messages of audio";

    server_.trouble({.pause = 10ms, .drop_after = 3});
    EXPECT_EQ(test::say(shard_, session(), "Merhaba.").end, ServiceErrc::unavailable);
}

TEST_F(Piper, AConnectionThatIsDeadWhenItIsTakenIsReplacedOnce) {
    server_.trouble({.drop_after = 0});
    EXPECT_EQ(test::say(shard_, session(), "Evet.").end, ServiceErrc::unavailable);
    EXPECT_THAT(server_.requests(), SizeIs(2));
}

TEST_F(Piper, AServerThatFallsSilentCanBeLeft) {
    server_.trouble({.stall_after = 1});
    auto& voice = session();
    auto reply = voice.speak("Merhaba.");
    const auto late = test::result_of(shard_, async::with_deadline(reply->next(), 50ms));
    EXPECT_TRUE(late.has_error());
    reply.reset();
    server_.trouble({});
    EXPECT_EQ(test::say(shard_, voice, "Evet.").end, ServiceErrc::end_of_stream);
}

TEST_F(Piper, ASessionMayGoWhileItsReplyIsAwaited) {
    server_.trouble({.stall_after = 1});
    auto& voice = session();
    auto reply = voice.speak("Merhaba.");
    async::TaskGroup tasks{shard_.executor(), [](std::exception_ptr) {}};
    bool ended = false;
    const auto wait = [](TtsReply* of, bool* done) -> asio::awaitable<void> {
        const auto chunk = co_await of->next();
        EXPECT_EQ(chunk.error(), ServiceErrc::cancelled);
        *done = true;
    };
    tasks.spawn(wait(reply.get(), &ended));
    EXPECT_TRUE(test::run_until(shard_, [&] { return !server_.requests().empty(); }));
    tasks.cancel();
    reply.reset();
    session_.reset();
    EXPECT_TRUE(test::run_until(shard_, [&] { return tasks.empty(); }));
    EXPECT_TRUE(ended);
}

TEST_F(Piper, HalfAMinuteInOneMessageComesInPieces) {
    server_.synthesizer([](const std::string&) {
        return std::vector<media::Sample>(30 * medium.hz, 5);
    });
    server_.set({.frame_bytes = 30 * 2 * medium.hz});
    const auto spoken = test::say(shard_, session(), "Merhaba.");
    EXPECT_EQ(spoken.end, ServiceErrc::end_of_stream);
    EXPECT_THAT(spoken.samples, SizeIs(30 * medium.hz));
    EXPECT_LE(spoken.longest_chunk, medium.hz / 2);
}

TEST_F(Piper, AWavFileIsPlayedAtItsOwnRate) {
    server_.set({.wav_header = wav_header({16'000})});
    const auto spoken = test::say(shard_, session(), "Evet.");
    EXPECT_EQ(spoken.end, ServiceErrc::end_of_stream);
    EXPECT_EQ(spoken.rate, wideband);
    EXPECT_EQ(spoken.samples, test::tone_for("Evet.", medium));
}

TEST_F(Piper, GarbageBetweenMessagesIsIgnored) {
    server_.trouble({.garbage = true});
    const auto spoken = test::say(shard_, session(), "Evet.");
    EXPECT_EQ(spoken.end, ServiceErrc::end_of_stream);
    EXPECT_EQ(spoken.samples, test::tone_for("Evet.", medium));
}

TEST_F(Piper, AServerThatWasRestartedIsUsedAgain) {
    auto& voice = session();
    EXPECT_EQ(test::say(shard_, voice, "Evet.").end, ServiceErrc::end_of_stream);
    server_.stop();
    EXPECT_EQ(test::say(shard_, voice, "Evet.").end, ServiceErrc::unavailable);
    server_.start();
    EXPECT_EQ(test::say(shard_, voice, "Evet.").end, ServiceErrc::end_of_stream);
}

TEST_F(Piper, ARefusedHandshakeSaysWhatKindOfFailureItIs) {
    server_.refuse(503);
    EXPECT_EQ(test::say(shard_, session(), "Evet.").end, ServiceErrc::overloaded);
    server_.refuse(404);
    EXPECT_EQ(test::say(shard_, session(), "Evet.").end, ServiceErrc::rejected);
    EXPECT_EQ(test::result_of(shard_, service_->probe(shard_)).error(), ServiceErrc::rejected);
    server_.refuse(0);
    EXPECT_TRUE(test::result_of(shard_, service_->probe(shard_)).has_value());
}

TEST_F(Piper, AFrozenServerIsNoticedWithinTheConnectTimeout) {
    server_.freeze();
    auto impatient = config();
    impatient.endpoint.connect_timeout = 50ms;
    EXPECT_EQ(test::say(shard_, session(impatient), "Evet.").end, ServiceErrc::timed_out);
    EXPECT_EQ(test::result_of(shard_, service_->probe(shard_)).error(), ServiceErrc::timed_out);
    server_.thaw();
}

TEST_F(Piper, WorksBehindTls) {
    const test::SelfMadeCertificate certificate{testing::TempDir(), "localhost"};
    const test::TlsFront front{certificate, server_.port()};
    auto secure = config();
    secure.endpoint.url = "wss://localhost:" + std::to_string(front.port()) + "/tts";
    secure.endpoint.tls.ca_file = certificate.certificate_file;
    secure.endpoint.connect_timeout = 20s;
    EXPECT_EQ(test::say(shard_, session(secure), "Evet.").end, ServiceErrc::end_of_stream);
    secure.endpoint.tls.ca_file.clear();
    EXPECT_EQ(test::say(shard_, session(secure), "Evet.").end, ServiceErrc::unavailable)
        << "a certificate that nobody vouches for";
    session_.reset();
    test::run_dry(shard_);
}

TEST(PiperConfigured, RefusesAnImpossibleRate) {
    PiperConfig config;
    config.sample_rate = 22;
    EXPECT_THROW(PiperTts{config}, std::runtime_error);
}

}  // namespace
}  // namespace oavc::services
