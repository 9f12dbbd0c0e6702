#include "transports/opensips/errors.hpp"

namespace oavc::transports::opensips {

std::string_view describe(OpensipsErrc code) noexcept {
    switch (code) {
        case OpensipsErrc::not_json:
            return "not a JSON object";
        case OpensipsErrc::not_an_event:
            return "not an E_UA_SESSION event";
        case OpensipsErrc::not_a_response:
            return "not a JSON-RPC response";
        case OpensipsErrc::too_long:
            return "too long for a datagram";
        case OpensipsErrc::bad_value:
            return "a value that cannot be sent";
        case OpensipsErrc::refused:
            return "the offer has nothing for us";
        case OpensipsErrc::gone:
            return "the call has ended";
        case OpensipsErrc::no_answer:
            return "OpenSIPS does not answer";
        case OpensipsErrc::rejected_by_peer:
            return "the other side refused";
        case OpensipsErrc::wrong_state:
            return "not possible in this state of the call";
        case OpensipsErrc::busy:
            return "too many requests wait for OpenSIPS";
    }
    return "unknown OpenSIPS error";
}

}  // namespace oavc::transports::opensips
