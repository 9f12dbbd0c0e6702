#include "services/stt/vosk.hpp"

#include "async/deadline.hpp"
#include "services/errors.hpp"
#include "services/stt/detail/stt_inbox.hpp"
#include "services/stt/detail/vosk_protocol.hpp"
#include "support/await.hpp"
#include "support/fake_vosk.hpp"
#include "support/marked_audio.hpp"
#include "support/socket_recorder.hpp"
#include "support/stt_call_test.hpp"
#include "support/tls_front.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace oavc::services {
namespace {

using test::FakeVosk;
using test::marked_audio;
using test::words_of_marks;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Outcome = vosk::Utterance::Outcome;

// --- Protocol -----------------------------------------------------------------------------------

TEST(VoskProtocol, TheConfigurationNamesOnlyWhatIsSet) {
    VoskConfig config;
    EXPECT_EQ(vosk::config_message(config), R"({"config":{"sample_rate":16000,"num_channels":1}})");
    config.sample_rate = 8'000;
    config.words = true;
    config.max_alternatives = 3;
    config.phrase_list = {"evet", "hayır", "[unk]"};
    EXPECT_EQ(
        vosk::config_message(config),
        R"({"config":{"sample_rate":8000,"num_channels":1,"words":true,"max_alternatives":3,)"
        R"("phrase_list":["evet","hayır","[unk]"]}})"
    );
}

TEST(VoskProtocol, RepliesAreToldApartByTheirMembers) {
    using Kind = vosk::Reply::Kind;
    auto reply = vosk::parse_reply("{\n  \"partial\" : \"merhaba ben\"\n}");
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->kind, Kind::partial);
    EXPECT_EQ(reply->text, "merhaba ben");

    reply = vosk::parse_reply(
        R"({ "result" : [ { "conf" : 0.98, "start" : 0.42, "end" : 0.87, "word" : "merhaba" },)"
        R"({ "conf" : 1, "start" : 0.87, "end" : 1.14, "word" : "dünya" } ],)"
        R"("text" : "merhaba dünya" })"
    );
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->kind, Kind::final);
    EXPECT_EQ(reply->text, "merhaba dünya");
    ASSERT_EQ(reply->words.size(), 2u);
    EXPECT_EQ(reply->words[1].text, "dünya");
    EXPECT_EQ(reply->words[1].begin, 870ms);
    EXPECT_EQ(reply->words[1].end, 1'140ms);
    EXPECT_EQ(reply->words[1].confidence, 1.0);

    reply = vosk::parse_reply(
        R"({"alternatives":[{"confidence":214.7,"text":"bir"},{"confidence":211.3,"text":"iki"}]})"
    );
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->kind, Kind::final);
    EXPECT_EQ(reply->text, "bir");

    for (const auto other : {R"({"status":"ok"})", "{}"}) {
        reply = vosk::parse_reply(other);
        ASSERT_TRUE(reply) << other;
        EXPECT_EQ(reply->kind, Kind::other) << other;
    }
    for (const auto empty : {R"({"text":""})", R"({"text":7})", R"({"alternatives":[]})"}) {
        reply = vosk::parse_reply(empty);
        ASSERT_TRUE(reply) << empty;
        EXPECT_EQ(reply->kind, Kind::final) << empty;
        EXPECT_EQ(reply->text, "") << empty;
    }
    const auto odd = vosk::parse_reply(
        R"({"text":"x","result":[7,{"start":-1,"end":1e300,"conf":9,"word":null}]})"
    );
    ASSERT_TRUE(odd);
    ASSERT_EQ(odd->words.size(), 1u);
    EXPECT_EQ(odd->words[0].begin, 0ms);
    EXPECT_EQ(odd->words[0].end, 24h);
    EXPECT_EQ(odd->words[0].confidence, 1.0);
    const std::string deep(100, '[');
    for (const std::string bad : {"", "x", "[]", "null", "{", R"({"text":"\xFF"})", deep.c_str()}) {
        EXPECT_EQ(vosk::parse_reply(bad).error(), ServiceErrc::protocol) << bad;
    }
}

class VoskUtterance : public ::testing::Test {
protected:
    void make(std::string finalize = "eof") {
        config.finalize = std::move(finalize);
        utterance.emplace(UtteranceId{1}, config, first);
        utterance->attach(line);
    }
    void push(std::size_t samples) {
        utterance->push(marked_audio(1, samples));
        utterance->pump(line, socket);
    }
    void end() {
        utterance->end();
        utterance->pump(line, socket);
    }
    void connect_again() {
        line = {};
        socket.sent.clear();
        utterance->attach(line);
        utterance->pump(line, socket);
    }

    VoskConfig config;
    const std::string first{"config"};
    vosk::Line line;
    test::SocketRecorder socket;
    std::optional<vosk::Utterance> utterance;
};

TEST_F(VoskUtterance, SendsWholeChunksThenTheRestAndAsksOnce) {
    make();
    push(0);
    push(1'000);
    EXPECT_THAT(socket.sent, ElementsAre("config"));
    push(2'300);
    end();
    end();
    EXPECT_THAT(
        socket.sent,
        ElementsAre("config", "1600 samples", "1600 samples", "100 samples", "{\"eof\" : 1}")
    );
}

TEST_F(VoskUtterance, AFullSocketGetsTheRestLater) {
    make();
    socket.room = 2;
    push(4'800);
    end();
    EXPECT_EQ(socket.sent.size(), 2u);
    socket.room = 100;
    utterance->pump(line, socket);
    EXPECT_THAT(
        socket.sent,
        ElementsAre("config", "1600 samples", "1600 samples", "1600 samples", "{\"eof\" : 1}")
    );
}

TEST_F(VoskUtterance, FinalsBeforeTheEndAreJoinedAndEmptyOnesAreNothing) {
    make();
    push(4 * 1'600);
    EXPECT_EQ(utterance->on_message(R"({"partial":""})"), Outcome::nothing);
    EXPECT_EQ(utterance->on_message(R"({"text":""})"), Outcome::nothing);
    EXPECT_EQ(utterance->on_message(R"({"text":"one two"})"), Outcome::interim);
    EXPECT_EQ(utterance->on_message(R"({"partial":""})"), Outcome::nothing);
    push(1'600);
    EXPECT_EQ(utterance->on_message(R"({"partial":"three"})"), Outcome::interim);
    EXPECT_EQ(utterance->text(), "one two three");
    EXPECT_EQ(utterance->on_message(R"({"status":"ok"})"), Outcome::nothing);
    end();
    EXPECT_EQ(utterance->on_message(R"({"text":"three four"})"), Outcome::final);
    EXPECT_EQ(utterance->text(), "one two three four");
}

TEST_F(VoskUtterance, AFinalOfItsOwnThatIsOnTheWayIsNotTheLast) {
    make();
    push(2 * 1'600);
    end();
    EXPECT_EQ(utterance->on_message(R"({"partial":"one"})"), Outcome::interim);
    EXPECT_EQ(utterance->on_message(R"({"text":"one"})"), Outcome::nothing);
    EXPECT_EQ(utterance->on_message(R"({"text":"two"})"), Outcome::final);
    EXPECT_EQ(utterance->text(), "one two");
}

TEST_F(VoskUtterance, ACloseAfterTheQuestionLeavesWhatWasHeard) {
    for (const std::uint16_t code : {std::uint16_t{1000}, std::uint16_t{1011}}) {
        line = {};
        make();
        push(1'600);
        end();
        EXPECT_EQ(utterance->on_message(R"({"partial":"one two"})"), Outcome::interim);
        EXPECT_EQ(utterance->on_closed(code), Outcome::final) << code;
        EXPECT_EQ(utterance->text(), "one two");
    }
}

TEST_F(VoskUtterance, AServerThatClosesAtOnceTwiceIsHopeless) {
    make();
    push(1'600);
    EXPECT_EQ(utterance->on_closed(1011), Outcome::lost);
    connect_again();
    EXPECT_EQ(utterance->on_closed(1011), Outcome::hopeless);
}

TEST_F(VoskUtterance, ALostConnectionIsRepeatedFromTheLastFinalOn) {
    config.words = true;
    make();
    push(4 * 1'600);
    for (const auto reply :
         {R"({"partial":"one"})", R"({"text":"one two"})", R"({"partial":"thr"})"}) {
        utterance->on_message(reply);
    }
    EXPECT_EQ(utterance->on_closed(0), Outcome::lost);
    connect_again();
    EXPECT_THAT(socket.sent, ElementsAre("config", "1600 samples", "1600 samples"));
    EXPECT_EQ(utterance->text(), "one two");
    end();
    utterance->on_message(R"({"partial":"three"})");
    utterance->on_message(R"({"partial":"three"})");
    EXPECT_EQ(
        utterance->on_message(
            R"({"result":[{"conf":0.5,"start":0.1,"end":0.15,"word":"three"}],"text":"three"})"
        ),
        Outcome::final
    );
    EXPECT_EQ(utterance->text(), "one two three");
    EXPECT_EQ(utterance->words().back().begin, 300ms) << "since the utterance's beginning";
    EXPECT_EQ(utterance->words().back().end, 350ms);
}

TEST_F(VoskUtterance, AfterAResetTheConnectionBelongsToTheNext) {
    make("reset");
    push(1'600);
    end();
    EXPECT_EQ(socket.sent.back(), "{\"reset\" : 1}");
    utterance->on_message(R"({"partial":"one"})");
    EXPECT_EQ(utterance->on_message(R"({"text":"one"})"), Outcome::final);
    EXPECT_TRUE(utterance->release(line, socket));
    EXPECT_EQ(line.owed, 0u);

    utterance.emplace(UtteranceId{2}, config, first);
    utterance->attach(line);
    socket.sent.clear();
    push(1'600);
    EXPECT_THAT(socket.sent, ElementsAre("1600 samples")) << "it is configured";
    // Given up: what it still answers is nobody's.
    EXPECT_TRUE(utterance->release(line, socket));
    EXPECT_EQ(line.owed, 2u);
    EXPECT_FALSE(line.take_owed(R"({"status":"ok"})"));
    EXPECT_TRUE(line.take_owed(R"({"partial":"two"})"));
    EXPECT_TRUE(line.take_owed(R"({"text":"two"})"));
    EXPECT_FALSE(line.take_owed(R"({"partial":""})"));
}

TEST_F(VoskUtterance, AServerThatTakesResetForAudioStillGivesAText) {
    make("reset");
    push(1'600);
    end();
    utterance->on_message(R"({"partial":"one"})");
    EXPECT_EQ(utterance->on_message(R"({"partial":"one"})"), Outcome::final);
    EXPECT_EQ(utterance->text(), "one");
    EXPECT_FALSE(utterance->release(line, socket)) << "the next one would begin with it";
}

TEST_F(VoskUtterance, SilenceMakesTheEndpointerFire) {
    make("silence");
    push(1'600);
    end();
    const auto silence = socket.sent.size() - 2;
    EXPECT_GE(silence * 100, 2'000u) << "milliseconds";
    utterance->on_message(R"({"partial":"one"})");
    utterance->on_message(R"({"partial":"one"})");
    EXPECT_EQ(utterance->on_message(R"({"text":"one"})"), Outcome::final);
    EXPECT_TRUE(utterance->release(line, socket));
    EXPECT_EQ(line.owed, silence - 2);
}

TEST(ReplayBuffer, KeepsTheNewestAndCountsWhatNobodyHeard) {
    ReplayBuffer buffer{1'600};
    for (media::Sample mark = 1; mark <= 40; ++mark)
        buffer.append(marked_audio(mark, 100));
    EXPECT_LE(buffer.end() - buffer.begin(), 1'700u);
    EXPECT_EQ(buffer.end(), 4'000u);
    EXPECT_EQ(buffer.lost(), buffer.begin());
    EXPECT_EQ(buffer.unsent().back(), 40);
    buffer.mark_sent(1'000);
    buffer.settle(buffer.begin() + 500);
    const auto settled = buffer.begin();
    EXPECT_EQ(buffer.sent() - settled, 500u);
    buffer.rewind();
    EXPECT_EQ(buffer.sent(), settled);
    EXPECT_EQ(buffer.unsent().size(), 4'000u - settled);
    const auto lost = buffer.lost();
    buffer.mark_sent(10'000);
    buffer.append(marked_audio(41, 1'600));
    EXPECT_EQ(buffer.lost(), lost) << "what was sent is not lost as long as nobody asks for it";
    buffer.rewind();
    EXPECT_EQ(buffer.lost(), lost + buffer.begin() - settled);
}

TEST(SttInbox, KeepsTheNewestInterimAndForgetsWhatWasCancelled) {
    async::Shard shard{0};
    SttInbox inbox{shard.executor()};
    using Kind = SttEvent::Kind;
    inbox.put({Kind::interim, {1}, "a"});
    inbox.put({Kind::interim, {1}, "a b"});
    inbox.put({Kind::interim, {2}, "c"});
    inbox.put({Kind::final, {2}, "c d"});
    inbox.put({Kind::final, {3}, "e"});
    inbox.forget({3});
    inbox.fail(make_error_code(ServiceErrc::unavailable));
    EXPECT_EQ(test::value_of(shard, inbox.next()).text, "a b");
    EXPECT_EQ(test::value_of(shard, inbox.next()).text, "c d");
    EXPECT_EQ(test::result_of(shard, inbox.next()).error(), ServiceErrc::unavailable);
    EXPECT_TRUE(inbox.failed());
}

// --- Against a server ---------------------------------------------------------------------------

class VoskTest : public test::SttCallTest {
protected:
    VoskTest() : SttCallTest{5} {}  // 100 ms

    void open(VoskConfig config = {}) {
        if (config.endpoint.url == VoskConfig{}.endpoint.url) config.endpoint.url = server_.url();
        config.endpoint.connect_timeout = 10s;
        rate_ = {static_cast<std::uint32_t>(config.sample_rate)};
        stt_ = std::make_unique<VoskStt>(std::move(config));
        stream_ = test::value_of(shard_, stt_->open(shard_, {"tr"}));
    }
    void open_listening_to_marks(VoskConfig config = {}) {
        server_.recognise(words_of_marks);
        open(std::move(config));
    }

    FakeVosk server_;
    std::unique_ptr<VoskStt> stt_;
};

TEST_F(VoskTest, StreamsFromTheFirstFrameAndEndsWithTheExactLiteral) {
    server_.say({"merhaba kartım nerede", "evet"});
    open();
    stream_->begin({1});
    push_marks(1, 6);
    wait_for_interim("merhaba");
    stream_->end();
    EXPECT_EQ(final_of(1), "merhaba kartım nerede");
    EXPECT_EQ(recognise(2, 1, 1), "evet");
    const auto sessions = server_.sessions();
    ASSERT_EQ(sessions.size(), 2u) << "a connection for each utterance";
    EXPECT_EQ(sessions[0].config, R"({"config":{"sample_rate":16000,"num_channels":1}})");
    EXPECT_THAT(sessions[0].texts, ElementsAre("{\"eof\" : 1}"));
    EXPECT_THAT(sessions[0].frames, testing::Each(1'600u));
    EXPECT_EQ(words_of_marks(sessions[0].audio), "w1 w2 w3 w4 w5 w6");
}

TEST_F(VoskTest, AnUtteranceWithoutAudioHasAnEmptyFinal) {
    open_listening_to_marks();
    stream_->begin({1});
    stream_->end();
    EXPECT_EQ(final_of(1), "");
}

TEST_F(VoskTest, WordsAndAlternativesArriveAtTheModelsRate) {
    VoskConfig config;
    config.sample_rate = 8'000;
    config.words = true;
    open_listening_to_marks(config);
    EXPECT_EQ(stt_->capabilities().input_rate, narrowband);
    EXPECT_TRUE(stt_->capabilities().word_times);
    EXPECT_EQ(recognise(1, 1, 4), "w1 w2 w3 w4");
    ASSERT_EQ(words_.size(), 4u);
    EXPECT_EQ(words_[2].text, "w3");
    EXPECT_EQ(words_[2].begin, 200ms);
    EXPECT_EQ(words_[2].end, 300ms);
    EXPECT_NEAR(words_[2].confidence, 0.98, 1e-9);

    config.max_alternatives = 2;
    open(config);
    EXPECT_EQ(recognise(1, 1, 2), "w1 w2");
}

TEST_F(VoskTest, NothingIsLostOrDoubledWhenTheConnectionIs) {
    server_.drop_after(3);
    open_listening_to_marks();
    stream_->begin({1});
    push_marks(1, 2);
    wait_for_interim("w1 w2");
    push_marks(3, 3);  // breaks it
    wait_for_interim("w1 w2 w3");
    push_marks(4, 5);
    stream_->end();
    EXPECT_EQ(final_of(1), "w1 w2 w3 w4 w5");
    EXPECT_EQ(stt_->stats().reconnects, 1u);
    EXPECT_EQ(stt_->stats().lost_samples, 0u);
}

TEST_F(VoskTest, WhatTheServerHadFinishedIsNotSaidAgain) {
    server_.endpoint_every(2);
    server_.drop_after(5, 3);
    VoskConfig config;
    config.words = true;
    open_listening_to_marks(config);
    EXPECT_EQ(recognise(1, 1, 9), "w1 w2 w3 w4 w5 w6 w7 w8 w9");
    ASSERT_EQ(words_.size(), 9u);
    for (std::size_t i = 0; i < words_.size(); ++i)
        EXPECT_EQ(words_[i].begin, i * 100ms);
}

TEST_F(VoskTest, AServerThatRestartsWithinAnUtteranceHearsAllOfIt) {
    open_listening_to_marks();
    stream_->begin({1});
    push_marks(1, 2);
    wait_for_interim("w1 w2");
    server_.stop();
    push_marks(3, 3);
    server_.start();
    push_marks(4, 4);
    stream_->end();
    EXPECT_EQ(final_of(1), "w1 w2 w3 w4");
}

TEST_F(VoskTest, AServerThatLosesEveryConnectionIsGivenUpAfterFiveMore) {
    server_.drop_after(1, 100);
    open_listening_to_marks();
    EXPECT_EQ(recognise(1, 1, 3), make_error_code(ServiceErrc::unavailable).message());
    EXPECT_EQ(server_.sessions().size(), 6u);
    EXPECT_EQ(next().error(), ServiceErrc::unavailable) << "the stream has ended";
    stream_->begin({2});
    push_marks(1, 1);
    stream_->end();
    EXPECT_EQ(next().error(), ServiceErrc::unavailable);
}

TEST_F(VoskTest, ADeadServerIsUnavailableAndARefusalIsFinal) {
    server_.stop();
    open();
    stream_->begin({1});
    EXPECT_EQ(next().error(), ServiceErrc::unavailable);
    EXPECT_EQ(test::result_of(shard_, stt_->probe(shard_)).error(), ServiceErrc::unavailable);
    server_.start();
    EXPECT_TRUE(test::result_of(shard_, stt_->probe(shard_)).has_value());
    server_.refuse(403);
    open();
    stream_->begin({1});
    EXPECT_EQ(next().error(), ServiceErrc::rejected);
}

TEST_F(VoskTest, AServerThatClosesRightAfterTheHandshakeIsUnusable) {
    server_.close_at_once(1011);
    open();
    stream_->begin({1});
    push_marks(1, 1);
    EXPECT_EQ(next().error(), ServiceErrc::protocol);
    EXPECT_EQ(test::result_of(shard_, stt_->probe(shard_)).error(), ServiceErrc::protocol);
}

TEST_F(VoskTest, GarbageAndEndlessRepliesEndTheStream) {
    server_.garble();
    open();
    EXPECT_EQ(recognise(1, 1, 2), make_error_code(ServiceErrc::protocol).message());
    server_.garble(false);
    server_.pad_replies(2 << 20);
    open();
    EXPECT_EQ(recognise(1, 1, 2), make_error_code(ServiceErrc::unavailable).message());
}

TEST_F(VoskTest, AnOldServerThatRefusesTheQuestionLeavesTheLastPartial) {
    server_.able({.eof = false, .reset = false});
    open_listening_to_marks();
    stream_->begin({1});
    push_marks(1, 3);
    wait_for_interim("w1 w2 w3");
    stream_->end();
    EXPECT_EQ(final_of(1), "w1 w2 w3");
}

TEST_F(VoskTest, NothingComesOfACancelledUtterance) {
    for (const std::string finalize : {"eof", "reset", "silence"}) {
        VoskConfig config;
        config.finalize = finalize;
        server_.endpoint_every(0);
        open_listening_to_marks(config);
        stream_->begin({1});
        push_marks(1, 3);
        expect_soon([&, before = server_.sessions().size()] {
            return server_.sessions().size() >= before && !server_.sessions().empty();
        });
        stream_->cancel();
        stream_->begin({2});
        push_marks(7, 8);
        stream_->cancel();
        stream_->begin({3});
        push_marks(4, 5);
        if (finalize == "silence") server_.endpoint_every(10);
        stream_->end();
        EXPECT_EQ(final_of(3), "w4 w5") << finalize;
        for (const auto& interim : interims_)
            EXPECT_THAT(interim, testing::StartsWith("w4"));
        // Also between its end and its final.
        stream_->begin({4});
        push_marks(1, 1);
        stream_->end();
        stream_->cancel();
        stream_->begin({5});
        push_marks(9, 9);
        stream_->end();
        EXPECT_EQ(final_of(5), "w9") << finalize;
    }
}

TEST_F(VoskTest, ResetKeepsOneConnectionForTheCall) {
    VoskConfig config;
    config.finalize = "reset";
    config.words = true;
    open_listening_to_marks(config);
    EXPECT_EQ(recognise(1, 1, 3), "w1 w2 w3");
    EXPECT_EQ(recognise(2, 4, 5), "w4 w5");
    EXPECT_EQ(words_.front().begin, 0ms) << "of its own utterance";
    stream_->begin({3});
    push_marks(6, 6);
    wait_for_interim("w6");
    stream_->cancel();
    EXPECT_EQ(recognise(4, 7, 8), "w7 w8");
    ASSERT_EQ(server_.sessions().size(), 1u);
    EXPECT_THAT(
        server_.sessions()[0].texts,
        ElementsAre("{\"reset\" : 1}", "{\"reset\" : 1}", "{\"reset\" : 1}", "{\"reset\" : 1}")
    );
}

TEST_F(VoskTest, SilenceIsEnoughForAServerThatKnowsNoQuestion) {
    VoskConfig config;
    config.finalize = "silence";
    server_.able({.eof = false, .reset = false});
    server_.endpoint_every(10);
    open_listening_to_marks(config);
    EXPECT_EQ(recognise(1, 1, 3), "w1 w2 w3");
    EXPECT_EQ(recognise(2, 4, 5), "w4 w5");
    EXPECT_THAT(server_.sessions()[0].texts, IsEmpty());
}

TEST_F(VoskTest, AnUtteranceMayBeginBeforeTheLastOneHasItsFinal) {
    server_.freeze();
    open_listening_to_marks();
    for (std::uint32_t id = 1; id <= 3; ++id) {
        stream_->begin({id});
        push_marks(static_cast<media::Sample>(id), static_cast<media::Sample>(id));
        stream_->end();
    }
    server_.thaw();
    std::vector<std::string> finals;
    while (finals.size() < 3) {
        const auto event = next();
        ASSERT_TRUE(event) << event.error().message();
        if (event->kind == SttEvent::Kind::final) {
            finals.push_back(std::to_string(event->utterance.value) + " " + event->text);
        }
    }
    EXPECT_THAT(finals, testing::UnorderedElementsAre("1 w1", "2 w2", "3 w3"));
}

TEST_F(VoskTest, AServerThatStallsHoldsUpNobody) {
    server_.stall();
    open();
    stream_->begin({1});
    push_marks(1, 3);
    stream_->end();
    const auto late = test::result_of(shard_, async::with_deadline(stream_->next(), 50ms));
    EXPECT_TRUE(late.has_error());
    EXPECT_FALSE(server_.sessions().empty());
    stream_.reset();
    expect_all_closed(server_.connections());
}

TEST_F(VoskTest, TheStreamMayGoAtAnyMoment) {
    for (const auto moment : {0ms, 1ms, 5ms, 20ms}) {
        open();
        leave_after(moment, server_.connections());
    }
}

TEST_F(VoskTest, SpeaksOverTls) {
    const test::SelfMadeCertificate certificate{testing::TempDir(), "localhost"};
    test::TlsFront front{certificate, server_.port()};
    VoskConfig config;
    config.endpoint.url = "wss://localhost:" + std::to_string(front.port()) + "/";
    config.endpoint.tls.ca_file = certificate.certificate_file;
    open_listening_to_marks(config);
    EXPECT_EQ(recognise(1, 1, 3), "w1 w2 w3");
    EXPECT_TRUE(test::result_of(shard_, stt_->probe(shard_)).has_value());
    stream_.reset();
    expect_all_closed(server_.connections());
}

TEST(Vosk, ABadConfigurationIsAnErrorWithTheKeysName) {
    const auto problem = [](auto change) {
        VoskConfig config;
        change(config);
        try {
            VoskStt stt{config};
        } catch (const std::runtime_error& error) {
            return std::string{error.what()};
        }
        return std::string{};
    };
    EXPECT_EQ(problem([](VoskConfig&) {}), "");
    EXPECT_THAT(
        problem([](VoskConfig& c) { c.endpoint.url = "http://x"; }), HasSubstr("[stt.vosk] url")
    );
    EXPECT_THAT(problem([](VoskConfig& c) { c.sample_rate = 0; }), HasSubstr("sample_rate"));
    EXPECT_THAT(problem([](VoskConfig& c) { c.chunk = 0ms; }), HasSubstr("chunk"));
    EXPECT_THAT(
        problem([](VoskConfig& c) { c.finalize = "eos"; }),
        AllOf(HasSubstr("finalize"), HasSubstr("'eos'"))
    );
}

}  // namespace
}  // namespace oavc::services
