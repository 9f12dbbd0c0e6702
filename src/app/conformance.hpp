#pragma once

#include <span>
#include <string_view>

namespace oavc::app {

/// `oavc conformance TARGET`: 0 all that must hold holds, 1 something does not. Throws UsageError.
int conformance_command(std::span<const std::string_view> arguments);

}  // namespace oavc::app
