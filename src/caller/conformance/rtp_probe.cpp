#include "caller/conformance/rtp_probe.hpp"

#include "base/random.hpp"

#include <algorithm>
#include <stdexcept>

namespace oavc::caller::conformance {

namespace {

std::uint32_t number(std::string_view bytes, std::size_t at, std::size_t size) {
    std::uint32_t out = 0;
    for (std::size_t i = 0; i < size; ++i)
        out = out << 8U | static_cast<unsigned char>(bytes[at + i]);
    return out;
}

void append(std::string& out, std::uint32_t value, unsigned size) {
    for (unsigned i = size; i-- > 0;)
        out += static_cast<char>(value >> (8U * i) & 0xFFU);
}

RtpPacket read_packet(const UdpSocket::Datagram& datagram) {
    RtpPacket out;
    out.at = datagram.at;
    out.from = datagram.from;
    const std::string_view bytes = datagram.bytes;
    if (bytes.size() < 12) return out;
    const auto flags = number(bytes, 0, 1);
    const auto second = number(bytes, 1, 1);
    const std::size_t head = 12 + 4 * (flags & 0x0FU);
    out.valid = flags >> 6U == 2 && bytes.size() > head;
    out.marker = (second & 0x80U) != 0;
    out.payload_type = static_cast<int>(second & 0x7FU);
    out.sequence = static_cast<std::uint16_t>(number(bytes, 2, 2));
    out.timestamp = number(bytes, 4, 4);
    out.ssrc = number(bytes, 8, 4);
    out.size = bytes.size() - std::min(bytes.size(), head);
    return out;
}

}  // namespace

RtpProbe::RtpProbe(const Address& local)
    : sequence_{static_cast<std::uint16_t>(random_u32())},
      timestamp_{random_u32()},
      ssrc_{random_u32()} {
    for (int attempt = 0; attempt < 50; ++attempt) {
        auto first = std::make_unique<UdpSocket>(with_port(local, 0));
        if (first->address().port() % 2 != 0) continue;
        try {
            rtcp_ = std::make_unique<UdpSocket>(
                with_port(local, static_cast<std::uint16_t>(first->address().port() + 1))
            );
        } catch (const std::runtime_error&) {
            continue;  // the odd one is somebody else's
        }
        rtp_ = std::move(first);
        return;
    }
    throw std::runtime_error{"no pair of free ports for RTP on this machine"};
}

void RtpProbe::speak_to(const Address& remote, int payload_type) {
    remote_ = remote;
    payload_type_ = payload_type;
    next_ = Clock::now();
}

void RtpProbe::speak_if_due() {
    static const std::string silence(160, '\xFF');  // mu-law
    const TimePoint now = Clock::now();
    if (now > next_ + 1s) next_ = now;  // we were away
    while (remote_ && next_ <= now) {
        send(*remote_, payload_type_, false, timestamp_, silence);
        timestamp_ += 160;
        next_ += 20ms;
    }
}

void RtpProbe::send(
    const Address& to,
    int payload_type,
    bool marker,
    std::uint32_t timestamp,
    std::string_view payload
) {
    std::string bytes;
    append(bytes, 0x80, 1);
    append(bytes, static_cast<std::uint32_t>(payload_type) | (marker ? 0x80U : 0U), 1);
    append(bytes, sequence_++, 2);
    append(bytes, timestamp, 4);
    append(bytes, ssrc_, 4);
    bytes += payload;
    rtp_->send(bytes, to);
}

std::vector<RtpPacket> RtpProbe::collect(TimePoint until, std::size_t at_most) {
    std::vector<RtpPacket> out;
    while (out.size() < at_most && Clock::now() < until) {
        speak_if_due();
        const auto datagram = rtp_->receive(remote_ ? std::min(until, next_) : until);
        if (datagram) out.push_back(read_packet(*datagram));
    }
    return out;
}

std::optional<std::string> RtpProbe::collect_rtcp(TimePoint until) {
    while (Clock::now() < until) {
        static_cast<void>(collect(Clock::now() + 20ms));
        if (const auto datagram = rtcp_->receive(Clock::now())) return datagram->bytes;
    }
    return std::nullopt;
}

}  // namespace oavc::caller::conformance
