#include "caller/errors.hpp"

namespace oavc::caller {

std::string_view describe(CallerErrc code) noexcept {
    switch (code) {
        case CallerErrc::bad_sdp:
            return "the SDP answer is unusable";
        case CallerErrc::bad_twiml:
            return "the TwiML does not connect the call to a media stream";
        case CallerErrc::bad_message:
            return "Twilio would not accept this media stream message";
    }
    return "unknown";
}

}  // namespace oavc::caller
