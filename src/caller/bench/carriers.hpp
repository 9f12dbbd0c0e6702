#pragma once

#include "caller/bench/carrier.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace oavc::caller::bench {

/// Where the server is, or will be: everything that a carrier needs to know.
struct Reach {
    std::string via{"opensips"};  ///< opensips, sip or twilio
    std::size_t phones{0};
    std::uint16_t mi_port{0};   ///< where the server expects OpenSIPS
    std::uint16_t sip_port{0};  ///< of the server, on 127.0.0.1
    std::string url;            ///< of its HTTP server
    std::string auth_token;     ///< Twilio's
};

/// Throws std::runtime_error that says what to do.
std::unique_ptr<Carrier> make_carrier(const Reach& reach);

}  // namespace oavc::caller::bench
