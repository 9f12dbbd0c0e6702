#pragma once

namespace oavc::config {

struct Loaded;

/// What no single value can show: ranges that do not fit together, files that are missing, agents
/// that no call can reach. Adds to `loaded.problems`; may lower a default that does not fit what
/// the operator wrote, and says so.
void check(Loaded& loaded);

}  // namespace oavc::config
