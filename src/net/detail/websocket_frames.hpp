#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

/// RFC 6455 from the server's end, without I/O. Beast's stream costs twice the CPU of a media
/// message (src/net/README.md): it reads and writes each with system calls of its own.
namespace oavc::net::detail {

/// Close codes (RFC 6455 §7.4.1).
enum WsClose : std::uint16_t {
    ws_close_normal = 1000,
    ws_close_protocol_error = 1002,
    ws_close_no_status = 1005,  ///< never on the wire: the peer's close frame had no code
    ws_close_bad_text = 1007,
    ws_close_too_big = 1009,
};

/// Reads the frames of a client: unmasks in place, joins fragments, checks all that §5 demands.
class WsReader {
public:
    enum class Kind {
        need_more,  ///< the rest begins a frame that is not there yet
        text,       ///< a whole message, valid UTF-8
        binary,     ///< dto.
        ping,
        pong,
        close,   ///< `code`; `data` is the reason
        broken,  ///< the peer breaks the protocol: close with `code`, read no more
    };
    struct Item {
        Kind kind{Kind::need_more};
        std::string_view data{};  ///< valid until the next call, and as long as the bytes are
        std::uint16_t code{0};
    };

    explicit WsReader(std::size_t max_message) noexcept : max_message_{max_message} {}

    /// Takes the next item off the front of `bytes`, which it may change. Allocates for fragmented
    /// messages only.
    Item next(std::span<char>& bytes);

private:
    Item message(bool binary, std::string_view data, bool ascii) const noexcept;

    const std::size_t max_message_;
    std::string fragments_;
    bool fragmented_{false};  ///< between the first and the last frame of a message
    bool binary_{false};      ///< dto.
};

enum class WsOpcode : std::uint8_t { text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

inline constexpr std::size_t ws_longest_control = 125;  // RFC 6455 §5.5

/// Appends a whole, unmasked frame.
void append_frame(std::string& out, WsOpcode opcode, std::string_view payload);
/// `reason` is cut to what fits.
void append_close(std::string& out, std::uint16_t code, std::string_view reason);

bool valid_utf8(std::string_view text) noexcept;

/// Sec-WebSocket-Accept (§4.2.2).
std::string websocket_accept(std::string_view key);
/// A Sec-WebSocket-Key is 16 bytes in base64.
bool valid_websocket_key(std::string_view key) noexcept;

}  // namespace oavc::net::detail
