#pragma once

#include <filesystem>

namespace oavc {

/// Where downloaded models live: $OAVC_DATA_DIR, else $XDG_DATA_HOME/oavc, else
/// ~/.local/share/oavc. Reads the environment: call it at start-up, not on a shard.
std::filesystem::path data_directory();

}  // namespace oavc
