#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

/// RFC 6455 as far as a client needs it whose peer sends whole messages. Bytes in, bytes out;
/// sending allocates nothing. Written apart from src/net, so that an error there is not repeated
/// here.
namespace oavc::caller::bench {

enum class WsOp : std::uint8_t { text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

/// A frame's header is written into this much room before its payload.
inline constexpr std::size_t ws_head_room = 8;
inline constexpr std::size_t ws_longest_sent = 65'535;

/// Makes a client's frame of the `size` (≤ ws_longest_sent) bytes at `payload`: masks them in place
/// and writes the header before them. Returns the frame.
std::string_view ws_seal(WsOp op, char* payload, std::size_t size, std::uint32_t mask) noexcept;

struct WsFrame {
    WsOp op{WsOp::text};
    std::string_view payload;
};

/// Cuts what a server sends into frames.
class WsCutter {
public:
    static constexpr std::size_t longest = 1 << 20;  ///< of a payload

    /// Calls `on_frame(WsFrame)` for each frame that these bytes complete; it may return false to
    /// stop. False: it did, or the bytes break the protocol (or come in fragments).
    template <class OnFrame>
    bool feed(std::string_view bytes, OnFrame&& on_frame) {
        const bool joined = !partial_.empty();
        if (joined) {
            partial_ += bytes;
            bytes = partial_;
        }
        for (;;) {
            Cut cut = next(bytes);
            if (cut.broken) return false;
            if (cut.size == 0) break;
            if (!on_frame(cut.frame)) return false;
            bytes.remove_prefix(cut.size);
        }
        if (joined) {
            partial_.erase(0, partial_.size() - bytes.size());
        } else {
            partial_ = bytes;
        }
        return true;
    }

private:
    struct Cut {
        WsFrame frame{};
        std::size_t size{0};  ///< 0: not complete yet
        bool broken{false};
    };
    static Cut next(std::string_view bytes) noexcept;

    std::string partial_;
};

/// GET that asks for a WebSocket at `target`. `key`: 16 random bytes in base64.
std::string ws_handshake(
    std::string_view host, std::string_view target, std::string_view key, std::string_view signature
);

/// The answer to an HTTP request.
struct HttpReply {
    int status{0};
    std::string_view head;
    std::string_view body;
    std::size_t size{0};  ///< of head and body
};

/// Nothing: more bytes are needed. A reply without Content-Length has no body (101) or is no reply:
/// status 0 says so.
std::optional<HttpReply> read_reply(std::string_view bytes) noexcept;

/// Sec-WebSocket-Accept of a 101 belongs to this key (RFC 6455 §4.1).
bool ws_accepted(const HttpReply& reply, std::string_view key);

}  // namespace oavc::caller::bench
