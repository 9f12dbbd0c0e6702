#pragma once

#include "base/time.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace oavc::transports::opensips {

/// [telephony.opensips]
struct Config {
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

    std::string rtp_bind_ip{"0.0.0.0"};
    std::string rtp_advertised_ip;  ///< in SDP; empty: the address that routes to the caller
    std::uint16_t rtp_port_start{35000};
    std::uint16_t rtp_port_end{
        35500};  ///< inclusive; a call takes an even port and the next odd one
    std::vector<std::string> allowed_peers{"127.0.0.1"};  ///< addresses events may come from
    std::chrono::seconds media_timeout{
        30};  ///< no RTP for this long, while not held: the call ends

    /// Everything that is wrong, in sentences that say what to change. `max_calls`: what the port
    /// range must hold ([limits] max_calls); 0: not checked.
    std::vector<std::string> validate(std::size_t max_calls = 0) const;

    /// Calls that the port range can carry at once.
    std::size_t port_capacity() const noexcept {
        const std::size_t first = (rtp_port_start + 1u) / 2;
        const std::size_t last = (rtp_port_end + 1u) / 2;
        return last > first ? last - first : 0;
    }
};

}  // namespace oavc::transports::opensips
