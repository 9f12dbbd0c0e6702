#pragma once

#include "async/awaitable.hpp"
#include "async/shard.hpp"

namespace oavc::async {

/// Runs `work` on `shard` and returns once it has ended; what escapes it is rethrown here. Drives
/// the shard itself while no thread of its own runs it (tests, before `start`, after
/// `drain_and_join`). Thread: any but the shard's. For start-up, shutdown, the command line and
/// tests: it blocks.
void run_blocking(Shard& shard, asio::awaitable<void> work);

}  // namespace oavc::async
