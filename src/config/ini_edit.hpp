#pragma once

#include <string>
#include <string_view>

namespace oavc::config {

/// `ini` (of the dialect of ini.hpp) with `key = value` in `[section]`: in the place of the old
/// value, with whatever lines that had; else as the section's first key; else in a new section at
/// the end. All other bytes stay as they are. `value` is one line.
std::string with_ini_value(
    std::string_view ini, std::string_view section, std::string_view key, std::string_view value
);

}  // namespace oavc::config
