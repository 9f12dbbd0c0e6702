#pragma once

#include "base/time.hpp"

#include <string>
#include <vector>

namespace oavc::transports::twilio {

/// [telephony.twilio]
struct Config {
    std::string account_sid;
    std::string auth_token;            ///< secret
    std::string auth_token_secondary;  ///< secret; accepted too, during rotation
    std::string phone_number;          ///< E.164; who calls, in outgoing calls
    /// What Twilio was configured with, e.g. https://voice.example.com; signatures are computed
    /// over it, and the media URL is its wss:// twin. Empty: the name by which this machine
    /// asked, such as http://127.0.0.1:<port> (local trials, from this machine only).
    std::string public_url;
    bool validate_signatures{true};      ///< off only for trials; needs auth_token when on
    std::chrono::seconds token_ttl{60};  ///< of the one-time token between webhook and socket
    /// The media socket may come to another instance than the webhook. Places are then taken when
    /// the socket comes, and no calls are placed.
    bool any_instance{false};
    milliseconds max_buffered{200};  ///< of audio ahead of the caller's ear in Twilio's buffer
    std::chrono::seconds media_timeout{30};
    std::string busy_sentence;           ///< said when a call is refused; empty: the busy tone
    std::string busy_language{"en-US"};  ///< of that sentence, as Twilio's <Say> knows it
    std::string api_url{"https://api.twilio.com"};  ///< REST: transfers and outgoing calls
    std::string api_ca_file;         ///< PEM to trust instead of the system's; empty: the system's
    milliseconds api_timeout{5000};  ///< of one REST request

    /// All that is wrong, as sentences that name the key and what to do. Empty: usable.
    std::vector<std::string> validate() const;
};

}  // namespace oavc::transports::twilio
