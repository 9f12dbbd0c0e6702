#pragma once

#include "async/shard.hpp"
#include "base/result.hpp"
#include "net/tls.hpp"

#include <memory>

namespace oavc::net::detail {

/// What a shard's clients connect with as `identity`: what load_client_identity() brought, else
/// made from the files, once. Errors: of files that cannot be used. Thread: the shard's.
Result<std::shared_ptr<const TlsContext>> client_context(
    async::Shard& shard, const TlsIdentity& identity
);

}  // namespace oavc::net::detail
