#pragma once

#include "config/load.hpp"

#include <span>
#include <string>
#include <string_view>

namespace oavc::app {

/// What `oavc healthcheck` asks when it is told no URL: $OAVC_URL, else this machine at $PORT, else
/// at $OAVC_API_PORT, else at 8088, as the server chooses its port.
std::string health_url(const config::Environment& environment, bool ready);

/// `oavc healthcheck`: the probe of containers, which have no curl.
int healthcheck_command(std::span<const std::string_view> arguments);

}  // namespace oavc::app
