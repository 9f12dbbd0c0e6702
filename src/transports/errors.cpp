#include "transports/errors.hpp"

namespace oavc::transports {

std::string_view describe(CallControlErrc code) noexcept {
    switch (code) {
        case CallControlErrc::not_supported:
            return "this carrier cannot do that";
        case CallControlErrc::wrong_state:
            return "not possible in this state of the call";
        case CallControlErrc::bad_target:
            return "neither a number nor a SIP URI";
        case CallControlErrc::busy:
            return "busy";
        case CallControlErrc::no_answer:
            return "nobody answered";
        case CallControlErrc::not_found:
            return "no such number";
        case CallControlErrc::refused:
            return "refused";
        case CallControlErrc::unavailable:
            return "the carrier does not work";
        case CallControlErrc::gone:
            return "the call has ended";
        case CallControlErrc::no_capacity:
            return "no place for another call";
    }
    return "unknown call control error";
}

}  // namespace oavc::transports
