#pragma once

#include "base/error.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "media/rtp.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace oavc::media {

/// RFC 3550 §12.1. Other values are legal and skipped.
enum class RtcpType : std::uint8_t {
    sender_report = 200,
    receiver_report = 201,
    source_description = 202,
    bye = 203,
    application = 204,
};

enum class RtcpErrc {
    truncated = 1,  ///< a packet's length leads past the datagram, or its body is too short
    bad_version,    ///< a packet is not version 2
    bad_first,      ///< the first packet is not an unpadded SR or RR (RFC 3550 §A.2)
    bad_padding,    ///< padding that is not at the very end, or does not fit
    wrong_type,     ///< asked to read one packet type as another
    no_room,        ///< building: the buffer is too small
};
std::string_view describe(RtcpErrc code) noexcept;
OAVC_ERROR_CATEGORY(RtcpErrc, "oavc.rtcp")

}  // namespace oavc::media
OAVC_ERROR_CODE_ENUM(oavc::media::RtcpErrc)

namespace oavc::media {

/// Wall clock in NTP's format: seconds since 1900 in the upper 32 bits, fraction below.
struct NtpTime {
    std::uint64_t value{0};

    /// The part that LSR carries: 16 bits of seconds, 16 of fraction (RFC 3550 §6.4.1).
    constexpr std::uint32_t middle() const noexcept {
        return static_cast<std::uint32_t>(value >> 16);
    }
    friend constexpr bool operator==(const NtpTime&, const NtpTime&) = default;
};
NtpTime to_ntp(std::chrono::system_clock::time_point time) noexcept;

/// What one receiver says about one sender (RFC 3550 §6.4.1).
struct ReportBlock {
    Ssrc ssrc;                             ///< the sender
    std::uint8_t fraction_lost{0};         ///< of 256, since the last report
    std::int32_t cumulative_lost{0};       ///< 24 bits, signed: duplicates count against it
    std::uint32_t highest_sequence{0};     ///< extended by the number of wraps
    std::uint32_t jitter{0};               ///< RTP timestamp units
    std::uint32_t last_sr{0};              ///< middle of the last SR's NTP time; 0: none
    std::uint32_t delay_since_last_sr{0};  ///< 1/65536 s
    friend constexpr bool operator==(const ReportBlock&, const ReportBlock&) = default;
};

/// What a sender says about itself.
struct SenderInfo {
    NtpTime ntp;
    RtpTimestamp rtp_timestamp;  ///< the same instant on the RTP clock
    std::uint32_t packets{0};
    std::uint32_t octets{0};  ///< of payload
    friend constexpr bool operator==(const SenderInfo&, const SenderInfo&) = default;
};

/// One packet of a compound. Borrows the datagram.
struct RtcpPacketView {
    std::uint8_t type{0};             ///< an RtcpType, or another
    std::uint8_t count{0};            ///< report blocks or sources; a subtype for APP
    std::span<const std::byte> body;  ///< after the first 32-bit word, without padding
};

/// A datagram that passed parse_rtcp. Borrows it.
///
///     while (const auto packet = compound.next()) …
class RtcpCompound {
public:
    std::optional<RtcpPacketView> next() noexcept;

private:
    friend Result<RtcpCompound> parse_rtcp(std::span<const std::byte> datagram) noexcept;
    explicit RtcpCompound(std::span<const std::byte> rest) noexcept : rest_{rest} {}
    std::span<const std::byte> rest_;
};

/// Checks one untrusted datagram as RFC 3550 §A.2 says. Never throws, never allocates. Errors:
/// RtcpErrc::truncated, bad_version, bad_first, bad_padding.
Result<RtcpCompound> parse_rtcp(std::span<const std::byte> datagram) noexcept;

/// An SR or RR. Borrows the packet.
struct ReportView {
    Ssrc sender;
    std::optional<SenderInfo> info;  ///< SR only
    std::size_t blocks{0};
    std::span<const std::byte> block_bytes;

    /// `index` < blocks.
    ReportBlock block(std::size_t index) const noexcept;
};

/// Errors: RtcpErrc::wrong_type, truncated.
Result<ReportView> parse_report(const RtcpPacketView& packet) noexcept;

/// The CNAME of the first source that has one; nothing if the packet is no SDES or is malformed.
std::optional<std::string_view> find_cname(const RtcpPacketView& packet) noexcept;

/// Whether a BYE names `ssrc`.
bool says_bye(const RtcpPacketView& packet, Ssrc ssrc) noexcept;

/// One compound to send: SR (with `info`) or RR, at most one block, SDES CNAME, perhaps BYE.
struct RtcpReport {
    Ssrc sender;
    std::optional<SenderInfo> info;
    std::optional<ReportBlock> block;
    std::string_view cname;  ///< at most 255 bytes
    bool bye{false};
};
Result<std::span<const std::byte>> build_rtcp(
    const RtcpReport& report, std::span<std::byte> buffer
) noexcept;

/// Round trip of a sender's reports: now − LSR − DLSR (RFC 3550 §6.4.1). Nothing while the block
/// names no report of ours, or where clocks make it negative.
std::optional<microseconds> round_trip(const ReportBlock& block, NtpTime now) noexcept;

/// Time until the next report: 5 s (half of it for the first) times 0.5 … 1.5, compensated as RFC
/// 3550 §6.3.1 says. Two parties of speech never need more. `random`: uniform over 32 bits.
microseconds rtcp_interval(bool first, std::uint32_t random) noexcept;

/// The RTCP of one leg, sans-I/O: when to report, what to say of the peer's reports.
///
///     if (now >= session.next_deadline()) send(session.build(now, wall, sender.info(now, wall),
///                                                            receiver.report_block(), buffer));
///
/// Owner: the transport. Thread: the call's shard. Allocates only when constructed.
class RtcpSession {
public:
    static constexpr std::size_t max_datagram = 512;

    struct Config {
        Ssrc ssrc;           ///< our sender's
        std::string cname;   ///< RFC 7022: random per call, no user or host name; ≤ 64 bytes
        std::uint64_t seed;  ///< of the intervals
    };
    struct Stats {
        std::uint64_t received{0};
        std::uint64_t rejected{0};
        std::uint64_t sent{0};
        std::uint8_t remote_fraction_lost{0};  ///< of 256: what of ours the peer misses
        std::int32_t remote_lost{0};
        std::optional<microseconds> round_trip;
        bool peer_said_bye{false};
    };

    RtcpSession(Config config, TimePoint now);

    /// One datagram of the pinned peer. `wall`: the same instant as `now`.
    void on_packet(std::span<const std::byte> datagram, TimePoint now, NtpTime wall) noexcept;

    TimePoint next_deadline() const noexcept { return next_; }

    /// The compound that is due (or, with `bye`, the last one), and the next deadline. `info`: of
    /// our sender, if it has sent. `block`: of our receiver, if it has heard anything.
    std::span<const std::byte> build(
        TimePoint now,
        const std::optional<SenderInfo>& info,
        std::optional<ReportBlock> block,
        std::span<std::byte> buffer,
        bool bye = false
    ) noexcept;

    const Stats& stats() const noexcept { return stats_; }

private:
    void on_report(const ReportView& report, TimePoint now, NtpTime wall) noexcept;
    std::uint32_t next_random() noexcept;

    // Given to us.
    Config config_;
    // State.
    std::uint64_t random_;
    TimePoint next_;
    struct LastReport {
        Ssrc sender;
        std::uint32_t middle;
        TimePoint arrived;
    };
    std::optional<LastReport> last_sr_;
    Stats stats_;
};

}  // namespace oavc::media
