#pragma once

#include "net/http.hpp"
#include "net/websocket.hpp"
#include "services/config.hpp"
#include "services/detail/warm_supply.hpp"

namespace oavc::services {

/// One call's supply of connections to one WebSocket server.
class WarmWebSocket : public WarmSupply<net::WebSocket> {
public:
    struct Options {
        Endpoint endpoint;         ///< ws:// or wss://
        net::HttpHeaders headers;  ///< of the handshake
        net::WsLimits limits;
    };
    WarmWebSocket(async::Shard& shard, Options options);
};

}  // namespace oavc::services
