#pragma once

#include "net/tcp.hpp"
#include "services/config.hpp"
#include "services/detail/warm_supply.hpp"

namespace oavc::services {

/// One call's supply of connections to one server at tcp://host:port.
class WarmTcp : public WarmSupply<net::TcpStream> {
public:
    WarmTcp(async::Shard& shard, const Endpoint& endpoint)
        : WarmSupply{
              shard, [url = endpoint.url, limit = endpoint.connect_timeout](async::Shard& on) {
                  return net::tcp_connect(on, url, limit);
              }} {}
};

}  // namespace oavc::services
