#include "transports/rtp/rtp_leg.hpp"

#include "base/random.hpp"

#include <algorithm>
#include <utility>

namespace oavc::transports::rtp {

namespace {

namespace ip = boost::asio::ip;

media::Codec codec_of(sip::AudioCodec codec) noexcept {
    return codec == sip::AudioCodec::pcma ? media::Codec::pcma : media::Codec::pcmu;
}

/// What an IPv6 socket calls an IPv4 peer, and the other way round: one form for comparing.
net::UdpEndpoint unmapped(const net::UdpEndpoint& endpoint) noexcept {
    const auto& address = endpoint.address();
    if (!address.is_v6() || !address.to_v6().is_v4_mapped()) return endpoint;
    return {ip::make_address_v4(ip::v4_mapped, address.to_v6()), endpoint.port()};
}

net::UdpEndpoint for_socket(const net::UdpSocket& socket, const net::UdpEndpoint& to) noexcept {
    if (socket.local_endpoint().address().is_v4() || to.address().is_v6()) return to;
    return {ip::make_address_v6(ip::v4_mapped, to.address().to_v4()), to.port()};
}

/// A place that audio may be sent to: one host. Who could name a group or a broadcast address here
/// would have us flood a network.
std::optional<net::UdpEndpoint> unicast(const std::string& address, std::uint16_t port) noexcept {
    if (port == 0) return std::nullopt;
    const auto endpoint = net::parse_endpoint(address, port);
    if (!endpoint) return std::nullopt;
    const auto plain = unmapped(*endpoint);
    const auto& host = plain.address();
    const bool broadcast = host.is_v4() && host.to_v4() == ip::address_v4::broadcast();
    if (host.is_multicast() || host.is_unspecified() || broadcast) return std::nullopt;
    return plain;
}

}  // namespace

RtpLeg::RtpLeg(
    async::Shard& shard, RtpPortPair ports, std::chrono::seconds media_timeout, Observer& observer
)
    : shard_{shard},
      media_timeout_{media_timeout},
      observer_{observer},
      ports_{std::move(ports)},
      port_{ports_.port()} {}

RtpLeg::~RtpLeg() {
    detach();
    if (sender_ && remote_rtcp_ && receiving_) send_report(Clock::now(), true);
    ports_.rtp->close();
    ports_.rtcp->close();
}

void RtpLeg::apply(const sip::NegotiatedAudio& audio) {
    audio_ = audio;
    has_frame_ = has_frame_ && !is_held();
    last_heard_ = Clock::now();

    const auto stated = unicast(audio.remote_address, audio.remote_port);
    if (stated && stated != stated_) {
        // A first or another address. An old-style hold names none: what was learned stays.
        stated_ = stated;
        remote_ = stated;
        remote_rtcp_ = unicast(audio.remote_address, audio.remote_rtcp_port);
        pinned_ = false;
    }

    media::RtpReceiverConfig receiver;
    receiver.payloads.add({audio.payload_type}, codec_of(audio.codec));
    if (audio.event_payload_type) {
        receiver.telephone_event = media::PayloadType{*audio.event_payload_type};
    }
    if (receiver_) {
        receiver_->reconfigure(receiver);
    } else {
        receiver_.emplace(receiver);
    }

    const auto codec = codec_of(audio.codec);
    const milliseconds ptime{audio.ptime};
    if (sender_) {
        sender_->set_format(codec, {audio.payload_type}, ptime);
    } else {
        media::RtpSenderConfig sender;
        sender.encoding = codec;
        sender.payload_type = {audio.payload_type};
        sender.ptime = ptime;
        sender.start = media::RtpStart::random();
        sender_.emplace(sender);
        const std::uint64_t seed = std::uint64_t{random_u32()} << 32 | random_u32();
        rtcp_.emplace(
            media::RtcpSession::Config{sender.start.ssrc, random_hex(12), seed}, last_heard_
        );
    }
}

void RtpLeg::attach(MediaSink& sink) {
    sink_ = &sink;
    last_heard_ = Clock::now();
    receiver_->start(last_heard_);
    if (!std::exchange(receiving_, true)) {
        ports_.rtp->start([this](auto datagram, const auto& from) { on_rtp(datagram, from); });
        ports_.rtcp->start([this](auto datagram, const auto& from) { on_rtcp(datagram, from); });
    }
    shard_.add_tick(*this);
}

void RtpLeg::detach() noexcept {
    if (sink_ == nullptr) return;
    sink_ = nullptr;
    shard_.remove_tick(*this);
}

bool RtpLeg::is_ours(const media::RtpPacketView& packet) const noexcept {
    return packet.payload_type.value == audio_->payload_type ||
           packet.payload_type.value == audio_->event_payload_type;
}

void RtpLeg::on_rtp(std::span<const std::byte> datagram, const net::UdpEndpoint& from) noexcept {
    if (sink_ == nullptr || !audio_) return;
    if (media::looks_like_rtcp(datagram)) return on_rtcp(datagram, from);
    const auto source = unmapped(from);
    if (!pinned_) {
        const auto packet = media::parse_rtp(datagram);
        if (!packet || !is_ours(*packet)) {
            ++foreign_;
            return;
        }
        if (source != remote_) {
            remote_ = source;
            // RTCP comes from next door unless it shows otherwise.
            remote_rtcp_ =
                net::UdpEndpoint{source.address(), static_cast<std::uint16_t>(source.port() + 1)};
        }
        pinned_ = true;
    } else if (source != remote_) {
        ++foreign_;
        return;
    }
    last_heard_ = Clock::now();
    receiver_->on_packet(datagram, last_heard_, *this);
}

void RtpLeg::on_rtcp(std::span<const std::byte> datagram, const net::UdpEndpoint& from) noexcept {
    if (sink_ == nullptr || !rtcp_) return;
    const auto source = unmapped(from);
    if (!remote_ || source.address() != remote_->address() || !media::parse_rtcp(datagram)) {
        ++foreign_;
        return;
    }
    remote_rtcp_ = source;
    const auto now = Clock::now();
    last_heard_ = now;
    rtcp_->on_packet(datagram, now, media::to_ntp(std::chrono::system_clock::now()));
}

void RtpLeg::on_frame(media::FrameView frame, TimePoint arrived, bool concealed) noexcept {
    if (sink_ != nullptr && !is_held()) sink_->on_frame(frame, arrived, concealed);
}

void RtpLeg::on_digit(char digit) noexcept { observer_.on_rtp_digit(digit); }

void RtpLeg::on_tick(TimePoint now) noexcept {
    receiver_->on_tick(now, *this);
    observer_.on_leg_tick(now);
    if (sink_ != nullptr) sink_->on_tick(now);
    if (sink_ == nullptr) return;  // detached meanwhile
    send_frame(now);
    if (now >= rtcp_->next_deadline()) send_report(now, false);
    check_timeout(now);
}

std::size_t RtpLeg::send_room() const noexcept {
    return sink_ != nullptr && !is_held() && remote_ && !has_frame_ ? 1 : 0;
}

bool RtpLeg::send_audio(media::FrameView frame) noexcept {
    if (send_room() == 0 || frame.rate != narrowband || frame.samples.size() != frame_.size()) {
        ++dropped_;
        return false;
    }
    std::copy(frame.samples.begin(), frame.samples.end(), frame_.begin());
    has_frame_ = true;
    return true;
}

void RtpLeg::send_frame(TimePoint now) noexcept {
    if (is_held() || !remote_) return;
    std::array<std::byte, media::RtpSender::max_datagram> buffer;
    auto packet = has_frame_ ? sender_->build({frame_, narrowband}, now, buffer)
                             : sender_->build_silence(now, buffer);
    has_frame_ = false;
    const auto to = for_socket(*ports_.rtp, *remote_);
    for (; !packet.empty(); packet = sender_->next(buffer)) {
        if (ports_.rtp->send_to(packet, to)) {
            ++sent_;
        } else {
            ++dropped_;
        }
    }
}

void RtpLeg::send_report(TimePoint now, bool bye) noexcept {
    const auto wall = media::to_ntp(std::chrono::system_clock::now());
    std::array<std::byte, media::RtcpSession::max_datagram> buffer;
    const auto report =
        rtcp_->build(now, sender_->info(now, wall), receiver_->report_block(), buffer, bye);
    if (remote_rtcp_ && !report.empty()) {
        ports_.rtcp->send_to(report, for_socket(*ports_.rtcp, *remote_rtcp_));
    }
}

/// A caller who is told not to send, or who holds the call, may be silent as long as it likes.
void RtpLeg::check_timeout(TimePoint now) noexcept {
    if (is_held() || !sip::receives(audio_->direction)) {
        last_heard_ = now;
    } else if (!timed_out_ && now - last_heard_ >= media_timeout_) {
        timed_out_ = true;
        observer_.on_media_timeout();
    }
}

MediaStats RtpLeg::stats() const noexcept {
    MediaStats stats;
    stats.sent = sent_;
    stats.dropped = dropped_;
    stats.rejected = foreign_;
    if (!receiver_) return stats;
    const auto received = receiver_->stats();
    stats.received = received.received;
    stats.lost = received.lost;
    stats.concealed = received.concealed;
    stats.late = received.late;
    stats.rejected += received.rejected;
    stats.jitter_ms = to_ms(received.jitter);
    const auto round_trip = rtcp_ ? rtcp_->stats().round_trip : std::nullopt;
    if (round_trip) stats.round_trip_ms = to_ms(*round_trip);
    if (received.received > 0) {
        stats.mos = media::estimate_mos(receiver_->impairment(round_trip));
    }
    return stats;
}

}  // namespace oavc::transports::rtp
