#pragma once

// What the HTTP server makes of Beast's messages. For its translation unit only.

#include "base/error.hpp"
#include "net/detail/http_text.hpp"
#include "net/detail/peer_address.hpp"
#include "net/http.hpp"

#include <boost/beast/http/error.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include <string>
#include <string_view>
#include <utility>

namespace oavc::net::detail {

/// All but the body. Before it is read: Beast adds trailers to the header, and they are none (RFC
/// 9110 §6.5.1).
inline HttpRequest to_request(
    const boost::beast::http::request<boost::beast::http::string_body>& message,
    const boost::asio::ip::tcp::endpoint& peer,
    bool secure
) {
    HttpRequest request;
    request.method = message.method_string();
    const auto target = message.target();
    request.target = origin_form({target.data(), target.size()});
    for (const auto& field : message) {
        const std::string_view value{field.value().data(), field.value().size()};
        auto [entry, inserted] =
            request.headers.try_emplace(std::string{field.name_string()}, value);
        if (!inserted) entry->second.append(", ").append(value);
    }
    const auto address = plain_address(peer.address());
    request.peer_ip = address.to_string();
    request.peer_is_loopback = address.is_loopback();
    request.secure = secure;
    return request;
}

/// What to answer to bytes that are no acceptable request; 0: nothing, the peer is gone or too
/// slow.
inline int status_of(const error_code& error) noexcept {
    namespace http = boost::beast::http;
    if (error == http::error::header_limit || error == http::error::buffer_overflow) return 431;
    if (error == http::error::body_limit) return 413;
    if (error == http::error::bad_version) return 505;
    if (error == http::error::end_of_stream || error == http::error::partial_message) return 0;
    if (error.category() == http::make_error_code(http::error::bad_method).category()) return 400;
    return 0;
}

}  // namespace oavc::net::detail
