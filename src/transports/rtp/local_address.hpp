#pragma once

#include "transports/rtp/config.hpp"

#include <initializer_list>
#include <string>
#include <string_view>

namespace oavc::transports::rtp {

/// Our address as the other side reaches it, for SDP and Contact: as configured, else the one that
/// audio is received on, else the one that routes to the first usable address of `towards` (others,
/// such as empty ones and host names, are passed over), else that of the default route.
std::string local_address(const Config& config, std::initializer_list<std::string_view> towards);

}  // namespace oavc::transports::rtp
