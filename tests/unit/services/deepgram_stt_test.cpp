#include "async/deadline.hpp"
#include "services/errors.hpp"
#include "services/stt/deepgram.hpp"
#include "services/stt/detail/deepgram_listen.hpp"
#include "support/await.hpp"
#include "support/fake_deepgram.hpp"
#include "support/marked_audio.hpp"
#include "support/socket_recorder.hpp"
#include "support/stt_call_test.hpp"
#include "support/tls_front.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace oavc::services {
namespace {

using deepgram::Listener;
using test::FakeDeepgram;
using test::marked_audio;
using test::words_of_marks;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Outcome = Listener::Outcome;

// --- Protocol -----------------------------------------------------------------------------------

TEST(DeepgramListen, TheQueryIsEncodedAndNamesOnlyWhatIsSet) {
    DeepgramSttConfig config;
    EXPECT_EQ(
        deepgram::listen_url(config, "tr-TR"),
        "wss://api.deepgram.com/v1/listen?model=nova-3&encoding=linear16&sample_rate=16000"
        "&channels=1&interim_results=true&endpointing=300&language=tr"
    );
    config.endpoint.url = "ws://here/v1/listen?tag=a";
    config.model = "nova-2";
    config.language = "en-GB";
    config.endpointing = 0ms;
    config.smart_format = true;
    config.keyterms = {"kredi kartı", "a&b=c"};
    EXPECT_EQ(
        deepgram::listen_url(config, "tr"),
        "ws://here/v1/listen?tag=a&model=nova-2&encoding=linear16&sample_rate=16000&channels=1"
        "&interim_results=true&endpointing=false&language=en-GB&smart_format=true"
        "&keywords=kredi%20kart%C4%B1&keywords=a%26b%3Dc"
    );
}

TEST(DeepgramListen, ResultsAreReadAndWhatIsMissingIsEmpty) {
    using Kind = deepgram::Message::Kind;
    const auto full = deepgram::parse_message(
        R"({"type":"Results","channel_index":[0,1],"duration":1.02,"start":3.10,"is_final":true,)"
        R"("speech_final":false,"from_finalize":true,"channel":{"alternatives":[{"transcript":)"
        R"("merhaba ben","confidence":0.97,"words":[{"word":"merhaba","start":3.2,"end":3.6,)"
        R"("confidence":0.98,"punctuated_word":"Merhaba"}]}]},"metadata":{"request_id":"1-2"}})"
    );
    ASSERT_TRUE(full);
    EXPECT_EQ(full->kind, Kind::results);
    EXPECT_EQ(full->text, "merhaba ben");
    EXPECT_EQ(full->begin, 3'100ms);
    EXPECT_EQ(full->end, 4'120ms);
    EXPECT_TRUE(full->is_final);
    EXPECT_TRUE(full->from_finalize);
    EXPECT_EQ(full->request_id, "1-2");
    ASSERT_EQ(full->words.size(), 1u);
    EXPECT_EQ(full->words[0].begin, 3'200ms);

    for (const auto bare :
         {R"({"type":"Results"})",
          R"({"type":"Results","channel":{"alternatives":[]}})",
          R"({"type":"Results","channel":{"alternatives":[{"transcript":7,"words":[1]}]}})"}) {
        const auto message = deepgram::parse_message(bare);
        ASSERT_TRUE(message) << bare;
        EXPECT_EQ(message->kind, Kind::results) << bare;
        EXPECT_EQ(message->text, "") << bare;
        EXPECT_FALSE(message->is_final) << bare;
    }
    for (const auto other :
         {"{}",
          R"({"type":"UtteranceEnd","channel":[0,1],"last_word_end":-1})",
          R"({"type":"SpeechStarted","channel":[0],"timestamp":3.05})",
          R"({"type":"Metadata","request_id":"x"})"}) {
        const auto message = deepgram::parse_message(other);
        ASSERT_TRUE(message) << other;
        EXPECT_EQ(message->kind, Kind::other) << other;
    }
    EXPECT_EQ(
        deepgram::parse_message(R"({"type":"Error","description":"d","code":"c"})")->kind,
        Kind::error
    );
    for (const auto bad : {"", "x", "[]", "{", "<html>"})
        EXPECT_EQ(deepgram::parse_message(bad).error(), ServiceErrc::protocol) << bad;
}

/// One connection from its handshake on; the first 100 ms on it are silence.
class DeepgramListener : public ::testing::Test {
protected:
    void SetUp() override {
        listener.attach();
        listener.pump(socket, now);
        socket.sent.clear();
    }
    void push(milliseconds length) {
        listener.push(marked_audio(1, samples_in(length, wideband)));
        listener.pump(socket, now);
    }
    void end() {
        listener.end();
        listener.pump(socket, now);
    }
    /// Seconds since the beginning of the connection.
    void results(
        double begin, double end_, std::string_view text, bool is_final, bool from_finalize = false
    ) {
        const auto json = fmt::format(
            R"({{"type":"Results","start":{},"duration":{},"is_final":{},"speech_final":{},)"
            R"("from_finalize":{},"channel":{{"alternatives":[{{"transcript":"{}"}}]}}}})",
            begin,
            end_ - begin,
            is_final,
            is_final,
            from_finalize,
            text
        );
        EXPECT_EQ(listener.on_message(json, now), Outcome::ok);
    }
    /// "1: text" for interims, "1= text" for finals.
    std::vector<std::string> events() {
        std::vector<std::string> all;
        while (const auto event = listener.next_event()) {
            const bool final = event->kind == SttEvent::Kind::final;
            all.push_back(
                fmt::format("{}{} {}", event->utterance.value, final ? '=' : ':', event->text)
            );
        }
        return all;
    }

    Listener listener{100ms};
    test::SocketRecorder socket;
    TimePoint now{TimePoint{} + 1h};
};

TEST_F(DeepgramListener, AFinalResultIsNotTheEndOfTheUtterance) {
    listener.begin({1});
    push(500ms);
    results(0, 0.2, "", false);
    results(0, 0.3, "merhaba", false);
    results(0, 0.3, "merhaba", true);
    results(0.3, 0.4, "", true);
    results(0.3, 0.5, "ben", false);
    results(0.3, 0.5, "bengi", false);
    EXPECT_THAT(events(), ElementsAre("1: merhaba bengi")) << "newer ones replace what is unread";
    results(0.3, 0.6, "ben geldim", true);
    EXPECT_EQ(
        listener.on_message(R"({"type":"UtteranceEnd","last_word_end":0.6})", now), Outcome::ok
    );
    EXPECT_THAT(events(), ElementsAre("1: merhaba ben geldim")) << "our side says when it is over";
    push(200ms);
    end();
    results(0.6, 0.8, "evet", true, true);
    EXPECT_THAT(events(), ElementsAre("1= merhaba ben geldim evet"));
    EXPECT_FALSE(listener.busy());
}

TEST_F(DeepgramListener, EverySecondOfAudioIsAskedForOnce) {
    listener.begin({1});
    push(250ms);
    end();
    end();
    EXPECT_THAT(
        socket.sent,
        ElementsAre("1600 samples", "1600 samples", "800 samples", R"({"type":"Finalize"})")
    );
}

TEST_F(DeepgramListener, AFinalizeWithoutAnswerIsLimited) {
    listener.begin({1});
    push(300ms);
    results(0, 0.3, "merhaba", false);
    end();
    events();
    EXPECT_EQ(listener.next_deadline(), now + Listener::finalize_limit);
    listener.on_time(now + Listener::finalize_limit - 1ms);
    EXPECT_THAT(events(), IsEmpty());
    listener.on_time(now + Listener::finalize_limit);
    EXPECT_THAT(events(), ElementsAre("1= merhaba"));
}

TEST_F(DeepgramListener, SilenceOfTheServerIsNoEmptyFinal) {
    listener.begin({1});
    push(300ms);
    end();
    listener.on_time(now + 1h);
    EXPECT_THAT(events(), IsEmpty()) << "whoever waits decides how long";
    results(0, 0.4, "geç", true, true);
    EXPECT_THAT(events(), ElementsAre("1= geç"));
}

TEST_F(DeepgramListener, AResultThatCoversEverythingNeedsNoAnswer) {
    listener.begin({1});
    push(300ms);
    results(0, 0.3, "bir", true);
    EXPECT_THAT(events(), ElementsAre("1: bir"));
    end();
    results(0.3, 0.4, "iki", true);
    EXPECT_THAT(events(), ElementsAre("1= bir iki"));
}

TEST_F(DeepgramListener, AnEmptyAnswerOfNoLengthEndsTheUtteranceItIsAbout) {
    listener.begin({1});
    push(300ms);
    results(0, 0.4, "bir", true);
    end();
    listener.begin({2});
    push(100ms);
    results(0.4, 0.4, "", true, true);
    EXPECT_THAT(events(), ElementsAre("1: bir", "1= bir"));
    EXPECT_TRUE(listener.busy());
}

TEST_F(DeepgramListener, ResultsBelongToTheUtteranceThatWasSpokenThen) {
    listener.begin({1});
    push(300ms);
    end();
    listener.begin({2});
    push(300ms);
    results(0, 0.4, "bir", true, true);
    results(0.4, 0.7, "iki", false);
    EXPECT_THAT(events(), ElementsAre("1= bir", "2: iki"));
    end();
    listener.begin({3});
    push(100ms);
    // The answer to the second is missing: the server has gone on.
    results(0.7, 0.8, "üç", false);
    EXPECT_THAT(events(), ElementsAre("2= iki", "3: üç"));
}

TEST_F(DeepgramListener, NothingOfACancelledUtteranceReachesTheNext) {
    listener.begin({1});
    push(300ms);
    results(0, 0.3, "bir", false);
    listener.cancel({1});
    EXPECT_THAT(events(), IsEmpty());
    listener.begin({2});
    push(200ms);
    EXPECT_THAT(
        socket.sent,
        ElementsAre(
            "1600 samples",
            "1600 samples",
            "1600 samples",
            R"({"type":"Finalize"})",
            "1600 samples",
            "1600 samples"
        )
    ) << "flushed, so that no result spans both";
    end();
    results(0, 0.4, "bir", true, true);
    EXPECT_THAT(events(), IsEmpty());
    results(0.4, 0.6, "iki", true, true);
    EXPECT_THAT(events(), ElementsAre("2= iki"));

    // Also between its end and its final, with an older one waiting.
    listener.begin({3});
    push(100ms);
    end();
    listener.begin({4});
    push(100ms);
    end();
    listener.cancel({4});
    results(0.7, 0.8, "dört", true, true);
    EXPECT_THAT(events(), IsEmpty());
    results(0.6, 0.7, "üç", true, true);
    EXPECT_THAT(events(), ElementsAre("3= üç"));
}

TEST_F(DeepgramListener, ANewConnectionHearsWhatIsNotSettledAndTimesGoOn) {
    listener.begin({1});
    push(600ms);
    results(0, 0.4, "bir", true);
    results(0.4, 0.6, "iki", false);
    listener.detach();
    push(100ms);
    end();
    socket.sent.clear();
    listener.attach();
    listener.pump(socket, now);
    // 300 ms are settled, 400 ms are left.
    EXPECT_THAT(
        socket.sent,
        ElementsAre(
            "1600 samples",
            "1600 samples",
            "1600 samples",
            "1600 samples",
            "1600 samples",
            R"({"type":"Finalize"})"
        )
    );
    EXPECT_EQ(
        listener.on_message(
            R"({"type":"Results","start":0,"duration":0.5,"is_final":true,"from_finalize":true,)"
            R"("channel":{"alternatives":[{"transcript":"iki","words":[{"word":"iki",)"
            R"("start":0.2,"end":0.3,"confidence":0.9}]}]}})",
            now
        ),
        Outcome::ok
    );
    listener.next_event();  // an interim from before
    const auto final = listener.next_event();
    ASSERT_TRUE(final);
    EXPECT_EQ(final->text, "bir iki");
    ASSERT_EQ(final->words.size(), 1u);
    EXPECT_EQ(final->words[0].begin, 400ms) << "300 settled, 100 into the rest";
}

TEST_F(DeepgramListener, KeepsAliveAsTextWhileThereIsNoAudio) {
    EXPECT_EQ(listener.next_deadline(), now + Listener::keep_alive_interval);
    for (int i = 0; i < 3; ++i) {
        now = listener.next_deadline();
        listener.on_time(now);
        listener.pump(socket, now);
    }
    EXPECT_THAT(
        socket.sent, testing::AllOf(testing::SizeIs(3), testing::Each(R"({"type":"KeepAlive"})"))
    );
    listener.begin({1});
    now += 1s;
    push(100ms);
    EXPECT_EQ(listener.next_deadline(), now + Listener::keep_alive_interval);
    listener.detach();
    EXPECT_EQ(listener.next_deadline(), TimePoint::max());
}

TEST_F(DeepgramListener, NonsenseAndRefusedAudioAreHopeless) {
    EXPECT_EQ(listener.on_closed(1011), Outcome::lost);
    EXPECT_EQ(listener.on_closed(1008), Outcome::hopeless);
    EXPECT_EQ(listener.on_message("<html>", now), Outcome::lost);
    EXPECT_EQ(listener.on_message("<html>", now), Outcome::hopeless);
}

// --- Against a server ---------------------------------------------------------------------------

class DeepgramSttTest : public test::SttCallTest {
protected:
    DeepgramSttTest() : SttCallTest{6} {}  // 120 ms, three messages

    void open(DeepgramSttConfig config = {}) {
        if (config.endpoint.url.find("deepgram.com") != std::string::npos) {
            config.endpoint.url = server_.listen_url();
        }
        config.endpoint.connect_timeout = 10s;
        config.api_key = "secret";
        stt_ = std::make_unique<DeepgramStt>(std::move(config));
        stream_ = test::value_of(shard_, stt_->open(shard_, {"tr-TR"}));
    }
    void open_listening_to_marks() {
        server_.recognise(words_of_marks);
        open();
    }
    FakeDeepgram server_;
    std::unique_ptr<DeepgramStt> stt_;
};

TEST_F(DeepgramSttTest, OneConnectionServesTheCall) {
    server_.say({"merhaba kartım nerede", "evet"});
    open();
    stream_->begin({1});
    push_marks(1, 2);
    wait_for_interim("merhaba");
    stream_->end();
    EXPECT_EQ(final_of(1), "merhaba kartım nerede");
    EXPECT_EQ(recognise(2, 3, 3), "evet");
    stream_->begin({3});
    stream_->end();
    EXPECT_EQ(final_of(3), "") << "nobody has said anything";
    ASSERT_EQ(server_.sessions().size(), 1u);
    const auto session = server_.sessions()[0];
    EXPECT_EQ(words_of_marks(session.audio), "w1 w2 w3");
    EXPECT_THAT(session.texts, ElementsAre(R"({"type":"Finalize"})", R"({"type":"Finalize"})"));
    const auto handshake = server_.handshakes().at(0);
    EXPECT_EQ(handshake.header("authorization"), "Token secret");
    EXPECT_THAT(std::string{handshake.query()}, HasSubstr("language=tr"));
}

TEST_F(DeepgramSttTest, WordsCountFromTheBeginningOfTheirUtterance) {
    server_.recognise(words_of_marks);
    open();
    EXPECT_EQ(recognise(1, 1, 2), "w1 w2");
    EXPECT_EQ(recognise(2, 3, 5), "w3 w4 w5");
    ASSERT_EQ(words_.size(), 3u);
    EXPECT_EQ(words_[1].text, "w4");
    EXPECT_EQ(words_[1].begin, 120ms);
    EXPECT_EQ(words_[1].end, 240ms);
}

TEST_F(DeepgramSttTest, NothingIsLostOrDoubledWhenTheConnectionIs) {
    for (const std::uint16_t code : {std::uint16_t{0}, std::uint16_t{1011}}) {
        for (const std::size_t settle : {0u, 3u}) {
            FakeDeepgram::Listen habits;
            habits.settle_every = settle;
            habits.drop_after = 8;
            habits.drops = 2;
            habits.drop_code = code;
            server_.listen(habits);
            open_listening_to_marks();
            stream_->begin({1});
            push_marks(1, 4);
            expect_soon([&] { return stt_->stats().lost_connections >= 2; });
            push_marks(5, 6);
            stream_->end();
            const auto text = final_of(1);
            // A result that ends within a mark cuts it in two.
            for (const auto sample : {'1', '2', '3', '4', '5', '6'}) {
                EXPECT_NE(text.find(sample), std::string::npos) << text;
            }
            if (settle == 0) EXPECT_EQ(text, "w1 w2 w3 w4 w5 w6");
            EXPECT_EQ(stt_->stats().lost_samples, 0u);
        }
    }
}

TEST_F(DeepgramSttTest, AServerThatRestartsWithinAnUtteranceHearsAllOfIt) {
    open_listening_to_marks();
    stream_->begin({1});
    push_marks(1, 2);
    wait_for_interim("w1 w2");
    server_.stop();
    push_marks(3, 3);
    server_.start();
    stream_->end();
    EXPECT_EQ(final_of(1), "w1 w2 w3");
}

TEST_F(DeepgramSttTest, AServerThatLosesEveryConnectionIsGivenUp) {
    FakeDeepgram::Listen habits;
    habits.drop_after = 2;
    habits.drops = 100;
    server_.listen(habits);
    open_listening_to_marks();
    EXPECT_EQ(recognise(1, 1, 2), make_error_code(ServiceErrc::unavailable).message());
    EXPECT_EQ(server_.sessions().size(), 6u);
    stream_->begin({2});
    EXPECT_EQ(next().error(), ServiceErrc::unavailable) << "the stream has ended";
}

TEST_F(DeepgramSttTest, RefusalsAreToldAtOnce) {
    const auto probe = [&] { return test::result_of(shard_, stt_->probe(shard_)); };
    server_.refuse(401);
    open();
    EXPECT_EQ(next().error(), ServiceErrc::rejected);
    EXPECT_EQ(probe().error(), ServiceErrc::rejected);
    server_.refuse(429);
    open();
    stream_->begin({1});
    EXPECT_EQ(next().error(), ServiceErrc::overloaded);
    server_.refuse(0);
    EXPECT_TRUE(probe().has_value());
    server_.stop();
    EXPECT_EQ(probe().error(), ServiceErrc::unavailable);
}

TEST_F(DeepgramSttTest, NonsenseAndEndlessAnswersEndTheStream) {
    FakeDeepgram::Listen habits;
    habits.garbled = true;
    server_.listen(habits);
    open();
    EXPECT_EQ(recognise(1, 1, 2), make_error_code(ServiceErrc::protocol).message());
    expect_all_closed(server_.connections());
    habits.garbled = false;
    habits.drop_after = 3;
    habits.drops = 1;
    habits.drop_code = 1008;
    server_.listen(habits);
    open();
    EXPECT_EQ(recognise(1, 1, 2), make_error_code(ServiceErrc::protocol).message());
    expect_all_closed(server_.connections());
    habits.drops = 0;
    habits.padding = 2 << 20;
    server_.listen(habits);
    open();
    EXPECT_EQ(recognise(1, 1, 2), make_error_code(ServiceErrc::unavailable).message());
}

TEST_F(DeepgramSttTest, NothingComesOfACancelledUtterance) {
    open_listening_to_marks();
    stream_->begin({1});
    push_marks(1, 3);
    wait_for_interim("w1 w2 w3");
    stream_->cancel();
    EXPECT_EQ(recognise(2, 4, 5), "w4 w5");
    for (const auto& interim : interims_)
        EXPECT_THAT(interim, testing::StartsWith("w4"));
    stream_->begin({3});
    push_marks(6, 6);
    stream_->end();
    stream_->cancel();
    EXPECT_EQ(recognise(4, 7, 7), "w7");
    EXPECT_EQ(server_.sessions().size(), 1u);
}

TEST_F(DeepgramSttTest, AnUnansweredFinalizeTakesHalfASecond) {
    FakeDeepgram::Listen habits;
    habits.answers_finalize = false;
    server_.listen(habits);
    open_listening_to_marks();
    stream_->begin({1});
    push_marks(1, 2);
    wait_for_interim("w1 w2");
    const auto asked = Clock::now();
    stream_->end();
    EXPECT_EQ(final_of(1), "w1 w2");
    EXPECT_GE(Clock::now() - asked, Listener::finalize_limit);
}

TEST_F(DeepgramSttTest, AStalledServerHoldsUpNobody) {
    FakeDeepgram::Listen habits;
    habits.stalled = true;
    server_.listen(habits);
    open();
    stream_->begin({1});
    push_marks(1, 3);
    stream_->end();
    const auto late = test::result_of(shard_, async::with_deadline(stream_->next(), 700ms));
    EXPECT_TRUE(late.has_error()) << "no final out of nothing";
    stream_.reset();
    expect_all_closed(server_.connections());
}

TEST_F(DeepgramSttTest, AServerThatClosesIdleConnectionsIsCalledAgain) {
    FakeDeepgram::Listen habits;
    habits.idle_limit = 30ms;  // shorter than any KeepAlive
    server_.listen(habits);
    open_listening_to_marks();
    expect_soon([&] { return stt_->stats().lost_connections >= 2; });
    habits.idle_limit = 10s;
    server_.listen(habits);
    EXPECT_EQ(recognise(1, 1, 1), "w1");
}

TEST_F(DeepgramSttTest, TheStreamMayGoAtAnyMoment) {
    for (const auto moment : {0ms, 1ms, 5ms, 20ms}) {
        open();
        leave_after(moment, server_.connections());
    }
}

TEST_F(DeepgramSttTest, SpeaksOverTls) {
    const test::SelfMadeCertificate certificate{testing::TempDir(), "localhost"};
    test::TlsFront front{certificate, server_.port()};
    DeepgramSttConfig config;
    config.endpoint.url = "wss://localhost:" + std::to_string(front.port()) + "/v1/listen";
    config.endpoint.tls.ca_file = certificate.certificate_file;
    server_.recognise(words_of_marks);
    open(config);
    EXPECT_EQ(recognise(1, 1, 3), "w1 w2 w3");
    stream_.reset();
    expect_all_closed(server_.connections());
}

TEST(DeepgramStt, ABadConfigurationIsAnErrorWithTheKeysName) {
    DeepgramSttConfig config;
    EXPECT_THAT(
        [&] { DeepgramStt{config}; },
        testing::ThrowsMessage<std::runtime_error>(HasSubstr("[stt.deepgram] api_key"))
    );
    config.endpoint.url = "https://api.deepgram.com/v1/listen";
    EXPECT_THAT(
        [&] { DeepgramStt{config}; },
        testing::ThrowsMessage<std::runtime_error>(HasSubstr("[stt.deepgram] url"))
    );
    config.endpoint.url = "ws://recogniser/v1/listen";
    EXPECT_NO_THROW(DeepgramStt{config});
    config.chunk = 1s;
    EXPECT_THAT(
        [&] { DeepgramStt{config}; },
        testing::ThrowsMessage<std::runtime_error>(HasSubstr("[stt.deepgram] chunk"))
    );
}

}  // namespace
}  // namespace oavc::services
