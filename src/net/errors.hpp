#pragma once

#include "base/error.hpp"

#include <string_view>

namespace oavc::net {

enum class NetErrc {
    bad_url = 1,      ///< not an absolute URL of a scheme that this call speaks
    stopped_by_sink,  ///< HttpClientRequest::on_body asked to stop
    websocket_broken  ///< the peer broke RFC 6455, or its message was too long
};
std::string_view describe(NetErrc code) noexcept;
OAVC_ERROR_CATEGORY(NetErrc, "oavc.net")

/// Category whose values are HTTP status codes: what a server answered instead of 101.
const boost::system::error_category& http_status_category() noexcept;

/// The status in `error`, or 0 when it is something else.
int http_status_of(const error_code& error) noexcept;

}  // namespace oavc::net

OAVC_ERROR_CODE_ENUM(oavc::net::NetErrc)
