#pragma once

#include <array>
#include <string_view>

namespace oavc::transports {

/// What [telephony] provider may be; TransportFactory makes the listeners of each.
inline constexpr std::array<std::string_view, 4> known_providers{
    "opensips", "sip", "twilio", "both"};

}  // namespace oavc::transports
