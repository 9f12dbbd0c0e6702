#include "turns/turn_machine.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace oavc::turns {
namespace {

using testing::ElementsAre;
using Kind = TurnAction::Kind;

/// A conversation on virtual time: each helper says what happens, `actions` tells what we did.
class Conversation : public testing::Test {
protected:
    TurnConfig turns;
    InterruptionConfig interruption{.vad_duration = 160ms, .resume_after = 600ms};
    TimePoint now{};
    std::optional<TurnMachine> machine;
    TurnAction last;

    void SetUp() override { restart(); }
    void restart() { machine.emplace(turns, interruption, now); }

    std::vector<Kind> actions() {
        std::vector<Kind> kinds;
        TurnAction action;
        while (machine->next_action(action)) {
            kinds.push_back(action.kind);
            last = action;
        }
        return kinds;
    }
    std::vector<Kind> wait(milliseconds duration) {
        std::vector<Kind> kinds;
        for (const auto end = now + duration; now < end;) {
            now += 20ms;
            machine->on_audio(0, speaking_ ? now : last_voiced_, now);
            machine->tick(now);
            for (const auto kind : actions())
                kinds.push_back(kind);
        }
        return kinds;
    }
    /// The detector needs 60 ms to notice.
    void caller_starts() {
        now += 60ms;
        speaking_ = true;
        machine->on_speech_start(now - 60ms, now);
    }
    /// The detector needs 300 ms of silence to notice.
    void caller_stops() {
        last_voiced_ = now;
        speaking_ = false;
        now += 300ms;
        machine->on_speech_end(last_voiced_, now);
    }
    void bot_speaks() {
        machine->on_reply_progress(machine->generation(), now);
        machine->on_reply_out(machine->generation(), now);
    }
    /// A whole turn up to the moment our reply is audible.
    void reach_speaking() {
        caller_starts();
        now += 1s;
        caller_stops();
        wait(500ms);
        machine->on_final(machine->utterance(), "where is my card", now);
        actions();
        bot_speaks();
        ASSERT_EQ(machine->state(), TurnState::speaking);
    }

    /// The caller has heard all of our reply, and what is left of it in his phone too.
    std::vector<Kind> reply_is_heard() {
        machine->on_reply_done(machine->generation(), now);
        auto kinds = actions();
        for (const auto kind : wait(turns.last_word_pause))
            kinds.push_back(kind);
        return kinds;
    }

    bool speaking_{false};
    TimePoint last_voiced_{};
};

TEST_F(Conversation, GoesFromSpeechToReplyAndBack) {
    caller_starts();
    EXPECT_THAT(actions(), ElementsAre(Kind::begin_utterance));
    now += 1s;
    const auto last_voiced = now;
    caller_stops();
    EXPECT_THAT(wait(180ms), ElementsAre());
    EXPECT_THAT(wait(20ms), ElementsAre(Kind::end_utterance))
        << "500 ms after the last voiced sample";
    EXPECT_EQ(now - last_voiced, 500ms);
    machine->on_final(machine->utterance(), "where is my card", now);
    EXPECT_THAT(actions(), ElementsAre(Kind::reply));
    EXPECT_EQ(machine->asked_text(), "where is my card");
    bot_speaks();
    EXPECT_EQ(machine->state(), TurnState::speaking);
    machine->on_reply_done(machine->generation(), now);
    EXPECT_EQ(machine->state(), TurnState::listening);
}

TEST_F(Conversation, APauseInsideATurnDoesNotEndIt) {
    caller_starts();
    actions();
    now += 1s;
    caller_stops();
    machine->on_speech_start(now, now);
    EXPECT_EQ(machine->state(), TurnState::user_speaking);
    EXPECT_THAT(wait(2s), ElementsAre());
}

TEST_F(Conversation, AnUnfinishedPhraseIsGivenMoreTime) {
    caller_starts();
    actions();
    machine->on_interim(machine->utterance(), "my number is two zero", now);
    now += 1s;
    caller_stops();
    EXPECT_THAT(wait(680ms), ElementsAre());
    EXPECT_THAT(wait(20ms), ElementsAre(Kind::end_utterance));
}

TEST_F(Conversation, WordsAfterALongPauseJoinTheTurnThatWasNotAnsweredYet) {
    caller_starts();
    now += 1s;
    caller_stops();
    wait(200ms);
    ASSERT_EQ(machine->state(), TurnState::recognising);
    const auto first = machine->utterance();
    caller_starts();
    EXPECT_THAT(actions(), ElementsAre(Kind::begin_utterance));
    machine->on_final(first, "i would like", now);
    now += 1s;
    caller_stops();
    wait(1s);
    machine->on_final(machine->utterance(), "to check my balance", now);
    EXPECT_THAT(actions(), ElementsAre(Kind::reply));
    EXPECT_EQ(machine->asked_text(), "i would like to check my balance");
}

TEST_F(Conversation, PausesAtPossibleSpeechAndInterruptsWhenSure) {
    reach_speaking();
    const auto onset = now;
    caller_starts();
    EXPECT_THAT(actions(), ElementsAre(Kind::begin_utterance, Kind::pause));
    EXPECT_TRUE(machine->paused());
    EXPECT_THAT(wait(80ms), ElementsAre());
    EXPECT_THAT(wait(20ms), ElementsAre(Kind::interrupt));
    EXPECT_TRUE(last.by_caller);
    EXPECT_EQ(machine->barge_in_onset(), onset);
    EXPECT_EQ(machine->interruption_strategy(), InterruptionStrategy::vad);
    EXPECT_EQ(machine->state(), TurnState::user_speaking);
    now += 500ms;
    caller_stops();
    EXPECT_THAT(wait(200ms), ElementsAre(Kind::end_utterance)) << "the same utterance went on";
    machine->on_final(machine->utterance(), "stop please", now);
    EXPECT_THAT(actions(), ElementsAre(Kind::reply));
    EXPECT_EQ(machine->asked_text(), "stop please") << "the answered turn is not asked again";
}

TEST_F(Conversation, ResumesAfterACough) {
    reach_speaking();
    caller_starts();
    actions();
    speaking_ = false;
    last_voiced_ = now - 10ms;  // 50 ms of sound, but the detector waits for more silence
    EXPECT_THAT(wait(560ms), ElementsAre());
    EXPECT_THAT(wait(60ms), ElementsAre(Kind::cancel_utterance, Kind::resume));
    EXPECT_FALSE(machine->paused());
    EXPECT_EQ(machine->state(), TurnState::speaking);
}

TEST_F(Conversation, SpeechBeforeTheReplyIsHeardContinuesTheQuestion) {
    caller_starts();
    now += 1s;
    caller_stops();
    wait(500ms);
    machine->on_final(machine->utterance(), "where is", now);
    EXPECT_THAT(actions(), ElementsAre(Kind::reply));
    caller_starts();
    EXPECT_THAT(wait(200ms), ElementsAre(Kind::begin_utterance, Kind::pause, Kind::interrupt));
    now += 500ms;
    caller_stops();
    wait(500ms);
    machine->on_final(machine->utterance(), "my card", now);
    EXPECT_THAT(actions(), ElementsAre(Kind::reply));
    EXPECT_EQ(machine->asked_text(), "where is my card");
}

TEST_F(Conversation, NothingOfAStaleGenerationCounts) {
    reach_speaking();
    const auto stale = machine->generation();
    caller_starts();
    wait(200ms);
    machine->on_reply_done(stale, now);
    machine->on_reply_failed(stale, now);
    machine->on_reply_out(stale, now);
    EXPECT_THAT(actions(), ElementsAre());
    EXPECT_EQ(machine->state(), TurnState::user_speaking);
}

TEST_F(Conversation, WithoutInterruptionTheCallerIsHeardAfterTheReply) {
    interruption.enabled = false;
    restart();
    reach_speaking();
    caller_starts();
    EXPECT_THAT(wait(1s), ElementsAre());
    machine->on_reply_done(machine->generation(), now);
    EXPECT_THAT(actions(), ElementsAre(Kind::begin_utterance));
    EXPECT_EQ(machine->state(), TurnState::user_speaking);
}

TEST_F(Conversation, UsesTheInterimWhenTheFinalNeverComes) {
    caller_starts();
    machine->on_interim(machine->utterance(), "where is my card", now);
    now += 1s;
    caller_stops();
    wait(500ms);
    EXPECT_THAT(wait(turns.final_transcript), ElementsAre(Kind::reply));
    EXPECT_EQ(machine->asked_text(), "where is my card");
}

TEST_F(Conversation, AsksAgainWhenNothingWasUnderstoodButNotAfterANoise) {
    caller_starts();
    now += 1s;
    caller_stops();
    wait(500ms);
    actions();
    machine->on_final(machine->utterance(), "", now);
    EXPECT_THAT(actions(), ElementsAre(Kind::say));
    EXPECT_EQ(last.line, CannedLine::not_understood);
    machine->on_reply_done(machine->generation(), now);

    caller_starts();
    now += 100ms;
    caller_stops();
    wait(500ms);
    actions();
    machine->on_final(machine->utterance(), "", now);
    EXPECT_THAT(actions(), ElementsAre());
    EXPECT_EQ(machine->state(), TurnState::listening);
}

TEST_F(Conversation, AModelThatFailsIsApologisedForAndTheCallEnds) {
    caller_starts();
    now += 1s;
    caller_stops();
    wait(500ms);
    machine->on_final(machine->utterance(), "hello", now);
    actions();
    machine->on_reply_failed(machine->generation(), now);
    EXPECT_THAT(actions(), ElementsAre(Kind::interrupt, Kind::say));
    EXPECT_EQ(last.line, CannedLine::failure);
    bot_speaks();
    EXPECT_THAT(reply_is_heard(), ElementsAre(Kind::hang_up));
}

TEST_F(Conversation, AModelThatStallsCountsAsFailed) {
    caller_starts();
    now += 1s;
    caller_stops();
    wait(500ms);
    machine->on_final(machine->utterance(), "hello", now);
    actions();
    EXPECT_THAT(wait(turns.first_token), ElementsAre(Kind::interrupt, Kind::say));
    EXPECT_EQ(last.line, CannedLine::failure);
}

TEST_F(Conversation, HangsUpAfterTheReplyUnlessTheCallerInterrupts) {
    reach_speaking();
    machine->hang_up_after_reply();
    caller_starts();
    wait(300ms);
    now += 1s;
    caller_stops();
    wait(500ms);
    machine->on_final(machine->utterance(), "wait a moment", now);
    actions();
    bot_speaks();
    machine->on_reply_done(machine->generation(), now);
    EXPECT_THAT(actions(), ElementsAre());

    machine->hang_up_after_reply();
    machine->say_goodbye(now);
    EXPECT_THAT(actions(), ElementsAre(Kind::say));
    bot_speaks();
    EXPECT_THAT(reply_is_heard(), ElementsAre(Kind::hang_up));
}

TEST_F(Conversation, ASilentCallerIsAskedAndThenLetGo) {
    std::vector<CannedLine> lines;
    for (int i = 0; i < 4 && machine->state() != TurnState::ended; ++i) {
        wait(turns.idle_prompt);
        lines.push_back(last.line);
        bot_speaks();
        reply_is_heard();
    }
    EXPECT_THAT(lines, ElementsAre(CannedLine::idle, CannedLine::idle, CannedLine::goodbye));
    EXPECT_EQ(machine->state(), TurnState::ended);
}

TEST_F(Conversation, HoldStopsTheClocksAndPausesTheReply) {
    reach_speaking();
    machine->on_hold(true, now);
    EXPECT_THAT(actions(), ElementsAre(Kind::pause));
    EXPECT_THAT(wait(10min), ElementsAre());
    machine->on_hold(false, now);
    EXPECT_THAT(actions(), ElementsAre(Kind::resume));
    EXPECT_THAT(wait(1s), ElementsAre());
}

TEST_F(Conversation, HangsUpAMomentAfterTheLastWordLeft) {
    reach_speaking();
    machine->hang_up_after_reply();
    machine->on_reply_done(machine->generation(), now);
    EXPECT_THAT(wait(180ms), ElementsAre());
    EXPECT_EQ(machine->state(), TurnState::parting);
    EXPECT_THAT(wait(20ms), ElementsAre(Kind::hang_up));
}

TEST_F(Conversation, WhatFollowsAReplyIsDoneOnceItWasHeard) {
    reach_speaking();
    machine->act_after_reply();
    machine->hang_up_after_reply();  // comes after the action
    EXPECT_THAT(reply_is_heard(), ElementsAre(Kind::act));
    EXPECT_EQ(machine->state(), TurnState::acting);
    caller_starts();  // nobody listens now
    EXPECT_THAT(actions(), ElementsAre());
    machine->on_action_done(now);
    EXPECT_THAT(actions(), ElementsAre(Kind::begin_utterance)) << "he still speaks";
}

TEST_F(Conversation, AFailedActionIsToldByALineOrByTheModelAndTheCallGoesOn) {
    reach_speaking();
    machine->act_after_reply();
    reply_is_heard();
    machine->on_action_failed(now);
    EXPECT_THAT(actions(), ElementsAre(Kind::say));
    EXPECT_EQ(last.line, CannedLine::not_connected);
    bot_speaks();
    EXPECT_THAT(reply_is_heard(), ElementsAre());
    EXPECT_EQ(machine->state(), TurnState::listening);

    ASSERT_TRUE(machine->begin_action(now));
    EXPECT_FALSE(machine->begin_action(now)) << "one at a time";
    machine->report_action(now);
    EXPECT_THAT(actions(), ElementsAre(Kind::report));
    bot_speaks();
    EXPECT_THAT(reply_is_heard(), ElementsAre());
    machine->report_action(now);
    EXPECT_THAT(actions(), ElementsAre()) << "too late";
}

TEST_F(Conversation, AnActionThatNeverEndsIsGivenUp) {
    ASSERT_TRUE(machine->begin_action(now));
    EXPECT_THAT(wait(turns.longest_action), ElementsAre(Kind::say));
    EXPECT_EQ(last.line, CannedLine::not_connected);
}

TEST_F(Conversation, AGoodbyeWaitsForTheEndOfAnAction) {
    ASSERT_TRUE(machine->begin_action(now));
    machine->say_goodbye(now);
    EXPECT_THAT(actions(), ElementsAre());
    machine->report_action(now);
    EXPECT_THAT(actions(), ElementsAre(Kind::say));
    EXPECT_EQ(last.line, CannedLine::goodbye);
}

TEST_F(Conversation, ACallerWhoInterruptsIsNotTransferred) {
    reach_speaking();
    machine->act_after_reply();
    caller_starts();
    wait(300ms);
    now += 1s;
    caller_stops();
    wait(500ms);
    machine->on_final(machine->utterance(), "no wait", now);
    actions();
    bot_speaks();
    EXPECT_THAT(reply_is_heard(), ElementsAre());
    EXPECT_EQ(machine->state(), TurnState::listening);
}

TEST_F(Conversation, AKeyStopsTheReplyWhereTheAgentWantsIt) {
    reach_speaking();
    machine->on_key(KeyUse::ignore, now);
    EXPECT_THAT(actions(), ElementsAre());
    machine->on_key(KeyUse::interrupt, now);
    EXPECT_THAT(actions(), ElementsAre(Kind::interrupt));
    EXPECT_TRUE(last.by_caller);
    EXPECT_EQ(machine->interruption_strategy(), InterruptionStrategy::key);
    EXPECT_EQ(machine->state(), TurnState::listening);

    machine->say_goodbye(now);
    actions();
    bot_speaks();
    machine->on_key(KeyUse::collect, now);
    EXPECT_THAT(actions(), ElementsAre()) << "nothing would follow a goodbye";
}

TEST_F(Conversation, AKeyThatOnlyInterruptsLeavesAQuestionItsAnswer) {
    caller_starts();
    now += 1s;
    caller_stops();
    wait(500ms);
    machine->on_final(machine->utterance(), "where is my card", now);
    EXPECT_THAT(actions(), ElementsAre(Kind::reply));
    machine->on_key(KeyUse::interrupt, now);
    EXPECT_THAT(actions(), ElementsAre());
    machine->on_key(KeyUse::collect, now);
    EXPECT_THAT(actions(), ElementsAre(Kind::interrupt));
    machine->on_keys("[keypad: ****]", now);
    EXPECT_THAT(actions(), ElementsAre(Kind::reply));
    EXPECT_EQ(machine->asked_text(), "where is my card [keypad: ****]");
}

TEST_F(Conversation, KeysAreATurnOfTheirOwnAndAVoiceMeanwhileIsNot) {
    caller_starts();
    actions();
    machine->on_key(KeyUse::collect, now);
    EXPECT_THAT(actions(), ElementsAre(Kind::cancel_utterance));
    EXPECT_EQ(machine->state(), TurnState::keying);
    caller_stops();
    caller_starts();
    EXPECT_THAT(wait(1s), ElementsAre());
    machine->on_keys("[keypad: **]", now);
    EXPECT_THAT(actions(), ElementsAre(Kind::reply));
    EXPECT_EQ(machine->asked_text(), "[keypad: **]");
}

TEST_F(Conversation, WhatWasSaidBeforeAHoldIsAnsweredAfterIt) {
    caller_starts();
    now += 1s;
    caller_stops();
    wait(200ms);
    ASSERT_EQ(machine->state(), TurnState::recognising);
    machine->on_hold(true, now);
    machine->on_final(machine->utterance(), "where is my card", now);
    EXPECT_EQ(actions().back(), Kind::reply);
    EXPECT_TRUE(machine->paused()) << "nothing is spoken into the void";
    EXPECT_THAT(wait(5min), ElementsAre());
    machine->on_hold(false, now);
    EXPECT_THAT(actions(), ElementsAre(Kind::resume));
    EXPECT_FALSE(machine->paused());
}

TEST_F(Conversation, AHeldCallEndsWithoutAGoodbyeThatNobodyWouldHear) {
    reach_speaking();
    machine->on_hold(true, now);
    actions();
    machine->say_goodbye(now);
    EXPECT_THAT(actions(), ElementsAre(Kind::interrupt, Kind::hang_up));
}

/// Liveness: whatever happened before, once nothing happens any more (services dead, caller silent)
/// every call reaches its end in bounded time; it never falls silent for ever.
TEST(TurnMachineLiveness, EveryHistoryEndsOnceNothingHappensAnyMore) {
    std::mt19937 random{20261122};
    const auto pick = [&](int n) { return std::uniform_int_distribution<>{0, n - 1}(random); };
    for (int round = 0; round < 2'000; ++round) {
        TimePoint now{};
        TurnMachine machine{{}, {}, now};
        TurnAction action;
        const auto drain = [&] {
            while (machine.next_action(action)) {
            }
        };
        bool held = false;
        for (int step = 0; step < 60; ++step) {
            now += milliseconds{20 * pick(60)};
            const UtteranceId utterance{machine.utterance().value - (pick(4) == 0 ? 1u : 0u)};
            const Generation generation{machine.generation().value - (pick(4) == 0 ? 1u : 0u)};
            switch (pick(20)) {
                case 0:
                case 1:
                    machine.on_speech_start(now - 60ms, now);
                    break;
                case 2:
                case 3:
                    machine.on_speech_end(now - 300ms, now);
                    break;
                case 4:
                    machine.on_interim(utterance, pick(2) == 0 ? "yes" : "stop it now", now);
                    break;
                case 5:
                case 6:
                    machine.on_final(utterance, pick(3) == 0 ? "" : "some words", now);
                    break;
                case 7:
                    machine.on_reply_progress(generation, now);
                    break;
                case 8:
                    machine.on_reply_out(generation, now);
                    break;
                case 9:
                    machine.on_reply_done(generation, now);
                    break;
                case 10:
                    machine.on_audio(pick(2), now, now);
                    break;
                case 11:
                    machine.on_hold(held = !held, now);
                    break;
                case 12:
                    if (pick(8) == 0) machine.on_reply_failed(generation, now);
                    break;
                case 13:
                    if (pick(8) == 0) machine.hang_up_after_reply();
                    break;
                case 14:
                    machine.act_after_reply();
                    break;
                case 15:
                    machine.on_key(pick(2) == 0 ? KeyUse::collect : KeyUse::interrupt, now);
                    break;
                case 16:
                    machine.on_keys("[keypad: *]", now);
                    break;
                case 17:
                    if (pick(4) == 0) machine.begin_action(now);
                    break;
                case 18:
                    pick(2) == 0 ? machine.on_action_failed(now) : machine.report_action(now);
                    break;
                case 19:
                    pick(2) == 0 ? machine.on_action_done(now) : (void)machine.announce(now);
                    break;
            }
            machine.tick(now);
            drain();
        }
        machine.on_hold(false, now);
        machine.on_speech_end(now, now);
        machine.on_audio(0, now, now);
        const auto quiet = now;
        while (machine.state() != TurnState::ended && now - quiet < 10min) {
            now += 20ms;
            machine.tick(now);
            drain();
        }
        ASSERT_EQ(machine.state(), TurnState::ended)
            << "round " << round << " hangs in " << to_string(machine.state());
    }
}

}  // namespace
}  // namespace oavc::turns
