#pragma once

#include "config/load.hpp"

#include <string>

namespace oavc::config {

/// Every effective value with its origin, one section after another, in aligned columns. Secrets
/// are "****". Ends with a newline.
std::string explain(const Loaded& loaded);

/// All problems, one per line, and a closing line that counts them. Empty when there are none.
/// `least`: what is less severe is only counted.
std::string list_problems(const Loaded& loaded, Severity least);

/// docs/configuration.md: the reference of every key, from the schema.
std::string reference();

}  // namespace oavc::config
