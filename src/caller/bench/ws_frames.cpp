#include "caller/bench/ws_frames.hpp"

#include "base/base64.hpp"

#include <fmt/format.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstring>

namespace oavc::caller::bench {

namespace {

constexpr std::uint8_t final_bit = 0x80;  // RFC 6455 §5.2
constexpr std::uint8_t mask_bit = 0x80;   // dto.
constexpr std::uint8_t length_16 = 126;   // dto.
constexpr std::uint8_t length_64 = 127;   // dto.

std::uint8_t octet(char c) noexcept { return static_cast<std::uint8_t>(c); }

/// The value of a header field, by its name in lower case.
std::string_view field(std::string_view head, std::string_view name) noexcept {
    for (auto at = head.find("\r\n"); at != std::string_view::npos; at = head.find("\r\n", at)) {
        at += 2;
        const auto line = head.substr(at, head.find("\r\n", at) - at);
        if (line.size() <= name.size() || line[name.size()] != ':') continue;
        const bool same = std::equal(name.begin(), name.end(), line.begin(), [](char a, char b) {
            return a == static_cast<char>(std::tolower(octet(b)));
        });
        if (!same) continue;
        auto value = line.substr(name.size() + 1);
        value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
        return value;
    }
    return {};
}

}  // namespace

std::string_view ws_seal(WsOp op, char* payload, std::size_t size, std::uint32_t mask) noexcept {
    std::array<char, 4> key;
    std::memcpy(key.data(), &mask, key.size());
    const std::uint64_t wide = std::uint64_t{mask} << 32 | mask;
    std::size_t at = 0;
    for (; at + sizeof wide <= size; at += sizeof wide) {
        std::uint64_t word;
        std::memcpy(&word, payload + at, sizeof word);
        word ^= wide;
        std::memcpy(payload + at, &word, sizeof word);
    }
    for (; at < size; ++at)
        payload[at] = static_cast<char>(payload[at] ^ key[at % 4]);

    char* head = payload - 4;
    std::memcpy(head, key.data(), key.size());
    if (size < length_16) {
        *--head = static_cast<char>(mask_bit | size);
    } else {
        *--head = static_cast<char>(size & 0xFF);
        *--head = static_cast<char>(size >> 8);
        *--head = static_cast<char>(mask_bit | length_16);
    }
    *--head = static_cast<char>(final_bit | static_cast<std::uint8_t>(op));
    return {head, static_cast<std::size_t>(payload + size - head)};
}

WsCutter::Cut WsCutter::next(std::string_view bytes) noexcept {
    Cut cut;
    if (bytes.size() < 2) return cut;
    const std::uint8_t first = octet(bytes[0]);
    const std::uint8_t second = octet(bytes[1]);
    const auto op = static_cast<std::uint8_t>(first & 0x0F);
    const bool known = op == 1 || op == 2 || (op >= 8 && op <= 10);
    // A fragment, an extension nobody agreed on, or a masked frame (RFC 6455 §5.1).
    cut.broken = (first & 0xF0) != final_bit || (second & mask_bit) != 0 || !known;
    if (cut.broken) return cut;
    std::size_t head = 2;
    std::uint64_t size = second;
    if (second >= length_16) {
        const std::size_t width = second == length_64 ? 8 : 2;
        head += width;
        if (bytes.size() < head) return cut;
        size = 0;
        for (std::size_t i = 2; i < head; ++i)
            size = size << 8 | octet(bytes[i]);
    }
    cut.broken = size > longest;
    if (cut.broken || bytes.size() - head < size) return cut;
    cut.frame = {static_cast<WsOp>(op), bytes.substr(head, size)};
    cut.size = head + size;
    return cut;
}

std::string ws_handshake(
    std::string_view host, std::string_view target, std::string_view key, std::string_view signature
) {
    return fmt::format(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {}\r\nx-twilio-signature: {}\r\n\r\n",
        target,
        host,
        key,
        signature
    );
}

std::optional<HttpReply> read_reply(std::string_view bytes) noexcept {
    constexpr std::size_t longest_reply = 64 * 1024;
    const auto end = bytes.find("\r\n\r\n");
    if (end == std::string_view::npos) {
        return bytes.size() > longest_reply ? std::optional{HttpReply{}} : std::nullopt;
    }
    HttpReply reply;
    reply.head = bytes.substr(0, end + 2);
    constexpr std::string_view version = "HTTP/1.1 ";
    if (!reply.head.starts_with(version)) return HttpReply{};
    const char* const digits = reply.head.data() + version.size();
    std::from_chars(digits, reply.head.data() + reply.head.size(), reply.status);
    reply.size = end + 4;
    if (reply.status == 101) return reply;
    const auto length = field(reply.head, "content-length");
    std::size_t size = 0;
    const auto parsed = std::from_chars(length.data(), length.data() + length.size(), size);
    if (length.empty() || parsed.ec != std::errc{} || size > longest_reply) return HttpReply{};
    if (bytes.size() - reply.size < size) return std::nullopt;
    reply.body = bytes.substr(reply.size, size);
    reply.size += size;
    return reply;
}

bool ws_accepted(const HttpReply& reply, std::string_view key) {
    const std::string text = std::string{key} + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    std::array<unsigned char, SHA_DIGEST_LENGTH> digest{};
    ::SHA1(
        reinterpret_cast<const unsigned char*>(text.data()),  // NOLINT
        text.size(),
        digest.data()
    );
    return reply.status == 101 && field(reply.head, "sec-websocket-accept") ==
                                      base64::encode(std::as_bytes(std::span{digest}));
}

}  // namespace oavc::caller::bench
