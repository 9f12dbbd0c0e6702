#include "support/session_test.hpp"

namespace oavc::pipeline {
namespace {

using services::LlmEvent;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using transports::EndReason;
using Kind = CallEvent::Kind;

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
