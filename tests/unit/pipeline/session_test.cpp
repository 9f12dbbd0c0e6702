#include "support/session_test.hpp"

namespace oavc::pipeline {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using transports::EndReason;
using Kind = CallEvent::Kind;

TEST_F(SessionTest, GreetsListensAsksAndAnswers) {
    agent.greeting = "Hello and welcome.";
    start();
    run(500ms);
    EXPECT_THAT(tts.texts(), ElementsAre("Hello and welcome."));
    EXPECT_EQ(heard_of(0), samples_in(3 * 60ms, narrowband)) << "three words, every sample once";

    llm.reply({"It is ", "on its way. ", "Anything else?"});
    ask("where is my card");
    run(1s);
    ASSERT_EQ(llm.asks.size(), 1u);
    EXPECT_EQ(llm.asks[0].messages.back().text, "where is my card");
    EXPECT_EQ(llm.asks[0].messages.front().text, "Hello and welcome.");
    EXPECT_THAT(
        tts.texts(), ElementsAre("Hello and welcome.", "It is on its way.", "Anything else?")
    );
    EXPECT_EQ(heard_of(1), samples_in(5 * 60ms, narrowband));
    EXPECT_EQ(heard_of(2), samples_in(2 * 60ms, narrowband));
    EXPECT_THAT(
        recorder.texts(Kind::heard),
        ElementsAre("Hello and welcome.", "It is on its way. Anything else?")
    );
}

TEST_F(SessionTest, AVoicesSilentBeginningIsNotWaitedFor) {
    agent.greeting = "Hello.";
    services::TtsChunk audio{std::vector<media::Sample>(samples_in(133ms, narrowband)), narrowband};
    audio.samples.resize(audio.samples.size() + 1'600, 1'000);
    phrases.put(agent, "Hello.", audio, true);
    start();
    run(100ms);
    ASSERT_FALSE(call.sent.empty());
    const auto& first = call.sent.front().samples;
    const auto sound =
        static_cast<std::size_t>(std::find(first.begin(), first.end(), 1'000) - first.begin());
    EXPECT_LE(sound, samples_in(10ms, narrowband)) << "the first packet is heard";
    EXPECT_GE(sound, samples_in(5ms, narrowband)) << "a soft beginning stays";
}

/// Says the same whatever it is given, in chunks of one length.
class CutVoice final : public services::TtsService {
    using Audio = std::vector<media::Sample>;

public:
    CutVoice(Audio audio, std::size_t chunk) : audio_{std::move(audio)}, chunk_{chunk} {}

    std::string_view name() const noexcept override { return "cut"; }
    const services::TtsCapabilities& capabilities() const noexcept override { return caps_; }
    asio::awaitable<Result<std::unique_ptr<services::TtsSession>>> open(
        async::Shard&, services::TtsOptions
    ) override {
        std::unique_ptr<services::TtsSession> session = std::make_unique<Session>(*this);
        co_return session;
    }

private:
    struct Reply final : services::TtsReply {
        explicit Reply(const CutVoice& voice) : rest{voice.audio_}, chunk{voice.chunk_} {}
        asio::awaitable<Result<services::TtsChunk>> next() override {
            if (rest.empty()) co_return make_error_code(services::ServiceErrc::end_of_stream);
            const auto part = rest.first(std::min(chunk, rest.size()));
            rest = rest.subspan(part.size());
            co_return services::TtsChunk{{part.begin(), part.end()}, narrowband};
        }
        media::Samples rest;
        std::size_t chunk;
    };
    struct Session final : services::TtsSession {
        explicit Session(const CutVoice& v) : voice{v} {}
        std::unique_ptr<services::TtsReply> speak(std::string) override {
            return std::make_unique<Reply>(voice);
        }
        const CutVoice& voice;
    };

    const Audio audio_;
    const std::size_t chunk_;
    const services::TtsCapabilities caps_{.output_rate = narrowband};
};

class AVoicesBeginning : public SessionTest, public testing::WithParamInterface<std::size_t> {};

TEST_P(AVoicesBeginning, IsTheSameHoweverItIsCut) {
    const auto silence = samples_in(133ms, narrowband);
    std::vector<media::Sample> audio(silence);
    for (media::Sample level = 1'000; level < 2'600; ++level)
        audio.push_back(level);
    CutVoice cut{audio, GetParam()};
    voice = &cut;
    agent.greeting = "Hello.";
    start();
    run(400ms);
    std::vector<media::Sample> heard;
    for (const auto& sent : call.sent)
        heard.insert(heard.end(), sent.samples.begin(), sent.samples.end());
    const auto sound = std::find(heard.begin(), heard.end(), 1'000);
    ASSERT_GE(heard.end() - sound, 1'600);
    EXPECT_TRUE(std::equal(sound, sound + 1'600, audio.end() - 1'600)) << "all of it";
    const auto lead = static_cast<std::size_t>(sound - heard.begin());
    EXPECT_LE(lead, samples_in(10ms, narrowband)) << "the first packet is heard";
    EXPECT_GE(lead, samples_in(5ms, narrowband)) << "a soft beginning stays";
}
INSTANTIATE_TEST_SUITE_P(
    , AVoicesBeginning, testing::Values(7u, 16u, 39u, 41u, 80u, 152u, 160u, 1'063u, 1'064u, 10'000u)
);

TEST_F(SessionTest, ObserversSeeNoNumbersButTheModelAndTheVoiceGetTheTrueWords) {
    call.info.from = "+905321234567";
    call.info.to = "+908501112233";
    agent.greeting.clear();
    llm.reply({"I have noted 4242 4242 4242 4242."});
    start();
    ask("my card is four two four two 4242 4242 4242");
    run(2s);
    ASSERT_EQ(llm.asks.size(), 1u);
    EXPECT_EQ(llm.asks[0].messages.back().text, "my card is four two four two 4242 4242 4242");
    EXPECT_THAT(tts.texts(), ElementsAre("I have noted 4242 4242 4242 4242."));
    EXPECT_THAT(recorder.texts(Kind::caller_said), ElementsAre("my card is [card]"));
    EXPECT_THAT(recorder.texts(Kind::sentence), ElementsAre("I have noted [card]."));
    EXPECT_THAT(recorder.texts(Kind::heard), ElementsAre("I have noted [card]."));
    EXPECT_EQ(recorder.from, "[phone]");
    EXPECT_EQ(recorder.to, "+908501112233") << "the number that was dialled is ours";
}

TEST_F(SessionTest, AnAgentMayShowWhatItsCallersSay) {
    agent.mask_personal_data.clear();
    call.info.from = "+905321234567";
    llm.reply({"It is 4242."});
    start();
    ask("what is my pin");
    run(1s);
    EXPECT_THAT(recorder.texts(Kind::heard), ElementsAre("It is 4242."));
    EXPECT_EQ(recorder.from, "+905321234567");
}

TEST_F(SessionTest, TheCalleeOfAnOutgoingCallIsThePersonToHide) {
    call.info.outgoing = true;
    call.info.from = "+908501112233";
    call.info.to = "+905321234567";
    start();
    EXPECT_EQ(recorder.from, "+908501112233");
    EXPECT_EQ(recorder.to, "[phone]");
}

TEST_F(SessionTest, AnOutgoingCallGreetsOnceTheCalleesAudioArrives) {
    agent.greeting = "Hello and welcome.";
    call.info.outgoing = true;
    call.info.id = "0123456789abcdef";
    start();
    EXPECT_EQ(session->id().value, "0123456789abcdef") << "as it was promised";
    wire_only(1s);
    EXPECT_THAT(tts.texts(), ElementsAre()) << "nobody would hear its beginning";
    run(500ms);
    EXPECT_THAT(tts.texts(), ElementsAre("Hello and welcome."));
    EXPECT_EQ(heard_of(0), samples_in(3 * 60ms, narrowband));
}

TEST_F(SessionTest, ACalleeWhoseAudioDoesNotComeIsGreetedAllTheSame) {
    agent.greeting = "Hello and welcome.";
    agent.speak_first_after = 400ms;
    call.info.outgoing = true;
    start();
    wire_only(380ms);
    EXPECT_THAT(tts.texts(), ElementsAre());
    wire_only(100ms);
    EXPECT_THAT(tts.texts(), ElementsAre("Hello and welcome."));
}

TEST_F(SessionTest, AnOutgoingCallThatIsNotAnsweredTellsWhy) {
    call.info.outgoing = true;
    call.fail_connect = transports::CallControlErrc::busy;
    start();
    EXPECT_TRUE(over);
    EXPECT_THAT(recorder.texts(Kind::ended), ElementsAre("busy"));
    EXPECT_THAT(recorder.texts(Kind::answered), ElementsAre());
    EXPECT_TRUE(call.hung_up) << "what still rings is withdrawn";
}

TEST_F(SessionTest, TheRecogniserGetsThePreRollAndTheWholeUtterance) {
    start();
    run(2s);
    ask("hello");
    ASSERT_EQ(stt.utterances.size(), 1u);
    const auto& utterance = stt.utterances[0];
    EXPECT_TRUE(utterance.ended);
    // 300 ms of pre-roll, 1 s of speech, 500 ms until the turn ended, at 16 kHz; the resampler's
    // filter may hold back or add a few milliseconds.
    EXPECT_NEAR(static_cast<double>(utterance.samples.size()), 16.0 * 1800, 16.0 * 30);
}

TEST_F(SessionTest, TheLatencySplitAddsUpToWhatTheCallerHearsWithinOneFrame) {
    llm.hold = true;
    tts.hold = true;
    llm.reply({"Your card ", "is on its way."});
    start();
    run(200ms);
    run(1s, true);
    const auto silent_since = last_loud;
    run(500ms);
    run(140ms);
    stt.final("where is my card");
    run(220ms);
    llm.release();
    run(180ms);
    tts.release();
    run(500ms);

    const auto voiced = std::find_if(call.sent.begin(), call.sent.end(), [](const auto& sent) {
        return std::any_of(sent.samples.begin(), sent.samples.end(), [](auto s) { return s != 0; });
    });
    ASSERT_NE(voiced, call.sent.end());
    const auto measured = voiced->at - silent_since;  // from outside, on the wire's clock

    const auto* started = recorder.last(Kind::reply_started);
    ASSERT_NE(started, nullptr);
    const auto& split = started->latency;
    EXPECT_NEAR(to_ms(split.heard), to_ms(measured), 20);
    EXPECT_NEAR(
        to_ms(split.endpointing + split.stt + split.llm + split.tts + split.playout),
        to_ms(measured),
        20
    );
    EXPECT_NEAR(to_ms(split.endpointing), 500, 20);
    EXPECT_NEAR(to_ms(split.stt), 140, 20);
    EXPECT_NEAR(to_ms(split.llm), 220, 20);
    EXPECT_NEAR(to_ms(split.tts), 180, 20);
    EXPECT_LE(to_ms(split.playout), 20);
}

TEST_F(SessionTest, BargeInFallsSilentWithinAPacketOfDetectionAndNothingOfTheReplyFollows) {
    llm.reply({"One two three four five six seven eight nine ten eleven twelve."});
    start();
    ask("tell me a long story");
    run(300ms);
    const auto before = call.sent.size();
    const auto onset = call.now;
    run(1s, true);
    // 60 ms of speech to notice it, then silence.
    ASSERT_GT(call.sent.size(), before);
    EXPECT_LE(to_ms(call.sent.back().at - onset), 80);
    const auto sent = call.sent.size();
    stt.answers.push_back("stop");
    llm.reply({"All right."});
    run(1s);
    ASSERT_GT(call.sent.size(), sent) << "the next reply";
    for (std::size_t i = sent; i < call.sent.size(); ++i) {
        const auto& samples = call.sent[i].samples;
        EXPECT_EQ(std::count(samples.begin(), samples.end(), tts.level_of(0)), 0);
    }
    const auto* barge_in = recorder.last(Kind::barge_in);
    ASSERT_NE(barge_in, nullptr);
    EXPECT_LE(to_ms(barge_in->reaction), 80);
}

TEST_F(SessionTest, MemoryKeepsOnlyTheWordsThatWereHeard) {
    llm.reply({"One two three four five six seven eight nine ten."});
    start();
    ask("count to ten");
    run(300ms);
    run(1s, true);
    stt.answers.push_back("enough");
    run(600ms);
    ASSERT_EQ(llm.asks.size(), 2u);
    const auto& messages = llm.asks[1].messages;
    ASSERT_GE(messages.size(), 2u);
    const auto& assistant = messages[messages.size() - 2].text;
    EXPECT_THAT(assistant, HasSubstr("One two three"));
    EXPECT_THAT(assistant, Not(HasSubstr("eight"))) << "300 + 80 ms are six or seven words";
}

TEST_F(SessionTest, AFalseAlarmResumesAtTheVerySample) {
    llm.reply({"One two three four five six seven eight nine ten."});
    start();
    ask("count to ten");
    run(200ms);
    run(80ms, true);  // a cough
    run(2s);
    EXPECT_EQ(heard_of(0), samples_in(10 * 60ms, narrowband)) << "no sample lost or repeated";
    EXPECT_EQ(recorder.last(Kind::barge_in), nullptr);
    ASSERT_EQ(stt.utterances.size(), 2u);
    EXPECT_TRUE(stt.utterances[1].cancelled);
}

TEST_F(SessionTest, AFalseAlarmResumesAtTheVerySampleWhenTheCarrierBuffers) {
    call.carrier_buffer = 10;
    llm.reply({"One two three four five six seven eight nine ten."});
    start();
    ask("count to ten");
    run(200ms);
    run(80ms, true);
    run(2s);
    EXPECT_GT(call.clears, 0u);
    EXPECT_EQ(heard_of(0), samples_in(10 * 60ms, narrowband)) << "no sample lost or repeated";
}

TEST_F(SessionTest, AFalseAlarmResumesAtTheVerySampleHoweverMuchTheCarrierBuffers) {
    call.carrier_buffer = 100;  // 2 s, the most that may be configured for Twilio
    constexpr std::size_t sentences = 12;
    std::vector<std::string> tokens(
        sentences, "One two three four five six seven eight nine ten. "
    );
    llm.reply(tokens);
    start();
    ask("count");
    run(1s);
    run(80ms, true);
    run(9s);
    EXPECT_GT(call.clears, 0u);
    for (std::size_t i = 0; i < sentences; ++i)
        EXPECT_EQ(heard_of(i), samples_in(10 * 60ms, narrowband)) << i;
}

TEST_F(SessionTest, ABargeInClearsTheCarriersBufferAtOnce) {
    call.carrier_buffer = 10;
    llm.reply({"One two three four five six seven eight nine ten."});
    start();
    ask("count to ten");
    run(200ms);
    const auto onset = call.heard.size();
    run(1s, true);
    const auto last = std::find(call.heard.rbegin(), call.heard.rend(), tts.level_of(0));
    const auto heard_until = static_cast<std::size_t>(call.heard.rend() - last);
    EXPECT_LE(heard_until - onset, samples_in(100ms, narrowband));
}

TEST_F(SessionTest, StaleWordsOfAnInterruptedModelNeverReachTheVoice) {
    llm.hold = true;
    llm.reply({"First sentence. ", "Second sentence. ", "Third sentence."});
    start();
    ask("tell me");
    llm.release(2);
    run(100ms);
    llm.hold = false;
    llm.reply({"Other answer."});
    run(1s, true);
    stt.answers.push_back("no the other");
    run(600ms);
    EXPECT_TRUE(llm.asks[0].cancelled);
    for (const auto& text : tts.texts())
        EXPECT_THAT(text, Not(HasSubstr("Third")));
    EXPECT_EQ(tts.texts().back(), "Other answer.");
}

TEST_F(SessionTest, TheCallerHangingUpMidSentenceEndsEverything) {
    tts.hold = true;
    llm.reply({"A long story."});
    start();
    ask("tell me");
    tts.release(1);
    run(100ms);
    call.finish(EndReason::caller_hung_up);
    run(40ms);
    EXPECT_TRUE(over);
    EXPECT_TRUE(tts.spoken.back().cancelled);
    EXPECT_EQ(recorder.events.back().kind, Kind::ended);
    EXPECT_EQ(recorder.events.back().text, to_string(EndReason::caller_hung_up));
}

TEST_F(SessionTest, ALongReplyIsSynthesisedAtMostThreeSecondsAhead) {
    tts.word_time = 1s;
    llm.reply({"One two three four five six seven eight nine ten."});
    start();
    ask("count slowly");
    run(100ms);
    EXPECT_LE(tts.spoken[0].chunks_taken, 5u);
    run(11s);
    EXPECT_EQ(heard_of(0), samples_in(10s, narrowband));
}

}  // namespace
}  // namespace oavc::pipeline
