#pragma once

#include "base/error.hpp"

#include <string_view>

namespace oavc::sip {

enum class SipErrc {
    too_long = 1,        ///< more bytes, lines or elements than a message may have
    bad_sdp,             ///< no "v=0", or a line whose form RFC 8866 does not allow
    no_connection,       ///< a stream in use has no c= line at either level (RFC 8866 §5.7)
    no_common_codec,     ///< no audio stream of the offer has a codec of ours
    no_common_security,  ///< encrypted where we may not, plain where we must not, or keys unread
    bad_answer,          ///< the answer does not fit the offer (RFC 3264 §6)
    bad_address,         ///< a From, To or URI that cannot be read
    bad_message,         ///< no SIP message, or one that cannot even be answered
};
std::string_view describe(SipErrc code) noexcept;
OAVC_ERROR_CATEGORY(SipErrc, "oavc.sip")

}  // namespace oavc::sip

OAVC_ERROR_CODE_ENUM(oavc::sip::SipErrc)
