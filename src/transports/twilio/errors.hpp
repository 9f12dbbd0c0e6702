#pragma once

#include "base/error.hpp"

#include <string_view>

namespace oavc::transports::twilio {

enum class TwilioErrc {
    form_too_large = 1,  ///< more fields or bytes than any webhook has
    not_json,            ///< a socket message that is no JSON object
    bad_message,         ///< a message without what its event needs
    bad_payload,         ///< audio that is not base64, or too long
    too_many_tokens,     ///< more calls between webhook and socket than the table holds
};
std::string_view describe(TwilioErrc code) noexcept;
OAVC_ERROR_CATEGORY(TwilioErrc, "oavc.twilio")

}  // namespace oavc::transports::twilio

OAVC_ERROR_CODE_ENUM(oavc::transports::twilio::TwilioErrc)
