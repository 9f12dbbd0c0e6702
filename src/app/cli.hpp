#pragma once

#include "config/load.hpp"

#include <filesystem>
#include <optional>
#include <span>
#include <string_view>

namespace oavc::app {

/// The whole program: "serve", "-c", "x.ini" → exit status. Throws what main() prints.
int run(std::span<const std::string_view> arguments);

/// The configuration file to use: `given` (-c), else $OAVC_CONFIG_FILE, else $CONFIG_FILE, else
/// ./cfg/opensips-ai-voice-connector.ini, else ./config/dev.ini. Throws UsageError, naming all of
/// these, when there is none.
std::filesystem::path find_config_file(
    std::optional<std::string_view> given, const config::Environment& environment
);

}  // namespace oavc::app
