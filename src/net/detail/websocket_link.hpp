#pragma once

#include "base/result.hpp"
#include "net/detail/socket_poller.hpp"

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

namespace oavc::net::detail {

/// The bytes beneath a WebSocket: TCP or TLS. At most one read and one write are asked for at a
/// time. Thread: its shard's.
class WebSocketLink {
public:
    class Owner {
    public:
        /// Ends a read(). The bytes may be changed and are valid during the call.
        virtual void on_bytes(std::span<char> bytes) = 0;
        /// asio::error::eof when the peer has ended its direction.
        virtual void on_input_over(const error_code& why) = 0;
        virtual void on_written(const error_code& error) = 0;
        virtual void on_flush() = 0;
        /// Keeps the owner, and with it the link, alive.
        virtual std::shared_ptr<void> alive() = 0;

    protected:
        ~Owner() = default;
    };

    virtual ~WebSocketLink() = default;

    /// Once, before anything else.
    virtual void belong_to(Owner& owner) = 0;

    /// on_bytes() or on_input_over() follows, not from within.
    virtual void read() = 0;

    /// True: all of it has been taken. False: on_written() follows; the bytes stay until then.
    virtual bool write(std::string_view bytes) = 0;

    /// on_flush() follows once what is due now has been handled.
    virtual void flush_soon() = 0;

    virtual void shutdown_send() noexcept = 0;

    /// Nothing is told to the owner any more.
    virtual void close() noexcept = 0;
};

/// Takes over a connected TCP socket.
std::unique_ptr<WebSocketLink> link_socket(int socket, std::shared_ptr<SocketPoller> poller);

}  // namespace oavc::net::detail
