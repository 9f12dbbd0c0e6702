#pragma once

#include "base/ids.hpp"
#include "base/ring.hpp"
#include "base/time.hpp"
#include "turns/config.hpp"
#include "turns/endpointer.hpp"
#include "turns/interruption_handler.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace oavc::turns {

enum class TurnState {
    listening,  ///< nobody speaks; the idle clock runs
    user_speaking,
    endpointing,  ///< the caller fell silent; is the turn over?
    recognising,  ///< it is; waiting for the final transcript
    thinking,     ///< waiting for the reply's first audio
    speaking,     ///< the reply plays (or is paused for a possible interruption)
    keying,       ///< the caller presses keys; more may come
    parting,      ///< our last word has left; the other side's jitter buffer still plays it
    acting,       ///< something is under way at the carrier: a transfer, or keys that we press
    ended,        ///< hang-up was asked for
};
std::string_view to_string(TurnState state) noexcept;

/// What we say without asking the model.
enum class CannedLine {
    none,
    greeting,
    idle,
    not_understood,
    failure,
    goodbye,
    not_connected,  ///< a transfer failed; the conversation goes on
    announcement,   ///< what somebody at the API wants to have said
};

/// What a key that the caller presses does.
enum class KeyUse {
    ignore,     ///< the caller is there, no more
    interrupt,  ///< we fall silent and listen
    collect,    ///< we fall silent and wait for `on_keys`: it is part of the caller's turn
};

struct TurnAction {
    enum class Kind {
        begin_utterance,   ///< `utterance`: the recogniser gets audio from the pre-roll on
        end_utterance,     ///< `utterance`: ask for its final transcript
        cancel_utterance,  ///< `utterance`: forget it
        reply,             ///< ask the model about `asked_text()`; `generation`
        say,               ///< speak `line`; `generation`
        pause,             ///< fall silent at once, keep what is unheard
        resume,            ///< go on at the same sample
        interrupt,         ///< drop the reply, audio and all; its `generation` is stale from here
        act,               ///< the reply was heard: do what was to follow it, then `on_action_…`
        report,            ///< ask the model again, about how that ended; `generation`
        hang_up,
    };
    Kind kind{Kind::hang_up};
    UtteranceId utterance;
    Generation generation;
    CannedLine line{CannedLine::none};
    bool by_caller{false};  ///< of `interrupt`: a confirmed barge-in
};

/// The right to speak in one call. Feed it events and time, drain `next_action` after each. It
/// never blocks, never reads a clock and never allocates per tick.
///
/// Liveness: from every state but `ended` a bounded time without events leads to `listening` or a
/// hang-up (the idle prompts), so a call never falls silent for ever.
class TurnMachine {
public:
    TurnMachine(TurnConfig turns, InterruptionConfig interruption, TimePoint now);

    // What the caller does (positions are on the media clock; `now` is when we learn of it).
    void on_speech_start(TimePoint onset, TimePoint now);
    void on_speech_end(TimePoint last_voiced, TimePoint now);
    /// One frame: how loud it was, and when the latest voiced sample came.
    void on_audio(double volume, TimePoint last_voiced, TimePoint now);
    void on_interim(UtteranceId utterance, std::string_view text, TimePoint now);
    void on_final(UtteranceId utterance, std::string_view text, TimePoint now);
    /// The recogniser failed for good.
    void on_recogniser_lost(TimePoint now);
    /// The caller is there, whatever he does.
    void on_activity(TimePoint now);
    /// A key was pressed. True: it is part of the caller's turn.
    bool on_key(KeyUse use, TimePoint now);
    /// The keys that were collected, as the words of a turn. Also when none came in time.
    void on_keys(std::string_view text, TimePoint now);
    void on_hold(bool held, TimePoint now);

    // What our reply does. Events of a stale generation are ignored.
    void on_reply_progress(Generation generation, TimePoint now);  ///< a token or some audio came
    void on_reply_out(Generation generation, TimePoint now);       ///< first audio left
    void on_reply_done(Generation generation, TimePoint now);      ///< the caller has heard it all
    void on_reply_failed(Generation generation, TimePoint now);

    // What we decide.
    void greet(TimePoint now);
    /// Says what somebody else wants to have said, instead of what plays. False: not now.
    bool announce(TimePoint now);
    /// Says goodbye, then hangs up; from any state. On hold nobody would hear it: hangs up.
    void say_goodbye(TimePoint now);
    /// Hangs up without a word.
    void hang_up(TimePoint now);
    /// The reply that plays is the last: hang up once it was heard.
    void hang_up_after_reply() noexcept {
        if (after_reply_ == After::listen) after_reply_ = After::hang_up;
    }
    /// Something at the carrier follows the reply that plays: `act` once it was heard.
    void act_after_reply() noexcept { after_reply_ = After::act; }
    /// Something follows the reply, so that it needs no words of its own.
    bool has_sequel() const noexcept { return after_reply_ != After::listen; }
    /// Something at the carrier begins now, without a word. False: not now.
    bool begin_action(TimePoint now);
    // How it ended. Without effect when it was given up meanwhile.
    void on_action_done(TimePoint now);    ///< we listen
    void on_action_failed(TimePoint now);  ///< the caller is told by a canned line
    void report_action(TimePoint now);     ///< the model is told, and answers
    /// The call is over (the caller hung up): no more actions.
    void stop() noexcept;

    void tick(TimePoint now);
    bool next_action(TurnAction& action) noexcept;

    TurnState state() const noexcept { return state_; }
    Generation generation() const noexcept { return generation_; }
    UtteranceId utterance() const noexcept { return utterance_; }
    bool paused() const noexcept { return paused_; }
    bool held() const noexcept { return held_; }
    /// Onset of the interruption that was confirmed last, and what was sure of it.
    TimePoint barge_in_onset() const noexcept { return barge_in_onset_; }
    InterruptionStrategy interruption_strategy() const noexcept { return interruption_strategy_; }
    /// What the caller said in the turn that `reply` asks about. A turn that was taken up again
    /// before we answered comes as one text.
    const std::string& asked_text() const noexcept { return asked_text_; }

private:
    void act(TurnAction::Kind kind, bool by_caller = false) noexcept;
    void say(CannedLine line, TimePoint now);
    void enter(TurnState state, TimePoint now) noexcept;
    void begin_utterance();
    void end_turn(TimePoint now);
    void turn_recognised(TimePoint now);
    void judge(TimePoint now);
    void interrupt(TimePoint now);
    void dismiss(TimePoint now);
    void cancel_utterance() noexcept;
    void drop_reply(bool by_caller = false) noexcept;
    void listen(TimePoint now);
    void fail(TimePoint now);
    void part(TimePoint now);
    bool leave_action(TimePoint now);
    bool is_last_line() const noexcept;
    bool may_interrupt(TimePoint now) const noexcept;

    enum class After { listen, act, hang_up };

    TurnConfig config_;
    InterruptionConfig interruption_;
    Endpointer endpointer_;
    InterruptionHandler handler_;
    Ring<TurnAction, 16> actions_;

    TurnState state_{TurnState::listening};
    TimePoint entered_{};
    TimePoint last_progress_{};  ///< of the reply
    TimePoint quiet_since_{};    ///< nobody spoke since
    TimePoint reply_began_{};
    UtteranceId utterance_;
    bool utterance_open_{false};  ///< audio goes to it
    Generation generation_;
    CannedLine line_{CannedLine::none};  ///< what the current reply is, if canned
    bool reply_active_{false};
    bool paused_{false};
    bool held_{false};
    After after_reply_{After::listen};
    bool goodbye_waits_{false};  ///< until the action has ended
    bool speech_{false};         ///< the detector hears speech
    std::size_t idle_prompts_{0};
    std::size_t misses_{0};  ///< turns in a row in which nothing was recognised
    TimePoint utterance_onset_{};
    TimePoint last_voiced_{};
    std::string interim_;
    std::string user_text_;   ///< of the turn that is being spoken
    std::string asked_text_;  ///< of the turn whose reply nobody has heard yet
    TimePoint barge_in_onset_{};
    InterruptionStrategy interruption_strategy_{InterruptionStrategy::vad};
};

}  // namespace oavc::turns
