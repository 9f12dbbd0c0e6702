#include "async/run_blocking.hpp"
#include "support/session_test.hpp"
#include "support/temporary_folder.hpp"

#include <fstream>
#include <string>

namespace oavc::pipeline {
namespace {

using services::LlmEvent;
using services::ServiceErrc;
using testing::ElementsAre;
using Kind = CallEvent::Kind;

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

TEST_F(SessionTest, WhatServicesLogOfACallNamesTheCall) {
    const test::TemporaryFolder folder;
    log::configure({.format = log::Format::json, .file = folder.file("log")});
    start();
    stt.opened.at(0).log.warn("stt");
    llm.opened.at(0).log.warn("llm");
    tts.opened.at(0).log.warn("tts");
    log::configure({});
    std::ifstream in{folder.file("log")};
    std::size_t named = 0;
    for (std::string line; std::getline(in, line);) {
        if (line.find("WARN") == std::string::npos) continue;
        EXPECT_THAT(line, testing::HasSubstr("\"call\":\"" + session->id().value + "\""));
        ++named;
    }
    EXPECT_EQ(named, 3u);
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

TEST_F(SessionTest, AReplyWithoutAWordIsAFailureAndNotSilence) {
    agent.failure_sentence = "Something is wrong.";
    llm.reply({});
    start();
    ask("hello");
    run(2s);
    EXPECT_THAT(tts.texts(), ElementsAre("Something is wrong."));
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

}  // namespace
}  // namespace oavc::pipeline
