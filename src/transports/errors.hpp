#pragma once

#include "base/error.hpp"

#include <string_view>

namespace oavc::transports {

/// Why something that was asked of a call, or for a call, did not happen: the same words for every
/// carrier.
enum class CallControlErrc {
    not_supported = 1,  ///< this carrier cannot do that
    wrong_state,        ///< not possible now: not answered yet, over, or the same is under way
    bad_target,         ///< no number and no SIP URI
    busy,               ///< the other side is busy or declined (486, 600, 603)
    no_answer,          ///< nobody answered in time (408, 480, 487)
    not_found,          ///< no such number (404, 410, 484, 604)
    refused,            ///< refused for another reason
    unavailable,        ///< the carrier does not work: no answer, 5xx, no connection
    gone,               ///< the call ended before it was done
    no_capacity,        ///< no place among our own calls, or no ports
};
std::string_view describe(CallControlErrc code) noexcept;

/// What a final SIP status of 300 or more to a request of ours means (RFC 3261 §21).
CallControlErrc call_control_errc(int sip_status) noexcept;

OAVC_ERROR_CATEGORY(CallControlErrc, "oavc.call")

}  // namespace oavc::transports

OAVC_ERROR_CODE_ENUM(oavc::transports::CallControlErrc)
