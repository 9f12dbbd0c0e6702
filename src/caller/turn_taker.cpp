#include "caller/turn_taker.hpp"

#include "base/assert.hpp"

#include <utility>

namespace oavc::caller {

TurnTaker::TurnTaker(Config config, std::vector<bool> interrupts)
    : config_{config}, interrupts_{std::move(interrupts)} {}

TurnTaker::Action TurnTaker::take_turn(bool interrupt) {
    if (next_ == interrupts_.size()) {
        state_ = State::done;
        return Action::hang_up;
    }
    current_ = next_++;
    interrupting_ = interrupt;
    state_ = State::speaking;
    return Action::speak;
}

TurnTaker::Action TurnTaker::on_tick(TimePoint now, bool voiced) {
    if (!waiting_since_) waiting_since_ = now;
    if (voiced) last_voiced_ = now;
    switch (state_) {
        case State::waiting: {
            if (voiced) {
                state_ = State::hearing;
                reply_since_ = now;
                return Action::listen;
            }
            const auto bound = next_ == 0 ? config_.greeting_wait : config_.reply_wait;
            if (now - *waiting_since_ < bound) return Action::listen;
            if (next_ > 0) ++unanswered_;
            return take_turn(false);
        }
        case State::hearing: {
            const bool interrupt = next_ < interrupts_.size() && interrupts_[next_];
            // Only over a voice that is still there: a reply that just ended is not interrupted.
            if (interrupt && voiced && now - reply_since_ >= config_.interrupt_after) {
                return take_turn(true);
            }
            if (now - last_voiced_ >= config_.quiet ||
                now - reply_since_ >= config_.longest_reply) {
                return take_turn(false);
            }
            return Action::listen;
        }
        case State::speaking:
            return Action::listen;
        case State::done:
            return Action::hang_up;
    }
    return Action::listen;
}

void TurnTaker::on_spoken(TimePoint now) {
    OAVC_ASSERT(state_ == State::speaking);
    state_ = State::waiting;
    waiting_since_ = now;
}

}  // namespace oavc::caller
