#include "media/rtp.hpp"

#include "base/bytes.hpp"

namespace oavc::media {

std::string_view describe(RtpErrc code) noexcept {
    switch (code) {
        case RtpErrc::truncated:
            return "the RTP packet is shorter than its header says";
        case RtpErrc::bad_version:
            return "not an RTP version 2 packet";
        case RtpErrc::bad_padding:
            return "the RTP packet's padding does not fit into it";
        case RtpErrc::no_room:
            return "the buffer is too small for the RTP packet";
    }
    return "unknown RTP error";
}

Result<RtpPacketView> parse_rtp(std::span<const std::byte> datagram) noexcept {
    ByteReader in{datagram};
    const unsigned flags = in.u8();
    const unsigned marker_and_type = in.u8();
    RtpPacketView packet;
    packet.payload_type = {static_cast<std::uint8_t>(marker_and_type & 0x7F)};
    packet.marker = (marker_and_type & 0x80) != 0;
    packet.sequence_number = in.u16();
    packet.timestamp = {in.u32()};
    packet.ssrc = {in.u32()};
    if (in.truncated()) return RtpErrc::truncated;
    if (flags >> 6 != 2) return RtpErrc::bad_version;

    in.skip((flags & 0x0Fu) * 4);  // CSRC list
    if ((flags & 0x10u) != 0) {    // §5.3.1: length counts the 32-bit words after itself
        in.skip(2);
        in.skip(in.u16() * std::size_t{4});
    }
    if (in.truncated()) return RtpErrc::truncated;

    packet.payload = in.rest();
    if ((flags & 0x20u) != 0) {  // the last octet counts the padding, itself included
        if (packet.payload.empty()) return RtpErrc::bad_padding;
        const auto padding = std::to_integer<std::size_t>(packet.payload.back());
        if (padding == 0 || padding > packet.payload.size()) return RtpErrc::bad_padding;
        packet.payload = packet.payload.first(packet.payload.size() - padding);
    }
    return packet;
}

Result<std::span<const std::byte>> build_rtp(
    const RtpPacketView& packet, std::span<std::byte> buffer
) noexcept {
    ByteWriter out{buffer};
    out.u8(2 << 6);
    out.u8(
        static_cast<std::uint8_t>((packet.payload_type.value & 0x7F) | (packet.marker ? 0x80 : 0))
    );
    out.u16(packet.sequence_number);
    out.u32(packet.timestamp.value);
    out.u32(packet.ssrc.value);
    out.bytes(packet.payload);
    if (out.overflowed()) return RtpErrc::no_room;
    return out.written();
}

}  // namespace oavc::media
