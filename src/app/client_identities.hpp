#pragma once

#include "async/shard_pool.hpp"
#include "config/config.hpp"
#include "net/tls_identity.hpp"
#include "observability/log.hpp"

#include <string>
#include <vector>

namespace oavc::app {

/// Whom we believe, and what we show, as a client of somebody that calls use.
struct ClientIdentity {
    std::string section;  ///< that says so
    net::TlsIdentity identity;
};
std::vector<ClientIdentity> client_identities(const config::Config& config);

/// Reads them for connections to come. Files that cannot be used: std::runtime_error that names
/// section and file; but what `running` had already only costs a line of the log, and the old
/// content goes on: false then. Thread: main.
bool load_client_identities(
    async::ShardPool& shards,
    const config::Config& fresh,
    const config::Config* running,
    const log::Logger& log
);

}  // namespace oavc::app
