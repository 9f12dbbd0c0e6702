#pragma once

#include "base/ids.hpp"
#include "base/time.hpp"
#include "transports/transport.hpp"

#include <chrono>
#include <cstdint>
#include <string>

namespace oavc::pipeline {

/// Where the silence before a reply went, on the media clock: from the caller's last voiced sample
/// in to our first voiced sample out. The five parts add up to `heard` within one frame.
struct TurnLatency {
    microseconds endpointing{0};  ///< last voiced sample → we decided that the turn ended
    microseconds stt{0};          ///< → final transcript
    microseconds llm{0};          ///< → first sentence of the reply is complete
    microseconds tts{0};          ///< → its first audio
    microseconds playout{0};      ///< → first voiced sample handed to the wire
    microseconds heard{0};        ///< the whole
};

/// What happened in a call, for logs, the API and the console.
struct CallEvent {
    enum class Kind {
        started,         ///< a call came in (before it is answered)
        answered,        ///< media flows
        speech_started,  ///< the caller began to speak
        partial,         ///< `text`: interim transcript
        caller_said,     ///< `text`: final transcript of the turn
        sentence,        ///< `text`: a sentence of our reply went to synthesis
        reply_started,   ///< first voiced sample of a reply left; `latency` is settled
        barge_in,        ///< the caller interrupted; `reaction` = onset → our silence
        heard,           ///< `text`: what of the reply the caller heard; ends the turn
        digit,           ///< a key was pressed; `text`: which, unless that is secret
        control,         ///< `text`: what was done to the call, and how it ended: "transfer: busy"
        held,            ///< `text`: "on" or "off"
        ended,           ///< `text`: why
    };
    Kind kind{Kind::started};
    std::chrono::system_clock::time_point at{};
    milliseconds since_start{0};  ///< on the call's own clock
    std::uint32_t turn{0};        ///< 0: greeting; then the caller's turns from 1
    std::string text;             ///< personal data
    bool interrupted{false};      ///< of `heard`
    TurnLatency latency;          ///< of `reply_started`
    microseconds reaction{0};     ///< of `barge_in`
};
const char* to_string(CallEvent::Kind kind) noexcept;

/// Gets every event of every call. Thread: the call's shard; implementations are thread-safe and
/// never block.
class CallObserver {
public:
    virtual void on_call_event(
        const SessionId& session, const transports::CallInfo& call, const CallEvent& event
    ) noexcept = 0;

protected:
    ~CallObserver() = default;
};

}  // namespace oavc::pipeline
