#pragma once

// The stream under HTTP and WebSocket, of servers and clients. Beast is visible here: for their
// translation units only.

#include "base/error.hpp"
#include "net/detail/flat_buffers.hpp"
#include "net/detail/ssl_handle.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/tcp_stream.hpp>

#include <openssl/bio.h>

#include <cstddef>
#include <utility>
#include <variant>

namespace oavc::net::detail {

namespace beast = boost::beast;
using TlsStream = boost::asio::ssl::stream<beast::tcp_stream>;

/// Plain or TLS: one type, so that Beast's operations are compiled once.
class PlainOrTlsStream {
public:
    using executor_type = boost::asio::any_io_executor;
    using next_layer_type = beast::tcp_stream;

    explicit PlainOrTlsStream(beast::tcp_stream plain) : layer_{std::move(plain)} {}
    explicit PlainOrTlsStream(TlsStream tls) : layer_{std::move(tls)} {}

    executor_type get_executor() noexcept { return next_layer().get_executor(); }
    /// Null: plain.
    TlsStream* tls() noexcept { return std::get_if<TlsStream>(&layer_); }
    next_layer_type& next_layer() noexcept {
        return tls() != nullptr ? tls()->next_layer() : std::get<beast::tcp_stream>(layer_);
    }
    const next_layer_type& next_layer() const noexcept {
        const auto* secured = std::get_if<TlsStream>(&layer_);
        return secured != nullptr ? secured->next_layer() : std::get<beast::tcp_stream>(layer_);
    }

    /// Ends TLS where it stands; what follows on the connection is plain. Nothing may be pending.
    void drop_tls() {
        if (tls() == nullptr) return;
        beast::tcp_stream plain{std::move(tls()->next_layer())};
        layer_.emplace<beast::tcp_stream>(std::move(plain));
    }

    /// The session, for a stream on another shard; null where there is none, or where the peer has
    /// sent what nobody has read, which would be lost. Plain afterwards. Nothing may be pending.
    SslHandle take_tls() {
        if (tls() == nullptr) return nullptr;
        SSL* const session = tls()->native_handle();
        if (SSL_has_pending(session) != 0 || BIO_ctrl_pending(SSL_get_rbio(session)) != 0) {
            return nullptr;
        }
        SSL_up_ref(session);  // the old stream frees it once
        SslHandle taken{session};
        drop_tls();
        return taken;
    }

    template <class Buffers, class Token>
    auto async_read_some(const Buffers& buffers, Token&& token) {
        return boost::asio::async_initiate<Token, void(error_code, std::size_t)>(
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
        return boost::asio::async_initiate<Token, void(error_code, std::size_t)>(
            [this](auto handler, const FlatBuffers& from) {
                if (auto* secured = tls()) {
                    secured->async_write_some(from, std::move(handler));
                } else {
                    next_layer().async_write_some(from, std::move(handler));
                }
            },
            token,
            FlatBuffers{buffers}
        );
    }

private:
    std::variant<beast::tcp_stream, TlsStream> layer_;
};

}  // namespace oavc::net::detail
