#include "pipeline/session.hpp"

#include "async/run_blocking.hpp"
#include "async/task_group.hpp"
#include "support/fake_services.hpp"
#include "support/fake_transport.hpp"
#include "transports/errors.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace oavc::pipeline {
namespace {

using services::LlmEvent;
using services::ServiceErrc;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using transports::EndReason;
using Kind = CallEvent::Kind;

/// Hears speech in whatever is loud: decides on each frame by itself.
class LoudnessVad final : public media::VadFactory {
    class Engine final : public media::VadEngine {
        SampleRate input_rate() const noexcept override { return narrowband; }
        media::VadDecision process(media::FrameView frame) noexcept override {
            const bool loud = std::any_of(frame.samples.begin(), frame.samples.end(), [](auto s) {
                return std::abs(s) > 500;
            });
            return {loud ? 1.0F : 0.0F, loud, 0, 0};
        }
        void reset() noexcept override {}
    };

public:
    std::string_view name() const noexcept override { return "loudness"; }
    SampleRate input_rate() const noexcept override { return narrowband; }
    std::unique_ptr<media::VadEngine> make() const override { return std::make_unique<Engine>(); }
};

class Recorder final : public CallObserver {
public:
    std::vector<CallEvent> events;
    void on_call_event(
        const SessionId&, const transports::CallInfo&, const CallEvent& e
    ) noexcept override {
        events.push_back(e);
    }
    std::vector<std::string> texts(Kind kind) const {
        std::vector<std::string> found;
        for (const auto& e : events) {
            if (e.kind == kind) found.push_back(e.text);
        }
        return found;
    }
    const CallEvent* last(Kind kind) const {
        const CallEvent* found = nullptr;
        for (const auto& e : events) {
            if (e.kind == kind) found = &e;
        }
        return found;
    }
};

/// A whole call on virtual time: a caller who is loud or silent, and services in the test's hand.
class SessionTest : public testing::Test {
protected:
    async::Shard shard{0};
    services::FakeStt stt;
    services::FakeLlm llm;
    services::FakeTts tts;
    LoudnessVad vad;
    Config config;
    AgentConfig agent;
    PhraseCache phrases;
    Recorder recorder;
    transports::FakeCall call;
    std::unique_ptr<Session> session;
    bool over{false};
    TimePoint last_loud{};

    SessionTest() {
        agent.greeting.clear();
        tts.caps.output_rate = narrowband;  // samples reach the wire unchanged
        config.vad.min_silence = 300ms;
    }
    ~SessionTest() override {
        if (!over && session) {
            call.finish(EndReason::caller_hung_up);
            run(200ms);
        }
        EXPECT_TRUE(over) << "the session did not end";
        session.reset();
        EXPECT_EQ(stt.open_streams, 0u);
        EXPECT_EQ(llm.open_sessions, 0u);
        EXPECT_EQ(llm.open_replies, 0u);
        EXPECT_EQ(tts.open_sessions, 0u);
        EXPECT_EQ(tts.open_replies, 0u);
        EXPECT_EQ(stt.pushes_outside_utterance, 0u);
        EXPECT_EQ(call.open_transports, 0u);
    }

    static asio::awaitable<void> run_session(Session* session, bool* over) {
        co_await session->run();
        *over = true;
    }

    void poll() {
        shard.context().restart();
        shard.context().poll();
    }

    void start() {
        observers_ = {&recorder};
        SessionContext context{
            config,
            agent,
            Services{stt, llm, tts, vad},
            phrases,
            observers_,
            log::Logger{},
            [this] { return call.now; },
        };
        session = std::make_unique<Session>(
            shard, std::make_unique<transports::FakeTransport>(call, shard), std::move(context)
        );
        asio::co_spawn(shard.context(), run_session(session.get(), &over), asio::detached);
        poll();
    }

    /// Time passes in frames: the caller is loud or silent, the wire ticks, coroutines run.
    void run(milliseconds duration, bool loud = false) {
        const std::vector<media::Sample> frame(call.format.samples_per_frame(), loud ? 8000 : 0);
        for (milliseconds t{0}; t < duration; t += frame_time) {
            call.now += frame_time;
            call.frame(frame);
            if (loud) last_loud = call.now;
            call.tick();
            poll();
        }
    }

    /// Time passes without a sound from the other side.
    void wire_only(milliseconds duration) {
        for (milliseconds t{0}; t < duration; t += frame_time) {
            call.now += frame_time;
            call.tick();
            poll();
        }
    }

    /// The caller says something that is recognised as `text`; we are about to reply.
    void ask(std::string text, milliseconds length = 1s) {
        stt.answers.push_back(std::move(text));
        run(length, true);
        run(500ms);
    }

    /// The caller presses keys, 200 ms apart.
    void press(std::string_view keys) {
        for (const char key : keys) {
            call.sink->on_digit(key, transports::DigitSource::sip_info);
            run(200ms);
        }
    }

    std::size_t heard_of(std::size_t reply) const {
        const auto level = tts.level_of(reply);
        return static_cast<std::size_t>(std::count(call.heard.begin(), call.heard.end(), level));
    }

private:
    std::vector<CallObserver*> observers_;
};

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

TEST_F(SessionTest, AModelThatFailsIsApologisedForAndTheCallHangsUp) {
    agent.failure_sentence = "Something is wrong.";
    llm.reply_then_fail({"Let me"}, ServiceErrc::unavailable);
    start();
    ask("hello");
    run(2s);
    EXPECT_EQ(tts.texts().back(), "Something is wrong.");
    EXPECT_TRUE(call.hung_up);
    EXPECT_TRUE(over);
}

TEST_F(SessionTest, AModelThatFailsAtOnceDoesNotCutTheApologyShort) {
    agent.failure_sentence = "Something is wrong.";
    llm.reply_then_fail({}, ServiceErrc::unavailable);
    tts.hold = true;
    start();
    ask("hello");
    run(200ms);
    EXPECT_FALSE(call.hung_up) << "its voice needs a moment";
    tts.release();
    run(2s);
    EXPECT_EQ(recorder.texts(Kind::heard).back(), agent.failure_sentence);
    EXPECT_TRUE(call.hung_up);
}

TEST_F(SessionTest, EverythingDownHandsTheCallerToTheFallbackNumber) {
    agent.fallback_number = "sip:people@example.com";
    llm.reply_then_fail({}, ServiceErrc::unavailable);
    start();
    ask("hello");
    run(5s);
    EXPECT_EQ(call.transferred_to, "sip:people@example.com");
}

TEST_F(SessionTest, AVoiceThatFailsEndsTheCallInsteadOfSilence) {
    tts.fail_speak = ServiceErrc::unavailable;
    start();
    ask("hello");
    run(500ms);
    EXPECT_TRUE(call.hung_up);
    EXPECT_TRUE(over);
}

TEST_F(SessionTest, ARecogniserThatFailsIsApologisedFor) {
    agent.failure_sentence = "Something is wrong.";
    start();
    run(100ms);
    stt.fail(ServiceErrc::unavailable);
    run(2s);
    EXPECT_THAT(tts.texts(), ElementsAre("Something is wrong."));
    EXPECT_TRUE(over);
}

TEST_F(SessionTest, AServiceThatCannotBeOpenedRefusesTheCallBeforeItIsAnswered) {
    llm.fail_open = ServiceErrc::unavailable;
    start();
    run(20ms);
    EXPECT_EQ(call.rejected, 503);
    EXPECT_FALSE(call.connected);
    EXPECT_TRUE(over);
}

/// What make_phrases finds to make, with this test's voice.
void make_fixed_sentences(
    async::Shard& shard, services::FakeTts& voice, AgentConfig& agent, PhraseCache& to
) {
    async::run_blocking(
        shard, make_phrases(shard, voice, nullptr, std::span{&agent, 1}, to, log::Logger{})
    );
}

TEST_F(SessionTest, FixedSentencesAreReadyBeforeTheCallAndNeedNoVoice) {
    agent.greeting = "Hello there. How can I help?";
    make_fixed_sentences(shard, tts, agent, phrases);
    const auto made = tts.spoken.size();
    EXPECT_GE(made, 5u);
    tts.hold = true;  // a voice that is slow
    start();
    run(40ms);
    EXPECT_FALSE(call.sent.empty());
    run(4s);
    EXPECT_EQ(tts.spoken.size(), made) << "nothing was synthesised in the call";
    EXPECT_EQ(heard_of(0), samples_in(2 * tts.word_time, narrowband));
    EXPECT_EQ(heard_of(1), samples_in(4 * tts.word_time, narrowband));
}

TEST_F(SessionTest, EverythingDownIsSaidByWhatWasSynthesisedBefore) {
    agent.fallback_number = "sip:operator@example.com";
    make_fixed_sentences(shard, tts, agent, phrases);
    stt.fail_open = ServiceErrc::unavailable;
    llm.fail_open = ServiceErrc::unavailable;
    tts.fail_open = ServiceErrc::unavailable;
    start();
    run(3s);
    EXPECT_TRUE(call.connected);
    EXPECT_EQ(call.transferred_to, "sip:operator@example.com");
    EXPECT_EQ(recorder.texts(Kind::heard).back(), agent.failure_sentence);
}

TEST_F(SessionTest, ACallerWhoTalksOverTheApologyOfACallWithoutServicesHearsAllOfIt) {
    agent.failure_sentence = "We are sorry but nothing works at the moment, please call again.";
    make_fixed_sentences(shard, tts, agent, phrases);
    stt.fail_open = ServiceErrc::unavailable;
    llm.fail_open = ServiceErrc::unavailable;
    tts.fail_open = ServiceErrc::unavailable;
    start();
    run(100ms);
    run(300ms, true);
    session->say_goodbye();
    call.sink->on_hold(true);
    run(200ms, true);
    call.sink->on_hold(false);
    run(100ms);
    run(2s, true);
    EXPECT_EQ(recorder.texts(Kind::heard), std::vector{agent.failure_sentence});
    EXPECT_THAT(recorder.texts(Kind::barge_in), testing::IsEmpty());
    EXPECT_TRUE(over);
}

TEST_F(SessionTest, ASlowModelIsCoveredByAFillerAndTheReplyFollows) {
    agent.filler_sentence = "One moment please.";
    agent.filler_after = 1s;
    llm.hold = true;
    llm.reply({"It is open."});
    start();
    ask("is it open");
    run(800ms);
    EXPECT_TRUE(tts.spoken.empty());
    run(400ms);
    ASSERT_EQ(tts.spoken.size(), 1u);
    EXPECT_EQ(tts.spoken.front().text, "One moment please.");
    llm.release();
    run(2s);
    EXPECT_THAT(tts.texts(), testing::ElementsAre("One moment please.", "It is open."));
}

TEST_F(SessionTest, AModelThatTakesOverDoesNotRepeatWhatWasSaid) {
    services::FakeLlm::Reply taken_over;
    using E = LlmEvent::Kind;
    taken_over.events = {
        {E::text, "We open at nine. And we clo"},
        {E::restart},
        {E::text, "We open at nine. We close at five."}};
    llm.fallback = taken_over;
    start();
    ask("when are you open");
    run(3s);
    EXPECT_THAT(tts.texts(), testing::ElementsAre("We open at nine.", "We close at five."));
}

TEST_F(SessionTest, AModelMayEndOrTransferTheCallButNotToWhereItLikes) {
    using E = LlmEvent::Kind;
    agent.transfer_to = "sip:people@example.com";
    llm.reply(
        {"I connect you."},
        LlmEvent{E::tool_call, {}, {"1", "transfer_call", R"({"to":"+900123456789"})"}}
    );
    start();
    ask("a person please");
    run(3s);
    EXPECT_EQ(call.transferred_to, "sip:people@example.com");
    ASSERT_FALSE(llm.asks.empty());
    EXPECT_THAT(
        llm.asks[0].tools,
        testing::ElementsAre(
            testing::Field(&services::Tool::name, "end_call"),
            testing::Field(&services::Tool::name, "transfer_call")
        )
    );
}

TEST_F(SessionTest, AReplyWithoutAWordIsAFailureAndNotSilence) {
    agent.failure_sentence = "Something is wrong.";
    llm.reply({});
    start();
    ask("hello");
    run(2s);
    EXPECT_THAT(tts.texts(), ElementsAre("Something is wrong."));
    EXPECT_TRUE(over);
}

TEST_F(SessionTest, HangsUpAfterTheLastWordWasHeard) {
    llm.reply({"Goodbye, and thank you."}, LlmEvent{LlmEvent::Kind::hang_up, {}});
    start();
    ask("goodbye");
    run(3s);
    EXPECT_EQ(heard_of(0), samples_in(4 * 60ms, narrowband));
    EXPECT_TRUE(call.hung_up);
    EXPECT_TRUE(over);
}

TEST_F(SessionTest, TransfersAfterTheLastWordWasHeard) {
    llm.reply({"I will connect you."}, LlmEvent{LlmEvent::Kind::transfer, "sip:agent@example.com"});
    start();
    ask("a person please");
    run(3s);
    EXPECT_EQ(heard_of(0), samples_in(4 * 60ms, narrowband));
    EXPECT_EQ(call.transferred_to, "sip:agent@example.com");
    EXPECT_TRUE(over);
}

TEST_F(SessionTest, SaysGoodbyeWhenTheInstanceDrains) {
    agent.goodbye = "We have to end here. Goodbye.";
    llm.reply({"One two three four five six seven eight nine ten."});
    start();
    ask("count");
    run(200ms);
    session->say_goodbye();
    run(3s);
    EXPECT_EQ(tts.texts().back(), "Goodbye.");
    EXPECT_TRUE(call.hung_up);
    EXPECT_TRUE(over);
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

TEST_F(SessionTest, CancellingTheCallAtAnyMomentEndsItAndLeaksNothing) {
    for (const bool answered : {false, true}) {
        async::TaskGroup group{shard.executor(), [](std::exception_ptr) { FAIL(); }};
        agent.greeting = "Hello and welcome to a long greeting.";
        over = false;
        SessionContext context{
            config,
            agent,
            Services{stt, llm, tts, vad},
            phrases,
            {},
            log::Logger{},
            [this] { return call.now; },
        };
        session = std::make_unique<Session>(
            shard, std::make_unique<transports::FakeTransport>(call, shard), std::move(context)
        );
        group.spawn(run_session(session.get(), &over));
        if (answered) run(100ms);
        group.cancel();
        run(40ms);
        EXPECT_TRUE(group.empty());
        if (answered) {
            EXPECT_TRUE(over);
            EXPECT_TRUE(call.hung_up);
        }
        session.reset();
    }
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

TEST_F(SessionTest, HoldPausesTheReplyAndResumeGoesOnAtTheSameSample) {
    llm.reply({"One two three four five six seven eight nine ten."});
    start();
    ask("count");
    run(200ms);
    call.sink->on_hold(true);
    const auto sent = call.sent.size();
    run(5s);
    EXPECT_EQ(call.sent.size(), sent);
    call.sink->on_hold(false);
    run(2s);
    EXPECT_EQ(heard_of(0), samples_in(10 * 60ms, narrowband));
}

// --- The last word ------------------------------------------------------------------------------

TEST_F(SessionTest, HangsUpAMomentAfterTheLastFrameLeftOnRtp) {
    llm.reply({"Goodbye, and thank you."}, LlmEvent{LlmEvent::Kind::hang_up, {}});
    start();
    ask("goodbye");
    while (!call.hung_up && call.now < TimePoint{} + 10s)
        run(20ms);
    EXPECT_EQ(heard_of(0), samples_in(4 * 60ms, narrowband)) << "every sample of it";
    const auto since = call.now - call.sent.back().at;
    EXPECT_GE(to_ms(since), 200) << "the other side's jitter buffer still plays it";
    EXPECT_LE(to_ms(since), 260);
}

TEST_F(SessionTest, HangsUpAMomentAfterTheCarrierHasPlayedTheLastFrame) {
    call.carrier_buffer = 10;
    llm.reply({"Goodbye, and thank you."}, LlmEvent{LlmEvent::Kind::hang_up, {}});
    start();
    ask("goodbye");
    while (!call.hung_up && call.now < TimePoint{} + 10s)
        run(20ms);
    EXPECT_TRUE(call.buffered.empty());
    EXPECT_EQ(heard_of(0), samples_in(4 * 60ms, narrowband));
}

TEST_F(SessionTest, ACarrierThatNeverConfirmsTheLastWordKeepsNobodyInTheLine) {
    call.never_confirm = true;
    llm.reply({"Goodbye, and thank you."}, LlmEvent{LlmEvent::Kind::hang_up, {}});
    start();
    ask("goodbye");
    run(2s);
    EXPECT_FALSE(call.hung_up);
    run(2s);
    EXPECT_TRUE(call.hung_up);
    EXPECT_EQ(tts.texts().size(), 1u) << "and nobody apologises for it";
}

// --- Keys ---------------------------------------------------------------------------------------

TEST_F(SessionTest, KeysBecomeTheCallersTurnAndOnlyTheModelSeesThem) {
    agent.digits = "collect";
    agent.digit_count = 4;
    agent.greeting = "Please enter your four digit number now with the keys.";
    start();
    run(200ms);
    press("1234");
    run(1s);
    EXPECT_LT(heard_of(0), samples_in(10 * 60ms, narrowband)) << "the first key stopped us";
    ASSERT_EQ(llm.asks.size(), 1u);
    EXPECT_EQ(llm.asks[0].messages.back().text, "[keypad: 1234]");
    EXPECT_EQ(llm.asks[0].messages.back().keys, "1234");
    EXPECT_THAT(recorder.texts(Kind::caller_said), ElementsAre("[keypad: ****]"));
    EXPECT_THAT(recorder.texts(Kind::digit), ElementsAre("", "", "", ""));
    for (const auto& event : recorder.events)
        EXPECT_THAT(event.text, Not(HasSubstr("1234")));
}

TEST_F(SessionTest, KeysAreKeptFromTheModelOrShownToEverybodyWhereTheAgentSaysSo) {
    agent.digits = "collect";
    agent.model_sees_digits = false;
    agent.reveal_digits = true;
    start();
    press("12#");
    run(500ms);
    ASSERT_EQ(llm.asks.size(), 1u);
    EXPECT_EQ(llm.asks[0].messages.back().text, "[keypad: **]");
    EXPECT_EQ(llm.asks[0].messages.back().keys, "12") << "for engines inside the process";
    EXPECT_THAT(recorder.texts(Kind::caller_said), ElementsAre("[keypad: 12]"));
    EXPECT_THAT(recorder.texts(Kind::digit), ElementsAre("1", "2", "#"));
}

TEST_F(SessionTest, AKeyOnlyInterruptsWhereTheAgentWantsNoMore) {
    llm.reply({"One two three four five six seven eight nine ten."});
    start();
    ask("count");
    run(200ms);
    press("5");
    run(5s);
    EXPECT_LT(heard_of(0), samples_in(10 * 60ms, narrowband));
    EXPECT_EQ(llm.asks.size(), 1u);
    ASSERT_NE(recorder.last(Kind::barge_in), nullptr);
    EXPECT_EQ(recorder.last(Kind::barge_in)->text, "key");
}

TEST_F(SessionTest, AKeyThatIsIgnoredOnlyShowsThatTheCallerIsThere) {
    agent.digits = "ignore";
    llm.reply({"One two three four five six seven eight nine ten."});
    start();
    ask("count");
    run(200ms);
    press("5");
    run(2s);
    EXPECT_EQ(heard_of(0), samples_in(10 * 60ms, narrowband));
}

TEST_F(SessionTest, AReplyMayAskForKeysAndTheyMayBePressedBeforeItHasEnded) {
    agent.digits = "ignore";
    LlmEvent collect{.kind = LlmEvent::Kind::collect, .keypad = {.count = 2}};
    llm.reply({"Which room please?"}, collect);
    start();
    ask("hello");
    run(1s);
    run(3s);
    press("17");
    run(100ms);
    ASSERT_EQ(llm.asks.size(), 2u);
    EXPECT_EQ(llm.asks[1].messages.back().keys, "17");

    llm.reply({"One two three four five six seven eight nine ten."}, collect);
    ask("again");
    run(100ms);
    press("18");
    run(100ms);
    ASSERT_EQ(llm.asks.size(), 4u);
    EXPECT_EQ(llm.asks[3].messages.back().keys, "18");
}

TEST_F(SessionTest, KeysThatDoNotComeAreToldAndWhoSpeaksInsteadIsHeard) {
    LlmEvent collect{.kind = LlmEvent::Kind::collect, .keypad = {.count = 2, .first = 20s}};
    config.turns.idle_prompt = 10s;
    llm.reply({"Which room?"}, collect);
    start();
    ask("hello");
    run(21s);
    ASSERT_EQ(llm.asks.size(), 2u);
    EXPECT_EQ(llm.asks[1].messages.back().text, "[keypad: nothing]");
    EXPECT_EQ(llm.asks[1].messages.back().keys, "");
    EXPECT_THAT(tts.texts(), Not(testing::Contains(agent.idle_sentence))) << "he looks for it";

    llm.reply({"Which room?"}, collect);
    ask("again");
    run(1s);
    ask("I do not know it");
    ASSERT_EQ(llm.asks.size(), 4u);
    EXPECT_EQ(llm.asks[3].messages.back().keys, std::nullopt);
    run(9s);
    EXPECT_EQ(llm.asks.size(), 4u) << "the question is withdrawn";
}

// --- What the model may do
// ------------------------------------------------------------------------

LlmEvent tool_call(std::string name, std::string arguments = "{}") {
    return {
        .kind = LlmEvent::Kind::tool_call,
        .tool = {.id = "c1", .name = std::move(name), .arguments = std::move(arguments)}};
}

TEST_F(SessionTest, AModelChoosesAmongNamedTargets) {
    agent.transfer_targets = {"sales:sip:sales@example.com", "support:+905551234567"};
    agent.attended_transfer = true;
    llm.reply({"I connect you."}, tool_call("transfer_call", R"({"target":"support"})"));
    start();
    ask("support please");
    run(3s);
    EXPECT_EQ(call.transferred_to, "+905551234567");
    EXPECT_EQ(call.attended_patience, 30s);
    EXPECT_THAT(llm.asks[0].tools[1].parameters, HasSubstr(R"("enum":["sales","support"])"));
    EXPECT_TRUE(over);
}

TEST_F(SessionTest, WhatTheCarrierCannotDoIsNotOffered) {
    call.controls = {};
    agent.transfer_to = "sip:people@example.com";
    agent.allow_send_digits = true;
    llm.reply({"One moment."}, tool_call("transfer_call"));
    llm.reply({"I cannot do that."});
    start();
    ask("a person please");
    run(2s);
    ASSERT_EQ(llm.asks.size(), 2u);
    ASSERT_EQ(llm.asks[0].tools.size(), 1u);
    EXPECT_EQ(llm.asks[0].tools[0].name, "end_call");
    EXPECT_EQ(tts.texts().back(), "I cannot do that.") << "it was told, and the call goes on";
    EXPECT_FALSE(over);
}

TEST_F(SessionTest, ATransferThatFailsIsToldToTheModelWhoTellsTheCaller) {
    agent.transfer_to = "sip:people@example.com";
    call.fail_transfer = make_error_code(transports::CallControlErrc::busy);
    llm.reply({"I connect you."}, tool_call("transfer_call"));
    llm.reply({"They are busy, sorry."});
    start();
    ask("a person please");
    run(3s);
    ASSERT_EQ(llm.asks.size(), 2u);
    const auto& messages = llm.asks[1].messages;
    using Role = services::ChatMessage::Role;
    ASSERT_GE(messages.size(), 3u);
    EXPECT_EQ(messages[messages.size() - 2].role, Role::assistant);
    EXPECT_EQ(messages[messages.size() - 2].text, "I connect you.");
    ASSERT_EQ(messages[messages.size() - 2].tool_calls.size(), 1u);
    EXPECT_EQ(messages.back().role, Role::tool);
    EXPECT_EQ(messages.back().tool_call_id, "c1");
    EXPECT_EQ(messages.back().text, "failed: busy");
    EXPECT_EQ(tts.texts().back(), "They are busy, sorry.");
    EXPECT_THAT(recorder.texts(Kind::control), ElementsAre("transfer: busy"));
    EXPECT_FALSE(over) << "the caller is kept";
    ask("never mind");
    EXPECT_EQ(llm.asks.size(), 3u);
}

TEST_F(SessionTest, AModelThatWillNotStopFailingIsNotAskedForEver) {
    agent.transfer_to = "sip:people@example.com";
    call.fail_transfer = make_error_code(transports::CallControlErrc::busy);
    llm.fallback = {{tool_call("transfer_call")}, {}};
    start();
    ask("a person please");
    run(10s);
    EXPECT_EQ(llm.asks.size(), 4u);
    EXPECT_EQ(tts.texts().back(), "How else can I help?");
    EXPECT_FALSE(over);
}

TEST_F(SessionTest, AScriptedTransferThatFailsIsToldByTheAgentsSentence) {
    call.fail_transfer = make_error_code(transports::CallControlErrc::no_answer);
    llm.reply({"I connect you."}, LlmEvent{LlmEvent::Kind::transfer, "sip:agent@example.com"});
    start();
    ask("a person please");
    run(4s);
    EXPECT_THAT(
        tts.texts(),
        ElementsAre(
            "I connect you.", "I am sorry, I could not connect you.", "How else can I help?"
        )
    );
    EXPECT_FALSE(over);
    ask("never mind");
    EXPECT_EQ(llm.asks.size(), 2u);
}

TEST_F(SessionTest, AModelPressesKeysWhereItIsAllowedTo) {
    agent.allow_send_digits = true;
    llm.reply({}, tool_call("send_dtmf", R"({"digits":"1w#"})"));
    start();
    ask("press one for sales");
    run(2s);
    EXPECT_EQ(call.pressed, "1w#");
    EXPECT_EQ(llm.asks.size(), 1u) << "then it listens";
    EXPECT_TRUE(tts.texts().empty()) << "a reply without a word is none here";
    ask("sales, good day");
    ASSERT_EQ(llm.asks.size(), 2u);
    const auto& messages = llm.asks[1].messages;
    EXPECT_EQ(messages[messages.size() - 2].text, "done");
}

TEST_F(SessionTest, ADialoguePressesKeysAndThenHangsUp) {
    services::FakeLlm::Reply reply;
    reply.events = {
        {LlmEvent::Kind::text, "Opening the door."},
        {LlmEvent::Kind::send_digits, "9#"},
        {LlmEvent::Kind::hang_up}};
    llm.fallback = reply;
    start();
    ask("open");
    run(2s);
    EXPECT_EQ(call.pressed, "9#");
    EXPECT_TRUE(call.hung_up);
    EXPECT_TRUE(over);
}

TEST_F(SessionTest, TheCallerMayHangUpWhileATransferIsUnderWay) {
    call.keep_control = true;
    llm.reply({"I connect you."}, LlmEvent{LlmEvent::Kind::transfer, "sip:agent@example.com"});
    start();
    ask("a person please");
    run(2s);
    call.finish(EndReason::caller_hung_up);
    run(40ms);
    EXPECT_TRUE(over);
    EXPECT_EQ(recorder.events.back().text, to_string(EndReason::caller_hung_up));
}

// --- Held by the other side
// -----------------------------------------------------------------------

TEST_F(SessionTest, HoldMusicIsNoCallerAndTheBotWaitsForHim) {
    start();
    run(100ms);
    call.sink->on_hold(true);
    run(60s, true);  // music
    EXPECT_TRUE(stt.utterances.empty());
    EXPECT_TRUE(call.sent.empty()) << "not even asked whether he is there";
    call.sink->on_hold(false);
    run(1s);
    ask("I am back");
    EXPECT_EQ(llm.asks.size(), 1u);
}

TEST_F(SessionTest, AReplyThatIsReadyDuringAHoldIsSpokenAfterIt) {
    llm.hold = true;
    llm.reply({"It is on its way."});
    start();
    ask("where is my card");
    call.sink->on_hold(true);
    llm.release();
    run(30s);
    EXPECT_TRUE(call.sent.empty());
    call.sink->on_hold(false);
    run(1s);
    EXPECT_EQ(heard_of(0), samples_in(5 * 60ms, narrowband));
}

TEST_F(SessionTest, AHeldCallEndsAtItsLongestDurationToo) {
    config.limits.max_call_duration = std::chrono::seconds{20};
    start();
    run(100ms);
    call.sink->on_hold(true);
    run(21s);
    EXPECT_TRUE(call.hung_up);
    EXPECT_TRUE(tts.texts().empty());
}

// --- Commands from outside
// ------------------------------------------------------------------------

class SessionCommandTest : public SessionTest {
protected:
    std::optional<error_code> told;
    void command(CallCommand wish) {
        told.reset();
        session->obey(std::move(wish), [this](error_code outcome) { told = outcome; });
        poll();
    }
    using Wish = CallCommand::Kind;
    inline static const error_code ok;
};

TEST_F(SessionCommandTest, HangsUpAtOnceOrWithAGoodbye) {
    agent.goodbye = "Goodbye then.";
    start();
    run(100ms);
    command({.kind = Wish::hang_up, .goodbye = true});
    EXPECT_EQ(told, ok);
    run(1s);
    EXPECT_THAT(tts.texts(), ElementsAre("Goodbye then."));
    EXPECT_TRUE(over);
}

TEST_F(SessionCommandTest, ACallThatStillRingsCanOnlyBeHungUp) {
    call.keep_ringing = true;
    start();
    command({.kind = Wish::hold});
    EXPECT_EQ(told, transports::CallControlErrc::wrong_state);
    command({.kind = Wish::hang_up});
    EXPECT_EQ(told, ok);
    poll();
    EXPECT_TRUE(call.hung_up);
    EXPECT_TRUE(over);
}

TEST_F(SessionCommandTest, TransfersToANumberOrANamedTargetAndKeepsWhoCannotBeTransferred) {
    agent.transfer_targets = {"sales:sip:sales@example.com"};
    call.fail_transfer = make_error_code(transports::CallControlErrc::no_answer);
    llm.reply({"One two three four five six seven eight nine ten."});
    start();
    ask("count");
    run(100ms);
    command({.kind = Wish::transfer, .text = "+905551234567"});
    EXPECT_EQ(told, transports::CallControlErrc::no_answer);
    run(1s);
    EXPECT_LT(heard_of(0), samples_in(10 * 60ms, narrowband)) << "we fell silent for it";
    ask("hello?");
    EXPECT_EQ(llm.asks.size(), 2u) << "the conversation goes on";

    call.fail_transfer.reset();
    command({.kind = Wish::transfer, .text = "sales", .attended = true, .patience = 10s});
    EXPECT_EQ(told, ok);
    EXPECT_EQ(call.transferred_to, "sip:sales@example.com");
    EXPECT_EQ(call.attended_patience, 10s);
    run(40ms);
    EXPECT_TRUE(over);
}

TEST_F(SessionCommandTest, HoldsAndResumesInTheMiddleOfAWord) {
    llm.reply({"One two three four five six seven eight nine ten."});
    start();
    ask("count");
    run(200ms);
    command({.kind = Wish::hold});
    EXPECT_EQ(told, ok);
    const auto sent = call.sent.size();
    run(30s, true);
    EXPECT_EQ(call.sent.size(), sent);
    EXPECT_EQ(stt.utterances.size(), 1u) << "what is heard meanwhile is not for us";
    command({.kind = Wish::resume});
    EXPECT_EQ(told, ok);
    run(2s);
    EXPECT_EQ(heard_of(0), samples_in(10 * 60ms, narrowband)) << "no sample lost or repeated";
    EXPECT_EQ(call.holds, (std::vector{true, false}));
}

TEST_F(SessionCommandTest, SaysWhatItIsToldToWhenThereIsRoomOrAtOnce) {
    llm.reply({"One two three four five six seven eight nine ten."});
    start();
    ask("count");
    run(200ms);
    command({.kind = Wish::say, .text = "Your call is recorded."});
    EXPECT_EQ(told, ok);
    run(2s);
    EXPECT_EQ(heard_of(0), samples_in(10 * 60ms, narrowband)) << "after what we were saying";
    EXPECT_EQ(heard_of(1), samples_in(4 * 60ms, narrowband));
    llm.reply({"One two three four five six seven eight nine ten."});
    ask("count again");
    run(200ms);
    command({.kind = Wish::say, .text = "Fire.", .interrupt = true});
    run(1s);
    EXPECT_LT(heard_of(2), samples_in(10 * 60ms, narrowband));
    EXPECT_EQ(tts.texts().back(), "Fire.");
}

TEST_F(SessionCommandTest, PressesKeysAndSaysWhatTheCarrierCannotDo) {
    start();
    run(100ms);
    command({.kind = Wish::send_digits, .text = "12#"});
    EXPECT_EQ(told, ok);
    EXPECT_EQ(call.pressed, "12#");
    call.controls = {};
    for (const auto kind : {Wish::transfer, Wish::hold, Wish::resume}) {
        command({.kind = kind, .text = "1"});
        EXPECT_EQ(told, transports::CallControlErrc::not_supported);
    }
}

TEST_F(SessionCommandTest, WhoAsksIsToldWhenTheCallEndsFirst) {
    call.keep_control = true;
    start();
    run(100ms);
    command({.kind = Wish::transfer, .text = "1"});
    EXPECT_EQ(told, std::nullopt);
    call.finish(EndReason::caller_hung_up);
    run(40ms);
    EXPECT_EQ(told, transports::CallControlErrc::gone);
    command({.kind = Wish::hang_up});
    EXPECT_EQ(told, transports::CallControlErrc::gone);
}

}  // namespace
}  // namespace oavc::pipeline
