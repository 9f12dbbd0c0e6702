#include "services/detail/warm_websocket.hpp"

#include "net/http_client.hpp"

#include <utility>

namespace oavc::services {

WarmWebSocket::WarmWebSocket(async::Shard& shard, Options options)
    : WarmSupply{shard, [options = std::move(options)](async::Shard& on) {
                     return net::websocket_connect(
                         on,
                         options.endpoint.url,
                         options.headers,
                         options.endpoint.connect_timeout,
                         options.limits,
                         options.endpoint.tls
                     );
                 }} {}

}  // namespace oavc::services
