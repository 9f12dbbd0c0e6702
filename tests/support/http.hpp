#pragma once

#include "async/run_blocking.hpp"
#include "net/http_client.hpp"

#include <boost/asio/error.hpp>

#include <string>
#include <utility>

namespace oavc::test {

namespace detail {

inline asio::awaitable<void> fetch_into(
    async::Shard& shard,
    net::HttpClientRequest request,
    Clock::duration limit,
    Result<net::HttpResponse>& result
) {
    result = co_await net::http_request(shard, std::move(request), limit);
}

}  // namespace detail

/// One request, blocking, on a shard of its own.
inline Result<net::HttpResponse> fetch(
    net::HttpClientRequest request, Clock::duration limit = std::chrono::seconds{10}
) {
    async::Shard shard{99};
    Result<net::HttpResponse> result{error_code{asio::error::fault}};
    async::run_blocking(shard, detail::fetch_into(shard, std::move(request), limit, result));
    return result;
}

inline std::string local_url(std::string_view scheme, std::uint16_t port, std::string_view target) {
    return std::string{scheme} + "://127.0.0.1:" + std::to_string(port) + std::string{target};
}

}  // namespace oavc::test
