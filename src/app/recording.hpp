#pragma once

#include <span>
#include <string_view>

namespace oavc::app {

/// `oavc recording`: see its --help.
int recording_command(std::span<const std::string_view> arguments);

}  // namespace oavc::app
