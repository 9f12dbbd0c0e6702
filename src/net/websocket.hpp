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
    std::string_view data;  ///< valid until the next read()
    bool binary{false};
};

/// An open WebSocket, server's or client's end. Thread: the shard it was opened on. Destruction
/// drops the connection; call close() first to be polite. Pings are answered by the room itself.
class WebSocket {
public:
    virtual ~WebSocket() = default;

    /// Next message. Fails with asio::error::eof after a close handshake, other errors otherwise.
    virtual asio::awaitable<Result<WsMessage>> read() = 0;

    /// Queues a message; never waits. False: the send queue (limits().max_queued_bytes) is full or
    /// the socket is closing; the message is dropped.
    virtual bool send_text(std::string_view text) = 0;
    virtual bool send_binary(std::string_view data) = 0;

    /// Flushes the queue, performs the close handshake, at most 2 s. Code: RFC 6455 §7.4.1.
    virtual asio::awaitable<void> close(std::uint16_t code, std::string reason) = 0;
};

struct WsLimits {
    std::size_t max_message{1 << 20};
    std::size_t max_queued_bytes{1 << 20};
};

}  // namespace oavc::net
