#pragma once

#include "base/time.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace oavc::transports::opensips {

/// [telephony.opensips]
struct Config {
    /// How OpenSIPS hands calls over: "events" (b2b_entities, our MI), "sip" (it relays INVITEs to
    /// our SIP user agent) or "both" at once.
    std::string mode{"both"};
    std::string event_ip{"0.0.0.0"};  ///< where events are received
    std::uint16_t event_port{8090};
    /// What OpenSIPS is told to send events to ("ip:port"); empty: event_ip:event_port, or
    /// 127.0.0.1 when event_ip is a wildcard and OpenSIPS is local.
    std::string event_advertised;
    std::string mi_ip{"127.0.0.1"};  ///< OpenSIPS's mi_datagram socket
    std::uint16_t mi_port{8087};
    milliseconds mi_timeout{1000};  ///< per attempt
    std::chrono::seconds subscribe_expire{60};
    milliseconds subscribe_retry{500};  ///< while OpenSIPS does not answer, with back-off to 5 s

    std::vector<std::string> allowed_peers{"127.0.0.1"};  ///< addresses events may come from

    /// Everything that is wrong, in sentences that say what to change.
    std::vector<std::string> validate() const;
};

}  // namespace oavc::transports::opensips
