#include "caller/conformance/web_client.hpp"

#include "base/base64.hpp"
#include "base/random.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>

namespace oavc::caller::conformance {

namespace {

std::unique_ptr<ByteStream> connect(const WebAddress& to, TimePoint until) {
    std::unique_ptr<ByteStream> stream;
    try {
        stream = std::make_unique<ByteStream>(resolve(to.host, to.port), until);
    } catch (const NotOffered& refused) {
        throw Failed{refused.what()};  // TCP is no option here: there is nobody
    }
    if (to.tls) stream->start_tls(to.host, until);
    return stream;
}

std::string host_header(const WebAddress& to) {
    const bool usual = to.port == (to.tls ? 443 : 80);
    const bool v6 = to.host.find(':') != std::string::npos;
    const std::string name = v6 ? '[' + to.host + ']' : to.host;
    return usual ? name : fmt::format("{}:{}", name, to.port);
}

/// The head of a reply, and what came after it.
std::string read_head(ByteStream& stream, TimePoint until, std::string& rest) {
    std::string text;
    for (;;) {
        const auto end = text.find("\r\n\r\n");
        if (end != std::string::npos) {
            rest = text.substr(end + 4);
            return text.substr(0, end + 4);
        }
        const auto more = stream.read(until);
        if (more.empty()) return {};
        text += more;
    }
}

int status_of(std::string_view head) {
    int status = 0;
    if (head.starts_with("HTTP/1.")) std::from_chars(head.data() + 9, head.data() + 12, status);
    return status;
}

std::string unchunked(std::string_view body) {
    std::string out;
    while (!body.empty()) {
        std::size_t size = 0;
        std::from_chars(body.data(), body.data() + body.size(), size, 16);
        const auto line = body.find("\r\n");
        if (size == 0 || line == std::string_view::npos) break;
        body.remove_prefix(line + 2);
        out += body.substr(0, size);
        body.remove_prefix(std::min(size + 2, body.size()));
    }
    return out;
}

}  // namespace

WebAddress read_web_address(std::string_view url) {
    WebAddress out;
    const auto scheme = url.find("://");
    expect(scheme != std::string_view::npos, fmt::format("\"{}\" is no URL", url));
    const auto name = url.substr(0, scheme);
    out.tls = name == "https" || name == "wss";
    expect(out.tls || name == "http" || name == "ws", fmt::format("\"{}\": unknown scheme", url));
    const auto rest = url.substr(scheme + 3);
    const auto slash = std::min(rest.find('/'), rest.size());
    if (slash < rest.size()) out.path = rest.substr(slash);
    const auto same =
        parse_target(fmt::format("{}://{}/", out.tls ? "https" : "http", rest.substr(0, slash)));
    out.host = same.host;
    out.port = same.port;
    return out;
}

WebReply web_request(
    const WebAddress& to,
    std::string_view method,
    std::string_view path,
    const Headers& headers,
    std::string_view body,
    TimePoint until
) {
    const auto stream = connect(to, until);
    std::string text = fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\n", method, path, host_header(to));
    for (const auto& [name, value] : headers)
        text += name + ": " + value + "\r\n";
    if (!body.empty() || method == "POST")
        text += fmt::format("Content-Length: {}\r\n", body.size());
    text += "Connection: close\r\n\r\n";
    // A refusal may come before all has been sent.
    static_cast<void>(stream->write(text) && stream->write(body));
    WebReply out;
    const auto head = read_head(*stream, until, out.body);
    out.status = status_of(head);
    const auto fields = read_message(head);
    out.content_type = fields.header("Content-Type");
    const auto length = fields.header("Content-Length");
    const bool chunked = lower(fields.header("Transfer-Encoding")) == "chunked";
    for (;;) {
        const bool whole =
            chunked
                ? out.body.ends_with("0\r\n\r\n")
                : !length.empty() && out.body.size() >= std::strtoull(length.c_str(), nullptr, 10);
        if (whole || out.status == 0) break;
        const auto more = stream->read(until);
        if (more.empty()) break;
        out.body += more;
    }
    if (chunked) out.body = unchunked(out.body);
    return out;
}

WebSocketClient::WebSocketClient(const WebAddress& to, const Headers& headers, TimePoint until)
    : stream_{connect(to, until)} {
    std::array<std::byte, 16> key{};
    random_bytes(key);
    std::string text = fmt::format(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: {}\r\n",
        to.path,
        host_header(to),
        base64::encode(key)
    );
    bool has_version = false;
    for (const auto& [name, value] : headers) {
        text += name + ": " + value + "\r\n";
        has_version = has_version || same_name(name, "Sec-WebSocket-Version");
    }
    if (!has_version) text += "Sec-WebSocket-Version: 13\r\n";
    stream_->write(text + "\r\n");
    status_ = status_of(read_head(*stream_, until, received_));
}

void WebSocketClient::send(std::string_view payload, unsigned opcode, bool last, bool mask) {
    std::string frame;
    frame += static_cast<char>((last ? 0x80U : 0U) | opcode);
    const unsigned masked = mask ? 0x80U : 0U;
    const auto size = payload.size();
    if (size < 126) {
        frame += static_cast<char>(masked | size);
    } else if (size < 65'536) {
        frame += static_cast<char>(masked | 126U);
        frame += static_cast<char>(size >> 8U);
        frame += static_cast<char>(size & 0xFFU);
    } else {
        frame += static_cast<char>(masked | 127U);
        for (unsigned shift = 64; shift > 0; shift -= 8)
            frame += static_cast<char>(size >> (shift - 8) & 0xFFU);
    }
    if (mask) {
        std::array<std::byte, 4> key{};
        random_bytes(key);
        for (const auto byte : key)
            frame += static_cast<char>(byte);
        for (std::size_t i = 0; i < size; ++i)
            frame += static_cast<char>(static_cast<std::byte>(payload[i]) ^ key[i % 4]);
    } else {
        frame += payload;
    }
    if (!stream_->write(frame)) ended_ = ended_ || stream_->ended();
}

std::optional<WebSocketClient::Message> WebSocketClient::receive(TimePoint until) {
    while (status_ == 101) {
        // Frames that are whole.
        while (received_.size() >= 2) {
            const auto octet = [this](std::size_t at) {
                return static_cast<std::size_t>(static_cast<unsigned char>(received_[at]));
            };
            std::size_t head = 2;
            std::size_t size = octet(1) & 0x7FU;
            const std::size_t more = size == 126 ? 2 : size == 127 ? 8 : 0;
            if (received_.size() < head + more) break;
            if (more > 0) {
                size = 0;
                for (std::size_t i = 0; i < more; ++i)
                    size = size << 8U | octet(2 + i);
                head += more;
            }
            expect(size < 64UL * 1'024 * 1'024, "a frame of more than 64 MiB");
            if (received_.size() < head + size) break;
            const bool last = (octet(0) & 0x80U) != 0;
            const auto opcode = static_cast<unsigned>(octet(0) & 0x0FU);
            std::string payload = received_.substr(head, size);
            received_.erase(0, head + size);
            if (opcode == ping) {
                send(payload, pong);
            } else if (opcode >= close) {
                if (opcode == close) ended_ = true;
                return Message{opcode, std::move(payload)};
            } else {
                if (opcode != continuation) {
                    parts_.clear();
                    parts_opcode_ = opcode;
                }
                parts_ += payload;
                if (last) return Message{parts_opcode_, std::exchange(parts_, {})};
            }
        }
        if (ended_) return std::nullopt;
        const auto bytes = stream_->read(until);
        if (bytes.empty()) {
            ended_ = stream_->ended();
            return std::nullopt;
        }
        received_ += bytes;
    }
    return std::nullopt;
}

bool WebSocketClient::ends(TimePoint until) {
    while (!ended_ && Clock::now() < until)
        static_cast<void>(receive(until));
    return ended_ || status_ != 101;
}

}  // namespace oavc::caller::conformance
