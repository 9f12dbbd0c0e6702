#include "pipeline/events.hpp"

namespace oavc::pipeline {

const char* to_string(CallEvent::Kind kind) noexcept {
    switch (kind) {
        case CallEvent::Kind::started:
            return "started";
        case CallEvent::Kind::answered:
            return "answered";
        case CallEvent::Kind::speech_started:
            return "speech_started";
        case CallEvent::Kind::partial:
            return "partial";
        case CallEvent::Kind::caller_said:
            return "caller_said";
        case CallEvent::Kind::sentence:
            return "sentence";
        case CallEvent::Kind::reply_started:
            return "reply_started";
        case CallEvent::Kind::barge_in:
            return "barge_in";
        case CallEvent::Kind::heard:
            return "heard";
        case CallEvent::Kind::digit:
            return "digit";
        case CallEvent::Kind::control:
            return "control";
        case CallEvent::Kind::held:
            return "held";
        case CallEvent::Kind::ended:
            return "ended";
    }
    return "unknown";
}

}  // namespace oavc::pipeline
