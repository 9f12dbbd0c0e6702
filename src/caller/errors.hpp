#pragma once

#include "base/error.hpp"

#include <string_view>

namespace oavc::caller {

enum class CallerErrc {
    bad_sdp = 1,  ///< the connector's SDP answer is unusable
    bad_twiml,    ///< the webhook's document does not connect us to a media stream
    bad_message,  ///< a media stream message that Twilio would not accept
};
std::string_view describe(CallerErrc code) noexcept;
OAVC_ERROR_CATEGORY(CallerErrc, "oavc.caller")

}  // namespace oavc::caller

OAVC_ERROR_CODE_ENUM(oavc::caller::CallerErrc)
