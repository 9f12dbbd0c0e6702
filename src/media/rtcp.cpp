#include "media/rtcp.hpp"

#include "base/bytes.hpp"
#include "media/wrap.hpp"

#include <algorithm>
#include <utility>

namespace oavc::media {
namespace {

constexpr std::uint8_t sdes_end = 0;    // RFC 3550 §6.5
constexpr std::uint8_t sdes_cname = 1;  // §6.5.1
constexpr std::size_t block_size = 24;  // §6.4.1
constexpr std::size_t max_cname = 255;

constexpr std::uint8_t number(RtcpType type) noexcept { return static_cast<std::uint8_t>(type); }

ReportBlock read_block(ByteReader& in) noexcept {
    ReportBlock block;
    block.ssrc = {in.u32()};
    block.fraction_lost = in.u8();
    const auto lost = in.u24();
    block.cumulative_lost = static_cast<std::int32_t>(lost << 8) >> 8;  // sign of 24 bits
    block.highest_sequence = in.u32();
    block.jitter = in.u32();
    block.last_sr = in.u32();
    block.delay_since_last_sr = in.u32();
    return block;
}

void write_header(ByteWriter& out, RtcpType type, std::size_t count, std::size_t words) noexcept {
    out.u8(static_cast<std::uint8_t>(2 << 6 | count));
    out.u8(static_cast<std::uint8_t>(type));
    out.u16(static_cast<std::uint16_t>(words - 1));  // §6.4.1: 32-bit words minus one
}

}  // namespace

std::string_view describe(RtcpErrc code) noexcept {
    switch (code) {
        case RtcpErrc::truncated:
            return "the RTCP packet is shorter than it says";
        case RtcpErrc::bad_version:
            return "not an RTCP version 2 packet";
        case RtcpErrc::bad_first:
            return "an RTCP compound must begin with an unpadded SR or RR";
        case RtcpErrc::bad_padding:
            return "the RTCP packet's padding is out of place";
        case RtcpErrc::wrong_type:
            return "not this type of RTCP packet";
        case RtcpErrc::no_room:
            return "the buffer is too small for the RTCP packet";
    }
    return "unknown RTCP error";
}

NtpTime to_ntp(std::chrono::system_clock::time_point time) noexcept {
    using namespace std::chrono;
    constexpr std::uint64_t seconds_1900_to_1970 = 2'208'988'800;  // RFC 5905 §6
    const auto since_1970 = duration_cast<nanoseconds>(time.time_since_epoch());
    const auto whole = floor<seconds>(since_1970);
    const auto nanoseconds_part = static_cast<std::uint64_t>((since_1970 - whole).count());
    const auto ntp_seconds = static_cast<std::uint64_t>(whole.count()) + seconds_1900_to_1970;
    return {ntp_seconds << 32 | (nanoseconds_part << 32) / 1'000'000'000};
}

Result<RtcpCompound> parse_rtcp(std::span<const std::byte> datagram) noexcept {
    ByteReader in{datagram};
    bool first = true;
    do {
        const unsigned flags = in.u8();
        const unsigned type = in.u8();
        const std::size_t body_size = in.u16() * std::size_t{4};
        const auto body = in.take(body_size);
        if (in.truncated()) return RtcpErrc::truncated;
        if (flags >> 6 != 2) return RtcpErrc::bad_version;
        const bool padded = (flags & 0x20) != 0;
        if (first) {
            const bool report = type == number(RtcpType::sender_report) ||
                                type == number(RtcpType::receiver_report);
            if (!report || padded) return RtcpErrc::bad_first;
        }
        if (padded) {
            if (!in.rest().empty() || body.empty()) return RtcpErrc::bad_padding;
            const auto padding = std::to_integer<std::size_t>(body.back());
            if (padding == 0 || padding % 4 != 0 || padding > body.size()) {
                return RtcpErrc::bad_padding;
            }
        }
        first = false;
    } while (!in.rest().empty());
    return RtcpCompound{datagram};
}

std::optional<RtcpPacketView> RtcpCompound::next() noexcept {
    if (rest_.empty()) return std::nullopt;
    ByteReader in{rest_};
    const unsigned flags = in.u8();
    RtcpPacketView packet;
    packet.type = in.u8();
    packet.count = static_cast<std::uint8_t>(flags & 0x1F);
    packet.body = in.take(in.u16() * std::size_t{4});
    if ((flags & 0x20) != 0 && !packet.body.empty()) {
        const auto padding = std::to_integer<std::size_t>(packet.body.back());
        packet.body = packet.body.first(packet.body.size() - padding);
    }
    rest_ = in.rest();
    return packet;
}

ReportBlock ReportView::block(std::size_t index) const noexcept {
    ByteReader in{block_bytes.subspan(index * block_size, block_size)};
    return read_block(in);
}

Result<ReportView> parse_report(const RtcpPacketView& packet) noexcept {
    const bool sender = packet.type == number(RtcpType::sender_report);
    if (!sender && packet.type != number(RtcpType::receiver_report)) {
        return RtcpErrc::wrong_type;
    }
    ByteReader in{packet.body};
    ReportView report;
    report.sender = {in.u32()};
    if (sender) {
        SenderInfo info;
        info.ntp = {in.u64()};
        info.rtp_timestamp = {in.u32()};
        info.packets = in.u32();
        info.octets = in.u32();
        report.info = info;
    }
    report.blocks = packet.count;
    report.block_bytes = in.take(packet.count * block_size);
    if (in.truncated()) return RtcpErrc::truncated;
    return report;  // what follows are profile-specific extensions (§6.4.3)
}

std::optional<std::string_view> find_cname(const RtcpPacketView& packet) noexcept {
    if (packet.type != number(RtcpType::source_description)) return std::nullopt;
    ByteReader in{packet.body};
    for (unsigned chunk = 0; chunk < packet.count && !in.rest().empty(); ++chunk) {
        const auto chunk_size = in.rest().size();
        in.skip(4);  // SSRC
        while (!in.rest().empty()) {
            const auto item = in.u8();
            if (item == sdes_end) {  // null octets up to the next 32-bit boundary
                const auto used = chunk_size - in.rest().size();
                in.skip(std::min((4 - used % 4) % 4, in.rest().size()));
                break;
            }
            const auto text = in.take(in.u8());
            if (in.truncated()) return std::nullopt;
            if (item == sdes_cname) return as_text(text);
        }
    }
    return std::nullopt;
}

bool says_bye(const RtcpPacketView& packet, Ssrc ssrc) noexcept {
    if (packet.type != number(RtcpType::bye)) return false;
    ByteReader in{packet.body};
    for (unsigned i = 0; i < packet.count; ++i) {
        const Ssrc leaving{in.u32()};
        if (in.truncated()) return false;
        if (leaving == ssrc) return true;
    }
    return false;
}

Result<std::span<const std::byte>> build_rtcp(
    const RtcpReport& report, std::span<std::byte> buffer
) noexcept {
    ByteWriter out{buffer};
    const std::size_t blocks = report.block ? 1 : 0;
    const auto type = report.info ? RtcpType::sender_report : RtcpType::receiver_report;
    write_header(out, type, blocks, 2 + (report.info ? 5 : 0) + blocks * block_size / 4);
    out.u32(report.sender.value);
    if (report.info) {
        out.u64(report.info->ntp.value);
        out.u32(report.info->rtp_timestamp.value);
        out.u32(report.info->packets);
        out.u32(report.info->octets);
    }
    if (report.block) {
        out.u32(report.block->ssrc.value);
        out.u8(report.block->fraction_lost);
        out.u24(static_cast<std::uint32_t>(report.block->cumulative_lost) & 0xFF'FFFF);
        out.u32(report.block->highest_sequence);
        out.u32(report.block->jitter);
        out.u32(report.block->last_sr);
        out.u32(report.block->delay_since_last_sr);
    }

    const auto cname = report.cname.substr(0, max_cname);
    const auto items = 2 + cname.size();
    const auto padding = 4 - items % 4;  // at least one null octet ends the list
    write_header(out, RtcpType::source_description, 1, 2 + (items + padding) / 4);
    out.u32(report.sender.value);
    out.u8(sdes_cname);
    out.u8(static_cast<std::uint8_t>(cname.size()));
    out.bytes(as_bytes(cname));
    for (std::size_t i = 0; i < padding; ++i)
        out.u8(sdes_end);

    if (report.bye) {
        write_header(out, RtcpType::bye, 1, 2);
        out.u32(report.sender.value);
    }
    if (out.overflowed()) return RtcpErrc::no_room;
    return out.written();
}

std::optional<microseconds> round_trip(const ReportBlock& block, NtpTime now) noexcept {
    if (block.last_sr == 0) return std::nullopt;
    const auto since = now.middle() - block.last_sr;  // wraps every 18 hours
    const auto units = wrap_distance(block.delay_since_last_sr, since);
    if (units < 0) return std::nullopt;
    return microseconds{std::int64_t{units} * 1'000'000 / 65'536};
}

microseconds rtcp_interval(bool first, std::uint32_t random) noexcept {
    constexpr double minimum = 5'000'000;     // §6.2, microseconds
    constexpr double compensation = 1.21828;  // §6.3.1: e − 3/2
    const double uniform = 0.5 + static_cast<double>(random) / 4'294'967'296.0;
    const double interval = (first ? minimum / 2 : minimum) * uniform / compensation;
    return microseconds{static_cast<std::int64_t>(interval)};
}

RtcpSession::RtcpSession(Config config, TimePoint now)
    : config_{std::move(config)},
      random_{config_.seed},
      next_{now + rtcp_interval(true, next_random())} {
    config_.cname.resize(std::min<std::size_t>(config_.cname.size(), 64));
}

void RtcpSession::on_packet(
    std::span<const std::byte> datagram, TimePoint now, NtpTime wall
) noexcept {
    auto compound = parse_rtcp(datagram);
    if (!compound) {
        ++stats_.rejected;
        return;
    }
    ++stats_.received;
    Ssrc sender;  // of the report that begins every compound
    while (const auto next = compound->next()) {
        const auto& packet = *next;  // NOLINT(bugprone-unchecked-optional-access): checked above
        if (const auto report = parse_report(packet)) {
            sender = report->sender;
            on_report(*report, now, wall);
        } else if (says_bye(packet, sender)) {
            stats_.peer_said_bye = true;
        }
    }
}

void RtcpSession::on_report(const ReportView& report, TimePoint now, NtpTime wall) noexcept {
    if (report.info) last_sr_ = LastReport{report.sender, report.info->ntp.middle(), now};
    for (std::size_t i = 0; i < report.blocks; ++i) {
        const auto block = report.block(i);
        if (block.ssrc != config_.ssrc) continue;
        stats_.remote_fraction_lost = block.fraction_lost;
        stats_.remote_lost = block.cumulative_lost;
        if (const auto rtt = round_trip(block, wall)) stats_.round_trip = rtt;
    }
}

std::span<const std::byte> RtcpSession::build(
    TimePoint now,
    const std::optional<SenderInfo>& info,
    std::optional<ReportBlock> block,
    std::span<std::byte> buffer,
    bool bye
) noexcept {
    next_ = now + rtcp_interval(false, next_random());
    if (block && last_sr_) {
        const LastReport& sr = *last_sr_;
        if (sr.sender == block->ssrc) {
            const auto delay = std::chrono::duration_cast<microseconds>(now - sr.arrived).count();
            block->last_sr = sr.middle;
            block->delay_since_last_sr = static_cast<std::uint32_t>(delay * 65'536 / 1'000'000);
        }
    }
    const auto built = build_rtcp({config_.ssrc, info, block, config_.cname, bye}, buffer);
    if (!built) return {};
    ++stats_.sent;
    return *built;
}

std::uint32_t RtcpSession::next_random() noexcept {
    // splitmix64: spread of intervals, not secrecy.
    auto z = random_ += 0x9E37'79B9'7F4A'7C15;
    z = (z ^ z >> 30) * 0xBF58'476D'1CE4'E5B9;
    z = (z ^ z >> 27) * 0x94D0'49BB'1331'11EB;
    return static_cast<std::uint32_t>((z ^ z >> 31) >> 32);
}

}  // namespace oavc::media
