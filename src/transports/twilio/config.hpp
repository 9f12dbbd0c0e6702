#pragma once

#include "base/time.hpp"

#include <string>

namespace oavc::transports::twilio {

/// [telephony.twilio]
struct Config {
    std::string account_sid;
    std::string auth_token;            ///< secret
    std::string auth_token_secondary;  ///< secret; accepted too, during rotation
    std::string phone_number;          ///< E.164
    /// What Twilio was configured with, e.g. https://voice.example.com; signatures are computed over
    /// it, and the media URL is its wss:// twin. Empty: http://127.0.0.1:<port> (local trials).
    std::string public_url;
    bool validate_signatures{true};    ///< off only for trials; needs auth_token when on
    std::chrono::seconds token_ttl{60};  ///< of the one-time token between webhook and socket
    milliseconds max_buffered{200};    ///< of audio ahead of the caller's ear in Twilio's buffer
    std::chrono::seconds media_timeout{30};
};

}  // namespace oavc::transports::twilio
