#pragma once

#include "async/awaitable.hpp"
#include "async/shard.hpp"
#include "base/result.hpp"
#include "services/config.hpp"

namespace oavc::services {

/// Asks a Wyoming server to describe itself, within the connect timeout. Errors as service_error()
/// has them, and ServiceErrc::protocol.
asio::awaitable<Result<void>> probe_wyoming(async::Shard& shard, Endpoint endpoint);

}  // namespace oavc::services
