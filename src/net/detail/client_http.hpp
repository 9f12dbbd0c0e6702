#pragma once

// What the plain and the streaming HTTP client share. Beast is visible here: for their translation
// units only.

#include "async/awaitable.hpp"
#include "async/shard.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "net/detail/plain_or_tls.hpp"
#include "net/http.hpp"
#include "net/tls_identity.hpp"
#include "net/url.hpp"

#include <boost/beast/http/message.hpp>

#include <string>
#include <string_view>

namespace oavc::net::detail {

namespace http = boost::beast::http;

/// TCP, then TLS where the scheme wants it: as `identity`, and only with whom it believes and whose
/// certificate is of that name. The deadline stays set.
asio::awaitable<Result<PlainOrTlsStream>> connect(
    async::Shard& shard, const Url& url, const TlsIdentity& identity, TimePoint deadline
);

/// A whole request as HTTP/1.1 text. Host, User-Agent, Accept and Content-Length are added where
/// missing; header fields that would smuggle a line are left out.
std::string request_text(
    std::string_view method,
    const Url& url,
    std::string_view target,
    HttpHeaders headers,
    std::string_view body
);

/// Status and header fields; repeated fields are joined.
HttpResponse head_of(const http::response_header<>& header);

/// beast::error::timeout says the same as everybody else's.
error_code plain(const error_code& error) noexcept;

}  // namespace oavc::net::detail
