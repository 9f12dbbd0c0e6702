#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace oavc::transports::sip_ua {

/// [telephony.sip]: our SIP user agent, behind OpenSIPS or any other proxy or PBX.
struct Config {
    std::string bind_ip{"0.0.0.0"};  ///< where SIP is received
    std::uint16_t port{8089};        ///< UDP and TCP; 0: any free one
    bool tcp{true};
    std::uint16_t tls_port{0};      ///< SIP over TLS; 0: not served
    std::string tls_certificate;    ///< PEM, ours with its chain; also shown to servers that ask
    std::string tls_private_key;    ///< PEM
    std::string tls_ca;             ///< PEM, who may sign theirs; empty: the system's store
    bool tls_verify_client{false};  ///< whoever connects must show a certificate
    /// "ip" or "ip:port" in Contact and Via; with TLS the port is `tls_port`; empty: the address
    /// that routes to the other side.
    std::string advertised;
    /// Addresses that may talk to us; others get no answer and are counted.
    std::vector<std::string> allowed_peers{"127.0.0.1"};

    std::string proxy;     ///< where outgoing calls go: "sip:host:port;transport=tcp"; empty: none
    std::string from;      ///< URI or user of outgoing calls; empty: `username`, else "oavc"
    std::string username;  ///< for 401 and 407
    std::string password;
    std::string registrar;              ///< "sip:host": register there; empty: no registration
    std::chrono::seconds expires{300};  ///< of a registration

    std::string overflow;  ///< when full or draining: empty or "503", or a SIP URI to go to (302)
    std::chrono::seconds session_expires{1800};  ///< asked for in outgoing calls; 0: none
    std::size_t max_connections{256};            ///< TCP; beyond it closed at once
    std::chrono::seconds idle_timeout{600};      ///< of a connection

    /// Everything that is wrong, in sentences that say what to change.
    std::vector<std::string> validate() const;
};

}  // namespace oavc::transports::sip_ua
