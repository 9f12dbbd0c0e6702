#pragma once

#include "async/awaitable.hpp"
#include "async/shard.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "net/errors.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace oavc::net {

/// An open connection as a stream of bytes, over TCP or TLS (tls.hpp): for protocols other than
/// HTTP. Thread: the shard it was opened on. Destruction drops the connection.
class TcpStream {
public:
    virtual ~TcpStream() = default;

    /// The next bytes, as many as are there (at most 16 KiB); valid until the next read(). Fails
    /// with asio::error::eof when the peer has ended its side. May be cancelled and called again:
    /// no byte is lost.
    virtual asio::awaitable<Result<std::string_view>> read() = 0;

    /// Queues bytes; never waits. False: more would wait than is allowed, or the connection is
    /// broken; nothing of `bytes` is sent then.
    virtual bool send(std::string_view bytes) = 0;
};

/// Connects to tcp://host:port. `limit` covers name look-up and connection. At most
/// `max_queued_bytes` wait to be sent. Errors: NetErrc::bad_url, asio::error.
asio::awaitable<Result<std::unique_ptr<TcpStream>>> tcp_connect(
    async::Shard& shard,
    std::string url,
    Clock::duration limit,
    std::size_t max_queued_bytes = 1u << 20
);

/// A connection that somebody opened to us.
struct AcceptedTcp {
    std::unique_ptr<TcpStream> stream;
    std::string address;  ///< numeric, IPv4-mapped ones as IPv4
    std::uint16_t port{0};
};

/// Accepts TCP connections on one port. Owner and thread: the shard's.
class TcpListener {
public:
    virtual ~TcpListener() = default;
    virtual std::uint16_t port() const noexcept = 0;

    /// The next connection. Cancellable. Fails when closed, or when the system has no place for
    /// another: wait a little then.
    virtual asio::awaitable<Result<AcceptedTcp>> accept() = 0;
};

/// Binds exclusively and listens; port 0: any free one. Errors: asio::error.
Result<std::unique_ptr<TcpListener>> tcp_listen(
    async::Shard& shard,
    const std::string& address,
    std::uint16_t port,
    std::size_t max_queued_bytes = 1u << 20
);

}  // namespace oavc::net
