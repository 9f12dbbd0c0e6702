#pragma once

#include "async/awaitable.hpp"
#include "base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace oavc::net {

/// One WebSocket message (RFC 6455 §5.6).
struct WsMessage {
    std::string_view data;  ///< valid until the next read() or close
    bool binary{false};
};

/// Where receive() hands messages to.
class WsReceiver {
public:
    /// False: receive() returns. May send and begin_close(), may not destroy the socket.
    virtual bool on_message(const WsMessage& message) noexcept = 0;

protected:
    ~WsReceiver() = default;
};

/// An open WebSocket, server's or client's end. Thread: the shard it was opened on. Destruction
/// drops the connection; call close() first to be polite. Pings are answered by the room itself.
class WebSocket {
public:
    virtual ~WebSocket() = default;

    /// Next message. Fails with asio::error::eof after a close handshake, other errors otherwise.
    /// May be cancelled (a deadline around it) and called again: no message is lost.
    virtual asio::awaitable<Result<WsMessage>> read() = 0;

    /// Hands over every message by a plain call, so that none resumes a coroutine, until the
    /// receiver has enough (success) or the socket ends (read()'s errors). Cancellable.
    virtual asio::awaitable<Result<void>> receive(WsReceiver& receiver);

    /// Queues a message; never waits. What is queued within one turn of the event loop may leave in
    /// one write. False: the send queue (limits().max_queued_bytes) is full or
    /// the socket is closing; the message is dropped.
    virtual bool send_text(std::string_view text) = 0;
    virtual bool send_binary(std::string_view data) = 0;

    /// Flushes the queue, performs the close handshake, at most 2 s. Code: RFC 6455 §7.4.1. A
    /// read() that is waiting meanwhile fails. Shield it when the caller may be cancelled.
    virtual asio::awaitable<void> close(std::uint16_t code, std::string reason) = 0;

    /// Begins what close() does without waiting for it: for plain calls. read() fails once it is
    /// done.
    virtual void begin_close(std::uint16_t code, std::string reason) = 0;

    /// What the peer said in its close frame; 0: nothing, or no close frame yet.
    virtual std::uint16_t peer_close_code() const noexcept { return 0; }
};

struct WsLimits {
    std::size_t max_message{1 << 20};       ///< longer ones fail the connection with 1009
    std::size_t max_queued_bytes{1 << 20};  ///< of payload, not yet handed to the kernel
};

}  // namespace oavc::net
