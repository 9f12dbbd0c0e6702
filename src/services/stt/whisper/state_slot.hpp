#pragma once

#include <stdexcept>

namespace oavc::services::whisper {

/// Owns a state of whisper.cpp, which frees it by itself when a decode fails with -7 (no memory for
/// the key-value cache): then it is dropped, not freed, and the next decode gets a new one. `Api`:
/// Context, State, make(), free().
template <class Api>
class StateSlot {
public:
    using Context = typename Api::Context;
    using State = typename Api::State;

    static constexpr int state_is_gone = -7;

    /// Throws std::runtime_error when there is no memory for a state.
    explicit StateSlot(Context& context) : context_{context}, state_{Api::make(context)} {
        if (state_ == nullptr) {
            throw std::runtime_error{
                "[stt.faster-whisper] not enough memory for a decoder: lower num_workers, or "
                "choose a smaller model"};
        }
    }
    StateSlot(const StateSlot&) = delete;
    StateSlot& operator=(const StateSlot&) = delete;
    ~StateSlot() {
        if (state_ != nullptr) Api::free(state_);
    }

    /// nullptr: the former one is gone, and there is no memory for another yet.
    State* get() {
        if (state_ == nullptr) state_ = Api::make(context_);
        return state_;
    }

    /// Looks at the result of a decode and returns it.
    int settle(int code) noexcept {
        if (code == state_is_gone) state_ = nullptr;
        return code;
    }

private:
    Context& context_;
    State* state_;
};

}  // namespace oavc::services::whisper
