#pragma once

#include "base/result.hpp"
#include "sip/errors.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::sip {

/// Who sends, seen from the side that wrote the description (RFC 8866 §6.7).
enum class Direction { sendrecv, sendonly, recvonly, inactive };
std::string_view to_string(Direction direction) noexcept;

constexpr bool sends(Direction d) noexcept {
    return d == Direction::sendrecv || d == Direction::sendonly;
}
constexpr bool receives(Direction d) noexcept {
    return d == Direction::sendrecv || d == Direction::recvonly;
}
constexpr Direction make_direction(bool send, bool receive) noexcept {
    if (send) return receive ? Direction::sendrecv : Direction::sendonly;
    return receive ? Direction::recvonly : Direction::inactive;
}
/// What the other side does when we do `d`.
constexpr Direction mirrored(Direction d) noexcept { return make_direction(receives(d), sends(d)); }

/// c= (RFC 8866 §5.7). `address` may be a host name; TTL and address count are cut off.
struct SdpConnection {
    bool ipv6{false};
    std::string address;

    /// The old way to say hold: "send nothing anywhere" (RFC 3264 §8.4).
    bool is_nowhere() const noexcept { return address == "0.0.0.0" || address == "::"; }
};

/// o= (RFC 8866 §5.2).
struct SdpOrigin {
    std::string username{"-"};
    std::uint64_t session_id{0};
    std::uint64_t version{0};
    bool ipv6{false};
    std::string address{"0.0.0.0"};  ///< as if it were so when o= is missing
};

/// a=rtpmap (RFC 8866 §6.6).
struct SdpRtpMap {
    unsigned payload_type{0};
    std::string encoding;
    std::uint32_t clock_rate{0};
    unsigned channels{1};
};

/// a=fmtp (RFC 8866 §6.15), its parameters uninterpreted.
struct SdpFmtp {
    unsigned payload_type{0};
    std::string parameters;
};

/// One m= line with what follows it.
struct SdpMedia {
    std::string type;                  ///< "audio", "video", …
    std::uint16_t port{0};             ///< 0: refused or switched off
    std::string protocol;              ///< "RTP/AVP", …
    std::vector<std::string> formats;  ///< as written, in order of preference
    std::optional<SdpConnection> connection;
    std::vector<SdpRtpMap> rtpmaps;
    std::vector<SdpFmtp> fmtps;
    std::optional<unsigned> ptime;     ///< ms (§6.4)
    std::optional<unsigned> maxptime;  ///< ms (§6.5)
    std::optional<Direction> direction;
    std::optional<std::uint16_t> rtcp_port;        ///< a=rtcp (RFC 3605)
    std::optional<SdpConnection> rtcp_connection;  ///< of a=rtcp, where it names one
    bool rtcp_mux{false};                          ///< RFC 5761
    std::vector<std::string> crypto;  ///< values of a=crypto (RFC 4568), unread: they hold keys
};

/// The part of a session description that a voice call needs. Other lines are read over.
struct Sdp {
    SdpOrigin origin;
    std::string session_name{"-"};
    std::optional<SdpConnection> connection;
    std::uint64_t start_time{0};  ///< t= (§5.9); an answer repeats the offer's
    std::uint64_t stop_time{0};
    std::optional<Direction> direction;
    std::vector<SdpMedia> media;

    /// The connection of a stream: its own, else the session's.
    const SdpConnection* connection_of(const SdpMedia& stream) const noexcept {
        if (stream.connection) return &*stream.connection;
        return connection ? &*connection : nullptr;
    }
    Direction direction_of(const SdpMedia& stream) const noexcept {
        return stream.direction.value_or(direction.value_or(Direction::sendrecv));
    }
};

inline constexpr std::size_t max_sdp_bytes = 16 * 1024;
inline constexpr std::size_t max_sdp_lines = 512;
inline constexpr std::size_t max_sdp_streams = 16;
inline constexpr std::size_t max_sdp_formats = 64;  ///< per stream; also rtpmap and fmtp lines
inline constexpr std::size_t max_sdp_crypto = 16;   ///< per stream; further ones are read over

/// Parses an untrusted body. Takes lines ended by LF or CR alone, empty lines, blanks at line ends,
/// a missing last line end and missing o=, s= and t=. Every stream in use has a connection
/// afterwards. Errors: too_long, bad_sdp, no_connection.
Result<Sdp, ParseError> parse_sdp(std::string_view text) noexcept;

/// The description as RFC 8866 orders it, lines ended by CRLF.
std::string write_sdp(const Sdp& sdp);

}  // namespace oavc::sip
