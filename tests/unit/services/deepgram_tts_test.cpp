#include "services/tts/deepgram_tts.hpp"

#include "async/deadline.hpp"
#include "base/bytes.hpp"
#include "services/errors.hpp"
#include "services/tts/detail/deepgram_speak.hpp"
#include "services/tts/detail/pcm_joiner.hpp"
#include "support/await.hpp"
#include "support/fake_deepgram.hpp"
#include "support/run_shard.hpp"
#include "support/spoken.hpp"
#include "support/tls_front.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace oavc::services {
namespace {

using test::FakeDeepgram;
using test::Spoken;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

// --- Protocol -----------------------------------------------------------------------------------

TEST(DeepgramSpeak, TheQuerySaysWhatComesBack) {
    DeepgramTtsConfig config;
    EXPECT_EQ(
        deepgram::speak_url(config, ""),
        "wss://api.deepgram.com/v1/speak?model=aura-2-thalia-en&encoding=linear16&sample_rate=8000"
    );
    EXPECT_THAT(deepgram::speak_url(config, "a b"), HasSubstr("model=a%20b&"));
}

TEST(DeepgramSpeak, TextsAreQuotedAndLongOnesCutBetweenWords) {
    EXPECT_THAT(
        deepgram::speak_messages("Say \"hayır\".\n"),
        ElementsAre(R"({"type":"Speak","text":"Say \"hayır\".\n"})", R"({"type":"Flush"})")
    );
    std::string text;
    while (text.size() < 4'000)
        text += "kelime ";
    auto messages = deepgram::speak_messages(text);
    EXPECT_EQ(messages.size(), 4u);
    EXPECT_THAT(messages[0], testing::EndsWith("kelime\"}"));
    text.clear();
    while (text.size() < 4'000)
        text += "ğ";
    messages = deepgram::speak_messages(text);
    std::size_t letters = 0;
    for (const auto& message : messages) {
        EXPECT_LT(message.size(), 1'600u);
        const auto found = message.find("ğ");
        if (found != std::string::npos) letters += (message.rfind("ğ") - found) / 2 + 1;
    }
    EXPECT_EQ(letters, 2'000u) << "no letter is cut";
}

TEST(DeepgramSpeak, MessagesAreToldApart) {
    using Kind = deepgram::VoiceMessage::Kind;
    const auto kind = [](std::string_view json) {
        return deepgram::parse_voice_message(json)->kind;
    };
    EXPECT_EQ(kind(R"({"type":"Flushed","sequence_id":0})"), Kind::flushed);
    EXPECT_EQ(kind(R"({"type":"Cleared","sequence_id":1})"), Kind::cleared);
    EXPECT_EQ(
        kind(R"({"type":"Warning","code":"X","description":"Too many Flush messages"})"),
        Kind::flush_refused
    );
    EXPECT_EQ(kind(R"({"type":"Warning","code":"X","description":"Slow"})"), Kind::other);
    EXPECT_EQ(kind(R"({"type":"Error","description":"d"})"), Kind::error);
    EXPECT_EQ(kind(R"({"type":"Metadata","request_id":"x"})"), Kind::other);
    EXPECT_EQ(kind("{}"), Kind::other);
    for (const auto bad : {"", "x", "[]", "{", "<html>"})
        EXPECT_EQ(deepgram::parse_voice_message(bad).error(), ServiceErrc::protocol) << bad;
}

TEST(DeepgramSpeak, SamplesSurviveAnyCut) {
    const std::string bytes{"\x01\x02\xFF\x80\x03\x04", 6};
    for (std::size_t first = 0; first <= bytes.size(); ++first) {
        for (std::size_t second = first; second <= bytes.size(); ++second) {
            PcmJoiner joiner;
            std::vector<media::Sample> all;
            for (const auto& piece :
                 {bytes.substr(0, first),
                  bytes.substr(first, second - first),
                  bytes.substr(second)}) {
                joiner.push(as_bytes(piece), all);
            }
            EXPECT_THAT(all, ElementsAre(0x0201, -32'513, 0x0403));
        }
    }
}

TEST(DeepgramSpeak, TwentyFlushesFitIntoAMinute) {
    deepgram::FlushBudget budget;
    const TimePoint start{};
    for (int i = 0; i < 20; ++i)
        EXPECT_TRUE(budget.spend(start + i * 1s));
    EXPECT_FALSE(budget.spend(start + 59s));
    EXPECT_TRUE(budget.spend(start + 60s));
    EXPECT_FALSE(budget.spend(start + 60s));
    EXPECT_TRUE(budget.spend(start + 61s));
}

// --- Against a server ---------------------------------------------------------------------------

class DeepgramTtsTest : public ::testing::Test {
protected:
    void TearDown() override {
        session_.reset();
        test::run_dry(shard_);
    }

    void open(DeepgramTtsConfig config = {}, TtsOptions options = {}) {
        if (config.endpoint.url.find("deepgram.com") != std::string::npos) {
            config.endpoint.url = server_.speak_url();
        }
        config.endpoint.connect_timeout = 10s;
        config.api_key = "secret";
        rate_ = {static_cast<std::uint32_t>(config.sample_rate)};
        tts_ = std::make_unique<DeepgramTts>(std::move(config));
        session_ = test::value_of(shard_, tts_->open(shard_, std::move(options)));
    }
    Spoken all_of(TtsReply& reply) { return test::all_of(shard_, reply); }
    Spoken speak(const std::string& text) { return test::say(shard_, *session_, text); }
    /// The whole of `text` as sentence number `n` of its connection, and nothing else.
    void expect_whole(const Spoken& spoken, const std::string& text, int n) {
        EXPECT_EQ(spoken.end, ServiceErrc::end_of_stream) << spoken.end.message();
        EXPECT_EQ(spoken.rate, rate_);
        EXPECT_EQ(spoken.samples.size(), rate_.hz / 100 * text.size());
        const std::set<media::Sample> voices(spoken.samples.begin(), spoken.samples.end());
        EXPECT_THAT(voices, ElementsAre(FakeDeepgram::voice_sample(n))) << text;
    }
    void expect_all_closed() {
        EXPECT_TRUE(test::run_until(shard_, [&] { return server_.connections().open() == 0; }));
    }

    FakeDeepgram server_;
    async::Shard shard_{9};
    SampleRate rate_{narrowband};
    std::unique_ptr<DeepgramTts> tts_;
    std::unique_ptr<TtsSession> session_;
};

TEST_F(DeepgramTtsTest, SentencesComeWholeInOrderOverOneConnection) {
    open();
    EXPECT_EQ(tts_->capabilities().output_rate, narrowband);
    auto first = session_->speak("First sentence.");
    auto second = session_->speak("The second.");
    expect_whole(all_of(*first), "First sentence.", 1);
    first.reset();
    expect_whole(all_of(*second), "The second.", 2);
    second.reset();
    expect_whole(speak("A third, later."), "A third, later.", 3);
    EXPECT_EQ(speak(" \n").end, ServiceErrc::end_of_stream) << "nothing to say";
    EXPECT_EQ(tts_->stats().connections, 1u);
    EXPECT_EQ(server_.handshakes().at(0).header("authorization"), "Token secret");
    EXPECT_THAT(
        server_.sessions().at(0).texts,
        ElementsAre(
            HasSubstr("First"),
            R"({"type":"Flush"})",
            HasSubstr("second"),
            R"({"type":"Flush"})",
            HasSubstr("third"),
            R"({"type":"Flush"})"
        )
    );
}

TEST_F(DeepgramTtsTest, TheVoiceAndTheRateAreAskedFor) {
    DeepgramTtsConfig config;
    config.sample_rate = 24'000;
    open(config, {"en", "aura-2-orion-en"});
    expect_whole(speak("Hello."), "Hello.", 1);
    EXPECT_THAT(
        std::string{server_.handshakes().at(0).query()},
        testing::AllOf(HasSubstr("model=aura-2-orion-en"), HasSubstr("sample_rate=24000"))
    );
}

TEST_F(DeepgramTtsTest, AudioBehindFlushedIsHeardToo) {
    FakeDeepgram::Speak habits;
    habits.flushed_early = true;
    server_.speak(habits);
    open();
    expect_whole(speak("One."), "One.", 1);
    expect_whole(speak("Two."), "Two.", 2);
}

TEST_F(DeepgramTtsTest, NothingOfADroppedReplyIsHeardInTheNext) {
    FakeDeepgram::Speak habits;
    habits.pace = 1ms;
    habits.after_clear = 5;
    for (const bool late_flushed : {false, true}) {
        habits.flushed_after_cleared = late_flushed;
        server_.speak(habits);
        open();
        auto long_one = session_->speak(std::string(2'000, 'x'));
        auto never = session_->speak("Never said.");
        test::value_of(shard_, long_one->next());
        long_one.reset();
        never.reset();
        // Longer than what may follow Flushed: one that belongs to the old reply would cut it.
        const std::string other(1'000, 'y');
        expect_whole(speak(other), other, 2);
        expect_whole(speak("And on."), "And on.", 3);
        EXPECT_EQ(tts_->stats().cleared, 1u);
        EXPECT_GT(tts_->stats().dropped_bytes, 0u);
        EXPECT_EQ(tts_->stats().connections, 1u);
        EXPECT_THAT(server_.sessions().back().texts, Contains(R"({"type":"Clear"})").Times(1));
    }
}

TEST_F(DeepgramTtsTest, AServerThatDoesNotConfirmClearGetsANewConnection) {
    FakeDeepgram::Speak habits;
    habits.pace = 1ms;
    habits.answers_clear = false;
    habits.after_clear = 3;
    server_.speak(habits);
    open();
    auto first = session_->speak(std::string(2'000, 'x'));
    test::value_of(shard_, first->next());
    first.reset();
    expect_whole(speak("Something else."), "Something else.", 1);
    EXPECT_EQ(tts_->stats().connections, 2u);
}

TEST_F(DeepgramTtsTest, ADroppedReplyThatWasDoneClearsNothing) {
    open();
    auto reply = session_->speak("One.");
    all_of(*reply);
    reply.reset();
    expect_whole(speak("Two."), "Two.", 2);
    EXPECT_EQ(tts_->stats().cleared, 0u);
}

TEST_F(DeepgramTtsTest, MoreSentencesThanFlushesUseAnotherConnection) {
    open();
    for (int i = 0; i < 20; ++i)
        expect_whole(speak("a"), "a", i + 1);
    expect_whole(speak("a"), "a", 1);
    EXPECT_EQ(tts_->stats().flushes_spent, 1u);
    EXPECT_EQ(tts_->stats().connections, 2u);
}

TEST_F(DeepgramTtsTest, ARefusedFlushIsOverload) {
    FakeDeepgram::Speak habits;
    habits.flush_limit = 0;
    server_.speak(habits);
    open();
    EXPECT_EQ(speak("One.").end, ServiceErrc::overloaded);
    habits.flush_limit = 20;
    server_.speak(habits);
    expect_whole(speak("Two."), "Two.", 1);
}

TEST_F(DeepgramTtsTest, AConnectionThatDiesBeforeAnythingWasHeardIsTriedOnceMore) {
    FakeDeepgram::Speak habits;
    habits.drops = 1;
    server_.speak(habits);
    open();
    expect_whole(speak("One."), "One.", 1);
    habits.drops = 2;
    server_.speak(habits);
    EXPECT_EQ(speak("Two.").end, ServiceErrc::unavailable);
    expect_whole(speak("Three."), "Three.", 1);
}

TEST_F(DeepgramTtsTest, AConnectionThatDiesWithinAWordIsAnErrorBehindWhatWasSaid) {
    FakeDeepgram::Speak habits;
    habits.drop_after = 2;
    habits.drops = 1;
    server_.speak(habits);
    open();
    auto cut = session_->speak(std::string(200, 'x'));
    auto next = session_->speak("Next.");
    const auto spoken = all_of(*cut);
    EXPECT_EQ(spoken.end, ServiceErrc::unavailable);
    EXPECT_EQ(spoken.samples.size(), 2'001u) << "two pieces of 2001 bytes";
    expect_whole(all_of(*next), "Next.", 1);
}

TEST_F(DeepgramTtsTest, AStallIsEndedByWhoeverWaits) {
    FakeDeepgram::Speak habits;
    habits.stall_after = 2;
    server_.speak(habits);
    open();
    auto reply = session_->speak(std::string(2'000, 'x'));
    test::value_of(shard_, reply->next());
    test::value_of(shard_, reply->next());
    const auto late = test::result_of(shard_, async::with_deadline(reply->next(), 50ms));
    EXPECT_TRUE(late.has_error());
    server_.speak({});
    reply.reset();
    expect_whole(speak("Two."), "Two.", 2);
}

TEST_F(DeepgramTtsTest, RefusalsErrorsAndNonsenseAreTold) {
    FakeDeepgram::Speak habits;
    habits.error = "no such voice";
    server_.speak(habits);
    open();
    EXPECT_EQ(speak("One.").end, ServiceErrc::unavailable);
    habits.error.clear();
    habits.garbled = true;
    server_.speak(habits);
    EXPECT_EQ(speak("One.").end, ServiceErrc::protocol);
    server_.speak({});
    expect_whole(speak("One."), "One.", 1);

    const auto probe = [&] { return test::result_of(shard_, tts_->probe(shard_)); };
    EXPECT_TRUE(probe().has_value());
    server_.refuse(402);
    EXPECT_EQ(probe().error(), ServiceErrc::rejected);
    open();
    EXPECT_EQ(speak("One.").end, ServiceErrc::rejected);
    server_.refuse(429);
    open();
    EXPECT_EQ(speak("One.").end, ServiceErrc::overloaded);
    server_.stop();
    open();
    EXPECT_EQ(speak("One.").end, ServiceErrc::unavailable);
    server_.refuse(0);
    server_.start();
    expect_whole(speak("One."), "One.", 1);
}

TEST_F(DeepgramTtsTest, AServerThatRestartsBetweenSentencesIsUsedAgain) {
    open();
    expect_whole(speak("One."), "One.", 1);
    server_.stop();
    server_.start();
    expect_whole(speak("Two."), "Two.", 1);
}

TEST_F(DeepgramTtsTest, EverythingMayGoAtAnyMoment) {
    FakeDeepgram::Speak habits;
    habits.pace = 1ms;
    server_.speak(habits);
    for (const auto moment : {0ms, 1ms, 5ms, 20ms}) {
        open();
        auto reply = session_->speak(std::string(500, 'x'));
        auto second = session_->speak("Two.");
        const auto outcome = test::start(shard_, second->next());
        test::run_for(shard_, moment);
        session_.reset();
        EXPECT_TRUE(test::run_until(shard_, [&] { return outcome->has_value(); }));
        EXPECT_EQ(outcome->value().error(), ServiceErrc::cancelled);
        expect_all_closed();
        reply.reset();
    }
}

TEST_F(DeepgramTtsTest, SpeaksOverTls) {
    const test::SelfMadeCertificate certificate{testing::TempDir(), "localhost"};
    test::TlsFront front{certificate, server_.port()};
    DeepgramTtsConfig config;
    config.endpoint.url = "wss://localhost:" + std::to_string(front.port()) + "/v1/speak";
    config.endpoint.tls.ca_file = certificate.certificate_file;
    open(config);
    expect_whole(speak("Hello."), "Hello.", 1);
    session_.reset();
    expect_all_closed();
}

TEST(DeepgramTts, ABadConfigurationIsAnErrorWithTheKeysName) {
    DeepgramTtsConfig config;
    EXPECT_THAT(
        [&] { DeepgramTts{config}; },
        testing::ThrowsMessage<std::runtime_error>(HasSubstr("[tts.deepgram] api_key"))
    );
    config.api_key = "x";
    EXPECT_NO_THROW(DeepgramTts{config});
    config.sample_rate = 44'100;
    EXPECT_THAT(
        [&] { DeepgramTts{config}; },
        testing::ThrowsMessage<std::runtime_error>(HasSubstr("[tts.deepgram] sample_rate"))
    );
}

}  // namespace
}  // namespace oavc::services
