#pragma once

#include <span>
#include <string_view>

namespace oavc::caller {

/// `oavc call`: places test calls into a running connector (`--help` tells how). `arguments`: those
/// after "call". Returns the exit status: 0 all went well, 1 not, 2 usage, 130 stopped by Ctrl-C.
/// Runs everything on the calling thread; prints to stdout, errors to stderr.
int call_command(std::span<const std::string_view> arguments);

}  // namespace oavc::caller
