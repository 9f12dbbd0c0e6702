#pragma once

// What the plain and the streaming HTTP client share. Beast is visible here: for their translation
// units only.

#include "async/awaitable.hpp"
#include "async/shard.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "net/detail/flat_buffers.hpp"
#include "net/http.hpp"
#include "net/url.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/message.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace oavc::net::detail {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using TlsStream = boost::asio::ssl::stream<beast::tcp_stream>;

/// Plain or TLS: one type, so that Beast's operations are compiled once.
class ClientStream {
public:
    using executor_type = asio::any_io_executor;
    using next_layer_type = beast::tcp_stream;

    explicit ClientStream(beast::tcp_stream plain) : layer_{std::move(plain)} {}
    explicit ClientStream(TlsStream tls) : layer_{std::move(tls)} {}

    executor_type get_executor() noexcept { return next_layer().get_executor(); }
    TlsStream* tls() noexcept { return std::get_if<TlsStream>(&layer_); }
    next_layer_type& next_layer() noexcept {
        return tls() != nullptr ? tls()->next_layer() : std::get<beast::tcp_stream>(layer_);
    }
    const next_layer_type& next_layer() const noexcept {
        const auto* secured = std::get_if<TlsStream>(&layer_);
        return secured != nullptr ? secured->next_layer() : std::get<beast::tcp_stream>(layer_);
    }

    template <class Buffers, class Token>
    auto async_read_some(const Buffers& buffers, Token&& token) {
        return asio::async_initiate<Token, void(error_code, std::size_t)>(
            [this](auto handler, const Buffers& into) {
                if (auto* secured = tls()) {
                    secured->async_read_some(into, std::move(handler));
                } else {
                    next_layer().async_read_some(into, std::move(handler));
                }
            },
            token,
            buffers
        );
    }

    template <class Buffers, class Token>
    auto async_write_some(const Buffers& buffers, Token&& token) {
        return asio::async_initiate<Token, void(error_code, std::size_t)>(
            [this](auto handler, const detail::FlatBuffers& from) {
                if (auto* secured = tls()) {
                    secured->async_write_some(from, std::move(handler));
                } else {
                    next_layer().async_write_some(from, std::move(handler));
                }
            },
            token,
            detail::FlatBuffers{buffers}
        );
    }

private:
    std::variant<beast::tcp_stream, TlsStream> layer_;
};

/// TCP, then TLS where the scheme wants it. Certificates are checked against `ca_file`, or the
/// system's store, and the name. The deadline stays set.
asio::awaitable<Result<ClientStream>> connect(
    async::Shard& shard, const Url& url, const std::string& ca_file, TimePoint deadline
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
