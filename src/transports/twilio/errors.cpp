#include "transports/twilio/errors.hpp"

namespace oavc::transports::twilio {

std::string_view describe(TwilioErrc code) noexcept {
    switch (code) {
        case TwilioErrc::form_too_large:
            return "the form has too many fields or bytes";
        case TwilioErrc::not_json:
            return "the message is not a JSON object";
        case TwilioErrc::bad_message:
            return "the message lacks what its event needs";
        case TwilioErrc::bad_payload:
            return "the audio payload is not base64 or too long";
        case TwilioErrc::too_many_tokens:
            return "too many calls wait for their media socket";
    }
    return "unknown Twilio error";
}

}  // namespace oavc::transports::twilio
