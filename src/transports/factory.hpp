#pragma once

#include "async/shard_pool.hpp"
#include "observability/log.hpp"
#include "transports/listener.hpp"
#include "transports/opensips/config.hpp"
#include "transports/rtp/config.hpp"
#include "transports/rtp/rtp_ports.hpp"
#include "transports/sip/config.hpp"
#include "transports/twilio/config.hpp"

#include <memory>
#include <string_view>
#include <vector>

namespace oavc::net {
class HttpServer;
}

namespace oavc::transports {

/// What a listener needs of the rest of the house. Borrowed: outlives every listener.
struct ListenerContext {
    async::ShardPool& shards;
    CallHandler& calls;
    net::HttpServer& http;     ///< not started yet: listeners add their paths
    rtp::RtpPorts& rtp_ports;  ///< of all listeners together; used on shard 0
    log::Logger log;
};

/// Makes the listeners that bring a provider's calls. A new carrier is one folder and one line
/// here.
class TransportFactory {
public:
    TransportFactory(
        rtp::Config rtp, opensips::Config opensips, sip_ua::Config sip, twilio::Config twilio
    );

    /// `provider`: one of known_providers. Throws std::runtime_error "Unknown provider: 'x' …".
    std::vector<std::unique_ptr<Listener>> make(
        std::string_view provider, const ListenerContext& context
    ) const;

private:
    const rtp::Config rtp_;
    const opensips::Config opensips_;
    const sip_ua::Config sip_;
    const twilio::Config twilio_;
};

}  // namespace oavc::transports
