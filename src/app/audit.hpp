#pragma once

#include <span>
#include <string_view>

namespace oavc::app {

/// `oavc audit`: see its --help.
int audit_command(std::span<const std::string_view> arguments);

}  // namespace oavc::app
