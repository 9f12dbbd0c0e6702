#pragma once

#include "transports/rtp/config.hpp"

#include <initializer_list>
#include <string>
#include <string_view>

namespace oavc::transports::rtp {

/// Our address as the other side reaches it, for SDP and for a Contact: as configured, else the one
/// that audio is received on, else where packets to the first usable address of `towards` leave
/// from. Those may be empty, unspecified or host names: they are passed over then.
std::string local_address(const Config& config, std::initializer_list<std::string_view> towards);

}  // namespace oavc::transports::rtp
