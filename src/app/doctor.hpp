#pragma once

#include <span>
#include <string_view>

namespace oavc::app {

/// `oavc doctor [-c FILE] [--json] [--strict] [--public] [--call]`: looks at everything that calls
/// need, and says what to change. 0 nothing is wrong, 1 only warnings and --strict, 2 a fault.
int doctor_command(std::span<const std::string_view> arguments);

}  // namespace oavc::app
