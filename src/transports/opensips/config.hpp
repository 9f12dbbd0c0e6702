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

    // Calls that we place.
    std::string dial_domain;  ///< host or host:port behind a bare number: sip:NUMBER@dial_domain
    std::string dial_proxy;   ///< SIP URI of the next hop; empty: where the address leads
    /// OpenSIPS's own socket, "udp:192.0.2.1:5060". Empty: its advertised_contact is set.
    std::string dial_socket;

    std::vector<std::string> allowed_peers{"127.0.0.1"};  ///< addresses events may come from

    /// Everything that is wrong, in sentences that say what to change.
    std::vector<std::string> validate() const;
};

}  // namespace oavc::transports::opensips
