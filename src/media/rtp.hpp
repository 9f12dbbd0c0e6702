#pragma once

#include "base/error.hpp"
#include "base/result.hpp"

#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace oavc::media {

/// What a packet carries: a static number of RFC 3551 §6 or one that SDP gave a meaning. 0 … 127.
struct PayloadType {
    std::uint8_t value{0};
    friend constexpr auto operator<=>(const PayloadType&, const PayloadType&) = default;
};

/// One sender's stream within a session (RFC 3550 §5.1). Chosen at random.
struct Ssrc {
    std::uint32_t value{0};
    friend constexpr auto operator<=>(const Ssrc&, const Ssrc&) = default;
};

/// Time of a packet's first sample in units of the RTP clock, from a random start. Wraps: compare
/// with wrap_distance (media/wrap.hpp), so there is no operator<.
struct RtpTimestamp {
    std::uint32_t value{0};
    friend constexpr bool operator==(const RtpTimestamp&, const RtpTimestamp&) = default;
};

/// RTP timestamp units per second. Not the PCM sample rate (RFC 3551 §4.5.2 on G.722).
struct RtpClockRate {
    std::uint32_t hz{0};
    friend constexpr auto operator<=>(const RtpClockRate&, const RtpClockRate&) = default;
};

enum class RtpErrc {
    truncated = 1,  ///< shorter than its header, CSRC list or extension says
    bad_version,    ///< not version 2: not RTP
    bad_padding,    ///< padding of no octets, or of more than there are
    no_room,        ///< building: the buffer is too small
};
std::string_view describe(RtpErrc code) noexcept;
OAVC_ERROR_CATEGORY(RtpErrc, "oavc.rtp")

}  // namespace oavc::media
OAVC_ERROR_CODE_ENUM(oavc::media::RtpErrc)

namespace oavc::media {

/// One RTP packet (RFC 3550 §5.1). Borrows the datagram: valid only while its bytes are.
struct RtpPacketView {
    PayloadType payload_type;
    bool marker{false};  ///< audio: first packet of a talkspurt (RFC 3551 §4.1)
    std::uint16_t sequence_number{0};
    RtpTimestamp timestamp;
    Ssrc ssrc;
    std::span<const std::byte> payload;  ///< CSRCs, header extension and padding stripped
};

inline constexpr std::size_t rtp_header_size = 12;  // RFC 3550 §5.1, without CSRCs

/// Parses one untrusted datagram. Never throws, never allocates.
/// Errors (RFC 3550 §A.1): RtpErrc::truncated, bad_version, bad_padding.
Result<RtpPacketView> parse_rtp(std::span<const std::byte> datagram) noexcept;

/// Writes `packet` (no CSRCs, no extension, no padding) into `buffer` and returns the written part.
/// `packet.payload` must not overlap `buffer`. Error: RtpErrc::no_room.
Result<std::span<const std::byte>> build_rtp(
    const RtpPacketView& packet, std::span<std::byte> buffer
) noexcept;

/// Whether a datagram on a shared port is RTCP rather than RTP (RFC 5761 §4).
constexpr bool looks_like_rtcp(std::span<const std::byte> datagram) noexcept {
    if (datagram.size() < 2) return false;
    const auto type = std::to_integer<unsigned>(datagram[1]);
    return type >= 192 && type <= 223;
}

}  // namespace oavc::media
