#include "net/detail/websocket_frames.hpp"

#include "base/base64.hpp"

#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace oavc::net::detail {

namespace {

// RFC 6455 §5.2
constexpr unsigned final_bit = 0x80;
constexpr unsigned reserved_bits = 0x70;
constexpr unsigned mask_bit = 0x80;
constexpr unsigned control_bit = 0x08;
constexpr unsigned continuation = 0;
constexpr unsigned length_in_16_bits = 126;
constexpr unsigned length_in_64_bits = 127;

constexpr std::size_t kept_capacity = 64 * 1024;  ///< of the fragments, between messages

unsigned octet(char c) noexcept { return static_cast<unsigned char>(c); }

/// XORs with the key; true when all that comes out is ASCII.
bool unmask(std::span<char> bytes, std::array<char, 4> key) noexcept {
    std::uint32_t narrow;
    std::memcpy(&narrow, key.data(), sizeof narrow);
    const std::uint64_t wide = std::uint64_t{narrow} << 32 | narrow;
    std::uint64_t seen = 0;
    char* at = bytes.data();
    char* const end = at + bytes.size();
    for (; end - at >= 8; at += 8) {
        std::uint64_t word;
        std::memcpy(&word, at, sizeof word);
        word ^= wide;
        seen |= word;
        std::memcpy(at, &word, sizeof word);
    }
    for (std::size_t i = 0; at < end; ++at, ++i) {
        *at = static_cast<char>(*at ^ key[i % 4]);
        seen |= octet(*at);
    }
    return (seen & 0x8080808080808080) == 0;
}

/// What a peer may send in a close frame (RFC 6455 §7.4).
bool valid_close_code(unsigned code) noexcept {
    const bool ours = code >= 1000 && code <= 1011 && code != 1004 && code != 1005 && code != 1006;
    return ours || (code >= 3000 && code <= 4999);
}

WsReader::Item broken(std::uint16_t code) noexcept { return {WsReader::Kind::broken, {}, code}; }

WsReader::Item control(unsigned opcode, std::string_view data) noexcept {
    using Kind = WsReader::Kind;
    if (opcode == static_cast<unsigned>(WsOpcode::ping)) return {Kind::ping, data, 0};
    if (opcode == static_cast<unsigned>(WsOpcode::pong)) return {Kind::pong, data, 0};
    if (data.empty()) return {Kind::close, {}, ws_close_no_status};
    if (data.size() == 1) return broken(ws_close_protocol_error);
    const unsigned code = octet(data[0]) << 8 | octet(data[1]);
    if (!valid_close_code(code)) return broken(ws_close_protocol_error);
    data.remove_prefix(2);
    if (!valid_utf8(data)) return broken(ws_close_bad_text);
    return {Kind::close, data, static_cast<std::uint16_t>(code)};
}

}  // namespace

WsReader::Item WsReader::next(std::span<char>& bytes) {
    for (;;) {
        if (bytes.size() < 2) return {};
        const unsigned first = octet(bytes[0]);
        const unsigned second = octet(bytes[1]);
        const unsigned opcode = first & 0x0F;
        const bool last = (first & final_bit) != 0;
        const bool is_control = (opcode & control_bit) != 0;
        const bool known = is_control ? opcode <= static_cast<unsigned>(WsOpcode::pong)
                                      : opcode <= static_cast<unsigned>(WsOpcode::binary);
        std::uint64_t size = second & ~mask_bit;
        // A client's frames are masked (§5.1), control frames whole and short (§5.5), and a message
        // is finished before the next begins (§5.4).
        if ((first & reserved_bits) != 0 || !known || (second & mask_bit) == 0 ||
            (is_control && (!last || size > ws_longest_control)) ||
            (!is_control && (opcode == continuation) != fragmented_)) {
            return broken(ws_close_protocol_error);
        }
        std::size_t head = 2;
        if (size >= length_in_16_bits) {
            const std::size_t width = size == length_in_64_bits ? 8 : 2;
            if (bytes.size() < head + width) return {};
            size = 0;
            for (std::size_t i = 0; i < width; ++i)
                size = size << 8 | octet(bytes[head + i]);
            head += width;
            const std::uint64_t shortest = width == 8 ? 0x10000 : length_in_16_bits;
            if (size < shortest || size >> 63 != 0) return broken(ws_close_protocol_error);
        }
        // Before its bytes are there: a peer cannot make us wait for what we would not take.
        const std::size_t before = fragmented_ ? fragments_.size() : 0;
        if (!is_control && size > max_message_ - before) return broken(ws_close_too_big);
        std::array<char, 4> key;
        if (bytes.size() - head < key.size() + size) return {};
        std::memcpy(key.data(), bytes.data() + head, key.size());
        head += key.size();

        const auto payload = bytes.subspan(head, static_cast<std::size_t>(size));
        bytes = bytes.subspan(head + payload.size());
        const bool ascii = unmask(payload, key);
        const std::string_view data{payload.data(), payload.size()};
        if (is_control) return control(opcode, data);
        if (!fragmented_) {
            const bool binary = opcode == static_cast<unsigned>(WsOpcode::binary);
            if (last) return message(binary, data, ascii);
            binary_ = binary;
            fragments_.clear();
            if (fragments_.capacity() > kept_capacity) fragments_.shrink_to_fit();
        }
        fragments_ += data;
        fragmented_ = !last;
        if (last) return message(binary_, fragments_, false);
    }
}

WsReader::Item WsReader::message(bool binary, std::string_view data, bool ascii) const noexcept {
    if (binary) return {Kind::binary, data, 0};
    if (!ascii && !valid_utf8(data)) return broken(ws_close_bad_text);
    return {Kind::text, data, 0};
}

void append_frame(std::string& out, WsOpcode opcode, std::string_view payload) {
    std::array<char, 10> head;
    std::size_t size = 0;
    head[size++] = static_cast<char>(final_bit | static_cast<unsigned>(opcode));
    const std::uint64_t length = payload.size();
    if (length < length_in_16_bits) {
        head[size++] = static_cast<char>(length);
    } else {
        const unsigned width = length <= 0xFFFF ? 2 : 8;
        head[size++] = static_cast<char>(width == 2 ? length_in_16_bits : length_in_64_bits);
        for (unsigned i = width; i-- > 0;)
            head[size++] = static_cast<char>(length >> (8 * i) & 0xFF);
    }
    out.append(head.data(), size);
    out += payload;
}

void append_close(std::string& out, std::uint16_t code, std::string_view reason) {
    std::array<char, ws_longest_control> payload;
    if (code == ws_close_no_status) return append_frame(out, WsOpcode::close, {});
    payload[0] = static_cast<char>(code >> 8);
    payload[1] = static_cast<char>(code & 0xFF);
    reason = reason.substr(0, payload.size() - 2);
    while (!reason.empty() && !valid_utf8(reason))
        reason.remove_suffix(1);  // cut within a character
    std::copy(reason.begin(), reason.end(), payload.begin() + 2);
    append_frame(out, WsOpcode::close, {payload.data(), reason.size() + 2});
}

/// RFC 3629 §4: no surrogates, nothing above U+10FFFF, no longer forms than needed.
bool valid_utf8(std::string_view text) noexcept {
    const auto* at = reinterpret_cast<const unsigned char*>(text.data());  // NOLINT
    const auto* const end = at + text.size();
    while (at < end) {
        const unsigned lead = *at++;
        if (lead < 0x80) continue;
        unsigned following = 0;
        unsigned lowest = 0x80;  // of the byte behind the lead
        unsigned highest = 0xBF;
        if (lead >= 0xC2 && lead <= 0xDF) {
            following = 1;
        } else if (lead >= 0xE0 && lead <= 0xEF) {
            following = 2;
            if (lead == 0xE0) lowest = 0xA0;
            if (lead == 0xED) highest = 0x9F;
        } else if (lead >= 0xF0 && lead <= 0xF4) {
            following = 3;
            if (lead == 0xF0) lowest = 0x90;
            if (lead == 0xF4) highest = 0x8F;
        } else {
            return false;
        }
        for (; following > 0; --following) {
            if (at == end || *at < lowest || *at > highest) return false;
            ++at;
            lowest = 0x80;
            highest = 0xBF;
        }
    }
    return true;
}

std::string websocket_accept(std::string_view key) {
    const std::string text = std::string{key} + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";  // §1.3
    std::array<unsigned char, SHA_DIGEST_LENGTH> digest{};
    const auto* const bytes = reinterpret_cast<const unsigned char*>(text.data());  // NOLINT
    ::SHA1(bytes, text.size(), digest.data());
    return base64::encode(std::as_bytes(std::span{digest}));
}

bool valid_websocket_key(std::string_view key) noexcept {
    std::array<std::byte, 16> bytes;
    return key.size() == 24 && base64::decode(key, bytes) == bytes.size();
}

}  // namespace oavc::net::detail
