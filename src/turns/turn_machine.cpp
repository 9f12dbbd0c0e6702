#include "turns/turn_machine.hpp"

#include "base/assert.hpp"

namespace oavc::turns {

namespace {

/// Speech shorter than this that yields no words was a noise: nobody is asked to repeat it.
constexpr milliseconds shortest_real_turn{400};

/// After so many turns without a word we stop saying that we did not understand.
constexpr std::size_t most_misses = 3;

void append_words(std::string& text, std::string_view more) {
    if (more.empty()) return;
    if (!text.empty()) text += ' ';
    text += more;
}

}  // namespace

std::string_view to_string(TurnState state) noexcept {
    switch (state) {
        case TurnState::listening:
            return "listening";
        case TurnState::user_speaking:
            return "user_speaking";
        case TurnState::endpointing:
            return "endpointing";
        case TurnState::recognising:
            return "recognising";
        case TurnState::thinking:
            return "thinking";
        case TurnState::speaking:
            return "speaking";
        case TurnState::keying:
            return "keying";
        case TurnState::parting:
            return "parting";
        case TurnState::acting:
            return "acting";
        case TurnState::ended:
            return "ended";
    }
    return "unknown";
}

TurnMachine::TurnMachine(TurnConfig turns, InterruptionConfig interruption, TimePoint now)
    : config_{turns},
      interruption_{interruption},
      endpointer_{{
          .silence = turns.endpoint_silence,
          .silence_unfinished = 2 * turns.endpoint_silence,
          .silence_finished = turns.endpoint_silence * 4 / 5,
      }},
      handler_{interruption},
      entered_{now},
      last_progress_{now},
      quiet_since_{now} {}

void TurnMachine::act(TurnAction::Kind kind, bool by_caller) noexcept {
    const bool taken =
        actions_.try_push(TurnAction{kind, utterance_, generation_, line_, by_caller});
    OAVC_ASSERT(taken);  // the owner drains after every event, and no event makes sixteen
}

bool TurnMachine::next_action(TurnAction& action) noexcept {
    if (actions_.empty()) return false;
    action = actions_.front();
    actions_.pop();
    return true;
}

void TurnMachine::enter(TurnState state, TimePoint now) noexcept {
    state_ = state;
    entered_ = now;
}

// --- The caller -----------------------------------------------------------------------------

void TurnMachine::begin_utterance() {
    ++utterance_.value;
    utterance_open_ = true;
    interim_.clear();
    endpointer_.reset();
    if (!speech_) endpointer_.on_speech_end(last_voiced_);
    act(TurnAction::Kind::begin_utterance);
}

void TurnMachine::cancel_utterance() noexcept {
    if (!utterance_open_) return;
    utterance_open_ = false;
    act(TurnAction::Kind::cancel_utterance);
}

/// A goodbye, or an apology before hanging up, is not cut short: nothing would follow it.
bool TurnMachine::is_last_line() const noexcept {
    return line_ == CannedLine::goodbye || line_ == CannedLine::failure;
}

bool TurnMachine::may_interrupt(TimePoint now) const noexcept {
    if (!interruption_.enabled || is_last_line()) return false;
    return state_ != TurnState::speaking || now >= reply_began_ + interruption_.protection;
}

void TurnMachine::on_speech_start(TimePoint onset, TimePoint now) {
    speech_ = true;
    if (held_) return;
    if (!utterance_open_) utterance_onset_ = onset;
    endpointer_.on_speech_start();
    switch (state_) {
        case TurnState::listening:
        case TurnState::recognising:
            // A caller who goes on after a long pause goes on with the same turn: the transcript
            // that we still wait for is put before the words that follow.
            if (state_ == TurnState::listening) user_text_.clear();
            begin_utterance();
            enter(TurnState::user_speaking, now);
            break;
        case TurnState::endpointing:
            state_ = TurnState::user_speaking;
            break;
        case TurnState::thinking:
        case TurnState::speaking:
            if (!may_interrupt(now)) break;
            if (handler_.active()) break;  // a second burst of the same attempt
            handler_.begin(onset, reply_began_);
            user_text_.clear();
            begin_utterance();
            paused_ = true;
            act(TurnAction::Kind::pause);
            break;
        case TurnState::user_speaking:
        case TurnState::keying:
        case TurnState::parting:
        case TurnState::acting:
        case TurnState::ended:
            break;
    }
}

void TurnMachine::on_speech_end(TimePoint last_voiced, TimePoint now) {
    speech_ = false;
    last_voiced_ = last_voiced;
    if (held_) return;
    endpointer_.on_speech_end(last_voiced);
    if (handler_.active()) {
        judge(now);
    } else if (state_ == TurnState::user_speaking) {
        // entered_ stays the utterance's begin: its longest stay counts from there.
        state_ = TurnState::endpointing;
    }
}

void TurnMachine::on_audio(double volume, TimePoint last_voiced, TimePoint now) {
    if (!handler_.active()) return;
    handler_.on_audio(volume, last_voiced, now);
    judge(now);
}

void TurnMachine::on_interim(UtteranceId utterance, std::string_view text, TimePoint now) {
    if (utterance != utterance_ || !utterance_open_) return;
    interim_ = text;
    endpointer_.on_words(text);
    if (handler_.active()) {
        handler_.on_words(text);
        judge(now);
    }
}

void TurnMachine::on_final(UtteranceId utterance, std::string_view text, TimePoint now) {
    const bool current = utterance == utterance_;
    const bool turn_open = state_ == TurnState::user_speaking || state_ == TurnState::endpointing ||
                           state_ == TurnState::recognising;
    if (!turn_open) return;
    append_words(user_text_, text);
    if (current && state_ == TurnState::recognising) turn_recognised(now);
}

void TurnMachine::end_turn(TimePoint now) {
    utterance_open_ = false;
    act(TurnAction::Kind::end_utterance);
    enter(TurnState::recognising, now);
}

void TurnMachine::turn_recognised(TimePoint now) {
    if (!asked_text_.empty()) {  // the turn before was taken up again before we could answer
        append_words(asked_text_, user_text_);
        user_text_ = std::move(asked_text_);
        asked_text_.clear();
    }
    if (user_text_.empty()) {
        const bool real = last_voiced_ - utterance_onset_ >= shortest_real_turn;
        if (real && ++misses_ <= most_misses) {
            say(CannedLine::not_understood, now);
        } else {
            listen(now);
        }
        return;
    }
    misses_ = 0;
    idle_prompts_ = 0;
    asked_text_ = std::move(user_text_);
    user_text_.clear();
    ++generation_.value;
    line_ = CannedLine::none;
    reply_active_ = true;
    paused_ = held_;
    last_progress_ = now;
    enter(TurnState::thinking, now);
    act(TurnAction::Kind::reply);
}

void TurnMachine::on_recogniser_lost(TimePoint now) {
    utterance_open_ = false;
    handler_.end();
    if (state_ != TurnState::ended) fail(now);
}

void TurnMachine::on_activity(TimePoint now) {
    quiet_since_ = now;
    idle_prompts_ = 0;
}

bool TurnMachine::on_key(KeyUse use, TimePoint now) {
    on_activity(now);
    const bool over =
        state_ == TurnState::parting || state_ == TurnState::acting || state_ == TurnState::ended;
    if (held_ || over || use == KeyUse::ignore) return false;
    const bool collects = use == KeyUse::collect;
    if (reply_active_) {
        // Whoever only wants silence gets it once there is something to silence: what was asked
        // is still answered.
        if (is_last_line() || (!collects && state_ != TurnState::speaking)) return false;
        cancel_utterance();
        handler_.end();
        barge_in_onset_ = now;
        interruption_strategy_ = InterruptionStrategy::key;
        drop_reply(true);
        user_text_.clear();
        if (!collects) listen(now);
    }
    if (!collects) return false;
    // Keys count more than a voice: what is heard of it now is the beep, or a sigh.
    cancel_utterance();
    user_text_.clear();
    enter(TurnState::keying, now);
    return true;
}

void TurnMachine::on_keys(std::string_view text, TimePoint now) {
    if (held_ || (state_ != TurnState::keying && state_ != TurnState::listening)) return;
    user_text_ = text;
    turn_recognised(now);
}

void TurnMachine::on_hold(bool held, TimePoint now) {
    if (held_ == held || state_ == TurnState::ended) return;
    held_ = held;
    if (held) {
        cancel_utterance();
        handler_.end();
        if (reply_active_) {
            paused_ = true;
            act(TurnAction::Kind::pause);
        } else if (state_ != TurnState::recognising && state_ != TurnState::parting && state_ != TurnState::acting) {
            // What was said before the hold is still answered, after it.
            enter(TurnState::listening, now);
        }
        return;
    }
    speech_ = false;
    quiet_since_ = now;
    entered_ = now;
    last_progress_ = now;
    if (reply_active_) {
        paused_ = false;
        act(TurnAction::Kind::resume);
    }
}

// --- Interruption ---------------------------------------------------------------------------

void TurnMachine::judge(TimePoint now) {
    if (!handler_.active()) return;
    if (const auto strategy = handler_.verdict(now)) {
        interruption_strategy_ = *strategy;
        interrupt(now);
    } else if (handler_.dismissed(now)) {
        dismiss(now);
    }
}

void TurnMachine::interrupt(TimePoint now) {
    barge_in_onset_ = handler_.onset();
    handler_.end();
    drop_reply(true);
    state_ = speech_ ? TurnState::user_speaking : TurnState::endpointing;
    entered_ = now;
}

void TurnMachine::dismiss(TimePoint now) {
    handler_.end();
    cancel_utterance();
    paused_ = false;
    last_progress_ = now;
    act(TurnAction::Kind::resume);
}

void TurnMachine::drop_reply(bool by_caller) noexcept {
    if (!reply_active_) return;
    reply_active_ = false;
    paused_ = false;
    after_reply_ = After::listen;  // what was to follow it has lost its reason
    act(TurnAction::Kind::interrupt, by_caller);
}

// --- Our reply ------------------------------------------------------------------------------

void TurnMachine::say(CannedLine line, TimePoint now) {
    drop_reply();
    ++generation_.value;
    line_ = line;
    reply_active_ = true;
    paused_ = held_;
    last_progress_ = now;
    enter(TurnState::thinking, now);
    act(TurnAction::Kind::say);
}

void TurnMachine::on_reply_progress(Generation generation, TimePoint now) {
    if (generation == generation_ && reply_active_) last_progress_ = now;
}

void TurnMachine::on_reply_out(Generation generation, TimePoint now) {
    if (generation != generation_ || !reply_active_) return;
    last_progress_ = now;
    if (state_ != TurnState::thinking) return;
    asked_text_.clear();
    reply_began_ = now;
    enter(TurnState::speaking, now);
}

void TurnMachine::on_reply_done(Generation generation, TimePoint now) {
    if (generation != generation_ || !reply_active_) return;
    reply_active_ = false;
    paused_ = false;
    asked_text_.clear();
    if (is_last_line()) after_reply_ = After::hang_up;
    if (after_reply_ == After::listen) return listen(now);
    cancel_utterance();
    handler_.end();
    enter(TurnState::parting, now);
    part(now);
}

/// Does what follows the reply, once its last word has really been heard.
void TurnMachine::part(TimePoint now) {
    if (now - entered_ < config_.last_word_pause) return;
    if (after_reply_ == After::act) {
        after_reply_ = After::listen;
        enter(TurnState::acting, now);
        act(TurnAction::Kind::act);
    } else {
        enter(TurnState::ended, now);
        act(TurnAction::Kind::hang_up);
    }
}

void TurnMachine::on_reply_failed(Generation generation, TimePoint now) {
    if (generation != generation_ || !reply_active_) return;
    fail(now);
}

void TurnMachine::fail(TimePoint now) {
    const bool nothing_left = is_last_line();
    cancel_utterance();
    handler_.end();
    if (nothing_left && reply_active_) {  // not even the apology can be spoken
        drop_reply();
        enter(TurnState::ended, now);
        act(TurnAction::Kind::hang_up);
        return;
    }
    say(CannedLine::failure, now);
}

// --- Ourselves ------------------------------------------------------------------------------

void TurnMachine::listen(TimePoint now) {
    quiet_since_ = now;
    if (handler_.active()) {  // the caller began while our last words played: it is his turn now
        handler_.end();
        enter(speech_ ? TurnState::user_speaking : TurnState::endpointing, now);
        return;
    }
    if (speech_) {  // … and we did not listen to him then
        utterance_onset_ = now;
        user_text_.clear();
        begin_utterance();
        enter(TurnState::user_speaking, now);
        return;
    }
    enter(TurnState::listening, now);
}

void TurnMachine::greet(TimePoint now) { say(CannedLine::greeting, now); }

bool TurnMachine::announce(TimePoint now) {
    const bool leaving = state_ == TurnState::parting || state_ == TurnState::acting ||
                         state_ == TurnState::ended || (reply_active_ && is_last_line());
    if (leaving) return false;
    cancel_utterance();
    handler_.end();
    say(CannedLine::announcement, now);
    return true;
}

void TurnMachine::say_goodbye(TimePoint now) {
    if (state_ == TurnState::ended) return;
    if (held_) return hang_up(now);
    if (state_ == TurnState::acting || state_ == TurnState::parting) {
        goodbye_waits_ = true;
        return;
    }
    if (reply_active_ && is_last_line()) return;
    cancel_utterance();
    handler_.end();
    say(CannedLine::goodbye, now);
}

void TurnMachine::hang_up(TimePoint now) {
    if (state_ == TurnState::ended) return;
    cancel_utterance();
    handler_.end();
    drop_reply();
    enter(TurnState::ended, now);
    act(TurnAction::Kind::hang_up);
}

bool TurnMachine::begin_action(TimePoint now) {
    if (state_ == TurnState::parting || state_ == TurnState::acting || state_ == TurnState::ended) {
        return false;
    }
    cancel_utterance();
    handler_.end();
    drop_reply();
    asked_text_.clear();
    enter(TurnState::acting, now);
    return true;
}

/// False: nothing is to be said about it.
bool TurnMachine::leave_action(TimePoint now) {
    if (state_ != TurnState::acting) return false;
    if (!goodbye_waits_) return true;
    say(CannedLine::goodbye, now);
    return false;
}

void TurnMachine::on_action_done(TimePoint now) {
    if (leave_action(now)) listen(now);
}

void TurnMachine::on_action_failed(TimePoint now) {
    if (leave_action(now)) say(CannedLine::not_connected, now);
}

void TurnMachine::report_action(TimePoint now) {
    if (!leave_action(now)) return;
    ++generation_.value;
    line_ = CannedLine::none;
    reply_active_ = true;
    paused_ = held_;
    last_progress_ = now;
    enter(TurnState::thinking, now);
    act(TurnAction::Kind::report);
}

void TurnMachine::stop() noexcept {
    state_ = TurnState::ended;
    actions_.clear();
}

void TurnMachine::tick(TimePoint now) {
    if (held_) return;
    switch (state_) {
        case TurnState::listening:
            if (now - quiet_since_ < config_.idle_prompt) break;
            if (idle_prompts_ < config_.idle_prompts) {
                ++idle_prompts_;
                say(CannedLine::idle, now);
            } else {
                say(CannedLine::goodbye, now);
            }
            break;
        case TurnState::user_speaking:
            if (now - entered_ >= config_.longest_utterance) end_turn(now);
            break;
        case TurnState::endpointing:
            if (endpointer_.ended(now) || now - entered_ >= config_.longest_utterance) {
                end_turn(now);
            }
            break;
        case TurnState::recognising:
            if (now - entered_ < config_.final_transcript) break;
            // The recogniser never answered: what it had said so far is better than nothing.
            append_words(user_text_, interim_);
            interim_.clear();
            turn_recognised(now);
            break;
        case TurnState::thinking:
        case TurnState::speaking: {
            if (handler_.active()) {
                judge(now);
                break;
            }
            const bool speaking = state_ == TurnState::speaking;
            const auto limit = speaking ? config_.next_token : config_.first_token;
            if (!paused_ && now - last_progress_ >= limit) {
                fail(now);
            } else if (speaking && now - entered_ >= config_.longest_reply) {
                drop_reply();
                listen(now);
            }
            break;
        }
        case TurnState::keying:
            // Whoever collects says much sooner that no more keys come.
            if (now - entered_ >= config_.longest_utterance) listen(now);
            break;
        case TurnState::parting:
            part(now);
            break;
        case TurnState::acting:
            if (now - entered_ >= config_.longest_action) on_action_failed(now);
            break;
        case TurnState::ended:
            break;
    }
}

}  // namespace oavc::turns
