#pragma once

#include <span>
#include <string_view>

namespace oavc::caller::bench {

/// `oavc bench`: a load test of this machine. Returns an exit status.
int bench_command(std::span<const std::string_view> arguments);

}  // namespace oavc::caller::bench
