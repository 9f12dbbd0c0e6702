#pragma once

#include "caller/conformance/case.hpp"
#include "caller/conformance/sip_text.hpp"
#include "caller/conformance/sockets.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace oavc::caller::conformance {

/// Where a web address leads.
struct WebAddress {
    bool tls{false};
    std::string host;
    std::uint16_t port{0};
    std::string path{"/"};
};
/// http(s):// or ws(s)://. Throws Failed.
WebAddress read_web_address(std::string_view url);

struct WebReply {
    int status{0};  ///< 0: none came
    std::string content_type;
    std::string body;
};

/// One HTTP/1.1 request on a connection of its own. Written by hand, so that cases can say
/// anything.
WebReply web_request(
    const WebAddress& to,
    std::string_view method,
    std::string_view path,
    const Headers& headers,
    std::string_view body,
    TimePoint until
);

/// A WebSocket client (RFC 6455) that can also misbehave. Answers pings; nothing else on its own.
class WebSocketClient {
public:
    enum Opcode : unsigned {
        continuation = 0,
        text = 1,
        binary = 2,
        close = 8,
        ping = 9,
        pong = 10
    };

    WebSocketClient(const WebAddress& to, const Headers& headers, TimePoint until);

    /// Of the handshake: 101 when there is a WebSocket.
    int status() const noexcept { return status_; }
    bool is_open() const noexcept { return status_ == 101 && !ended_; }

    void send(std::string_view payload, unsigned opcode = text, bool last = true, bool mask = true);
    struct Message {
        unsigned opcode;
        std::string payload;
    };
    /// The next message. Nothing: none in time, or the connection has ended.
    std::optional<Message> receive(TimePoint until);
    /// True when the other side ends the connection in time.
    bool ends(TimePoint until);
    void reset() { stream_->reset(); }
    bool ended() const noexcept { return ended_; }

private:
    std::unique_ptr<ByteStream> stream_;
    std::string received_;
    std::string parts_;  ///< of a message in several frames
    unsigned parts_opcode_{0};
    int status_{0};
    bool ended_{false};
};

}  // namespace oavc::caller::conformance
