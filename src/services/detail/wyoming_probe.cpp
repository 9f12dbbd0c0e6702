#include "services/detail/wyoming_probe.hpp"

#include "async/deadline.hpp"
#include "net/tls.hpp"
#include "services/detail/stream_error.hpp"
#include "services/detail/wyoming_protocol.hpp"

#include <utility>
#include <variant>

namespace oavc::services {

namespace {

asio::awaitable<Result<std::monostate>> describe(async::Shard& shard, Endpoint endpoint) {
    const auto stream =
        co_await net::stream_connect(shard, endpoint.url, endpoint.tls, endpoint.connect_timeout);
    if (!stream) co_return stream.error();
    (*stream)->send(wyoming_event("describe"));
    WyomingParser parser;
    for (;;) {
        const auto bytes = co_await (*stream)->read();
        if (!bytes) co_return bytes.error();
        parser.feed(*bytes);
        for (;;) {
            const auto event = parser.next();
            if (!event) co_return event.error();
            if (!*event) break;
            if ((*event)->type == "info") co_return std::monostate{};
        }
    }
}

}  // namespace

asio::awaitable<Result<void>> probe_wyoming(async::Shard& shard, Endpoint endpoint) {
    const auto limit = endpoint.connect_timeout;
    auto asking = describe(shard, std::move(endpoint));
    const auto described = co_await async::with_deadline(std::move(asking), limit);
    if (!described) co_return service_error(described.error());
    co_return Result<void>{};
}

}  // namespace oavc::services
