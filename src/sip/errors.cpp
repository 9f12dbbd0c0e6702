#include "sip/errors.hpp"

namespace oavc::sip {

std::string_view describe(SipErrc code) noexcept {
    switch (code) {
        case SipErrc::too_long:
            return "more bytes, lines or elements than allowed";
        case SipErrc::bad_sdp:
            return "not a session description";
        case SipErrc::no_connection:
            return "a stream has no connection address";
        case SipErrc::no_common_codec:
            return "no codec in common";
        case SipErrc::no_common_security:
            return "no agreement on encryption: see [telephony.rtp] srtp";
        case SipErrc::bad_answer:
            return "the answer does not fit the offer";
        case SipErrc::bad_address:
            return "not a SIP or tel address";
        case SipErrc::bad_message:
            return "not a SIP message";
    }
    return "unknown SIP error";
}

}  // namespace oavc::sip
