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

CallControlErrc call_control_errc(int sip_status) noexcept {
    switch (sip_status) {
        case 486:
        case 600:
        case 603:
            return CallControlErrc::busy;
        case 408:
        case 480:
        case 487:
            return CallControlErrc::no_answer;
        case 404:
        case 410:
        case 484:
        case 604:
            return CallControlErrc::not_found;
        case 405:
        case 415:
        case 420:
        case 501:
            return CallControlErrc::not_supported;
        case 481:
            return CallControlErrc::gone;
        case 491:
            return CallControlErrc::wrong_state;
        default:
            return sip_status >= 500 && sip_status < 600 ? CallControlErrc::unavailable
                                                         : CallControlErrc::refused;
    }
}

}  // namespace oavc::transports
