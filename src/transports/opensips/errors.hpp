#pragma once

#include "base/error.hpp"

#include <string_view>

namespace oavc::transports::opensips {

enum class OpensipsErrc {
    not_json = 1,      ///< a datagram that is not a JSON object
    not_an_event,      ///< JSON, but not an E_UA_SESSION notification that we understand
    not_a_response,    ///< JSON, but not a JSON-RPC response
    too_long,          ///< more bytes than the peer reads or a datagram carries
    bad_value,         ///< a value that OpenSIPS cannot be sent
    refused,           ///< the offer has nothing for us: answered 415 or 488
    gone,              ///< the call ended before we were done
    no_answer,         ///< OpenSIPS did not answer our request
    rejected_by_peer,  ///< the other side said no, as in 603 to a REFER
    wrong_state,       ///< not possible now: no call yet, or no call any more
    busy,              ///< too many requests wait for OpenSIPS
};
std::string_view describe(OpensipsErrc code) noexcept;
OAVC_ERROR_CATEGORY(OpensipsErrc, "oavc.opensips")

}  // namespace oavc::transports::opensips

OAVC_ERROR_CODE_ENUM(oavc::transports::opensips::OpensipsErrc)
