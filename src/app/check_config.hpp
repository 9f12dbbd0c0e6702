#pragma once

#include <span>
#include <string_view>

namespace oavc::app {

/// `oavc check-config [FILE] [--explain] [--strict] [--docs]`. 1 when the file has errors.
int check_config_command(std::span<const std::string_view> arguments);

}  // namespace oavc::app
