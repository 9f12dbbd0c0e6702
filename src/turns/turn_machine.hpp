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
    ended,        ///< hang-up was asked for
};
std::string_view to_string(TurnState state) noexcept;

/// What we say without asking the model.
enum class CannedLine { none, greeting, idle, not_understood, failure, goodbye };

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
    /// A key was pressed: the caller is there.
    void on_activity(TimePoint now);
    void on_hold(bool held, TimePoint now);

    // What our reply does. Events of a stale generation are ignored.
    void on_reply_progress(Generation generation, TimePoint now);  ///< a token or some audio came
    void on_reply_out(Generation generation, TimePoint now);       ///< first audio left
    void on_reply_done(Generation generation, TimePoint now);      ///< the caller has heard it all
    void on_reply_failed(Generation generation, TimePoint now);

    // What we decide.
    void greet(TimePoint now);
    /// Says goodbye, then hangs up; from any state.
    void say_goodbye(TimePoint now);
    /// The reply that plays is the last: hang up once it was heard.
    void hang_up_after_reply() noexcept { hang_up_after_reply_ = true; }
    bool hanging_up() const noexcept { return hang_up_after_reply_; }
    /// The call is over (the caller hung up): no more actions.
    void stop() noexcept;

    void tick(TimePoint now);
    bool next_action(TurnAction& action) noexcept;

    TurnState state() const noexcept { return state_; }
    Generation generation() const noexcept { return generation_; }
    UtteranceId utterance() const noexcept { return utterance_; }
    bool paused() const noexcept { return paused_; }
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
    bool may_interrupt(TimePoint now) const noexcept;

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
    bool hang_up_after_reply_{false};
    bool speech_{false};  ///< the detector hears speech
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
