#pragma once

#include "config/config.hpp"

namespace oavc::app {

/// Replaces host names by addresses wherever a socket or an allow-list needs one. Blocks: start-up
/// only. Throws std::runtime_error naming the key, the name and the resolver's reason.
void resolve_names(config::Config& config);

}  // namespace oavc::app
