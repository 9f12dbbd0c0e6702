#pragma once

#include "net/tls.hpp"
#include "services/config.hpp"
#include "services/detail/warm_supply.hpp"

namespace oavc::services {

/// One call's supply of connections to one server at tcp://host:port or tls://host:port.
class WarmTcp : public WarmSupply<net::TcpStream> {
public:
    WarmTcp(async::Shard& shard, const Endpoint& endpoint)
        : WarmSupply{
              shard,
              [url = endpoint.url, identity = endpoint.tls, limit = endpoint.connect_timeout](
                  async::Shard& on
              ) { return net::stream_connect(on, url, identity, limit); }} {}
};

}  // namespace oavc::services
