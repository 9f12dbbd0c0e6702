#include "caller/rtp_phone.hpp"

#include "media/rtp.hpp"

#include <fmt/format.h>

#include <array>
#include <stdexcept>
#include <utility>

namespace oavc::caller {

void RtpPhone::listen(Ear& ear) {
    ear_ = &ear;
    socket_->start([this](std::span<const std::byte> datagram, const net::UdpEndpoint& from) {
        on_packet(datagram, from);
    });
}

void RtpPhone::begin(
    media::PayloadType payload_type,
    const net::UdpEndpoint& remote,
    std::optional<media::TelephoneEventType> keys
) {
    remote_ = remote;
    if (sender_) return;
    codec_ = payload_type == media::static_payload_type(media::Codec::pcma) ? media::Codec::pcma
                                                                            : media::Codec::pcmu;
    decoder_.set(codec_);
    media::RtpSenderConfig config;
    config.encoding = codec_;
    config.payload_type = payload_type;
    config.start = media::RtpStart::random();
    config.telephone_event = keys;
    sender_.emplace(config);
}

std::string RtpPhone::description() const {
    return fmt::format(
        "{}, RTP {} ↔ {}",
        media::name(codec_),
        net::to_string(socket_->local_endpoint()),
        net::to_string(remote_)
    );
}

void RtpPhone::on_packet(std::span<const std::byte> datagram, const net::UdpEndpoint& from) {
    const TimePoint now = Clock::now();
    if (media::looks_like_rtcp(datagram)) return;
    const auto packet = media::parse_rtp(datagram);
    if (packet.has_error() || packet->payload_type != media::static_payload_type(codec_)) return;
    if (!heard_from_) heard_from_ = from;
    meter_.on_packet(packet->sequence_number, packet->timestamp.value, now);
    std::array<media::Sample, 480> samples{};
    const auto count = decoder_.decode(packet->payload, samples);
    ear_->on_heard(now, media::Samples{samples}.first(count));
}

void RtpPhone::send(TimePoint now, media::Samples frame) noexcept {
    if (!sender_) return;
    std::array<std::byte, media::RtpSender::max_datagram> buffer;
    const auto datagram = sender_->build({frame, narrowband}, now, buffer);
    if (!datagram.empty()) socket_->send_to(datagram, remote_);
}

LineStats RtpPhone::stats() const noexcept {
    LineStats stats;
    stats.sent = sender_ ? sender_->stats().packets : 0;
    stats.received = meter_.received();
    stats.lost = meter_.lost();
    stats.jitter_ms = meter_.jitter_ms();
    stats.max_gap_ms = meter_.max_gap_ms();
    if (heard_from_) stats.from = net::to_string(*heard_from_);
    return stats;
}

std::unique_ptr<net::UdpSocket> bind_or_throw(
    async::Shard& shard,
    const std::string& ip,
    std::uint16_t port,
    std::size_t max_datagram,
    std::string_view advice
) {
    const auto endpoint = net::parse_endpoint(ip, port);
    if (endpoint.has_error())
        throw std::runtime_error{fmt::format("'{}' is not an IP address.", ip)};
    auto socket = net::UdpSocket::bind(shard.executor(), *endpoint, max_datagram);
    if (socket.has_error()) {
        throw std::runtime_error{fmt::format(
            "UDP {} cannot be bound ({}). {}",
            net::to_string(*endpoint),
            socket.error().message(),
            advice
        )};
    }
    return std::move(*socket);
}

}  // namespace oavc::caller
