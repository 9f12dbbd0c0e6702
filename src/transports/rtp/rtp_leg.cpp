#include "transports/rtp/rtp_leg.hpp"

#include "base/random.hpp"

#include <algorithm>
#include <utility>

namespace oavc::transports::rtp {

namespace {

namespace ip = boost::asio::ip;

/// Longest datagram that we send or take, before encryption.
constexpr std::size_t max_packet = 2048;
static_assert(max_packet >= media::RtpSender::max_datagram);
static_assert(max_packet >= media::RtcpSession::max_datagram);
using Buffer = std::array<std::byte, max_packet + SrtpSession::overhead>;

media::Encoding encoding_of(const sip::PayloadFormat& format) noexcept {
    const media::RtpClockRate clock{format.clock_rate};
    switch (format.codec) {
        case sip::AudioCodec::pcmu:
            return {media::Codec::pcmu, clock};
        case sip::AudioCodec::pcma:
            return {media::Codec::pcma, clock};
        case sip::AudioCodec::g722:
            return {media::Codec::g722, clock};
        case sip::AudioCodec::opus:
            return {media::Codec::opus, clock};
        case sip::AudioCodec::l16:
            break;
    }
    return {media::Codec::l16, clock};
}

std::optional<media::TelephoneEventType> events(
    const std::optional<std::uint8_t>& type, const sip::NegotiatedAudio& audio
) noexcept {
    if (!type) return std::nullopt;
    return media::TelephoneEventType{{*type}, {audio.event_clock_rate}};
}

/// A caller who moves may have packets under way; a network keeps none for longer.
constexpr auto straggling = 1s;

/// A packet that came this lately is taken for the last one: asking in vain whether there is
/// another costs a system call in every tick, and one that came on its heels waits for a tick at
/// most.
constexpr auto fresh = frame_time / 2;

/// Read in one tick at most, so that a flood cannot starve the other calls.
constexpr int most_per_tick = 64;

/// More than a socket's buffer holds.
constexpr int most_forgotten = 1'024;

/// Reports come every few seconds, and their times are the kernel's: looking now and then is
/// enough.
constexpr int report_ticks = 10;

/// A place that audio may be sent to: one host. Who could name a group or a broadcast address here
/// would have us flood a network.
std::optional<net::UdpEndpoint> unicast(const std::string& address, std::uint16_t port) noexcept {
    if (port == 0) return std::nullopt;
    const auto endpoint = net::parse_endpoint(address, port);
    if (!endpoint) return std::nullopt;
    const auto plain = net::unmapped(*endpoint);
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
    if (sender_ && attached_before_) send_report(Clock::now(), true);
}

void RtpLeg::apply(const sip::NegotiatedAudio& audio) {
    const bool first = !audio_;
    audio_ = audio;
    has_frame_ = has_frame_ && !is_held();
    last_heard_ = Clock::now();
    if (first) {
        forget_waiting();
        format_.rate = sip::sample_rate(audio.format());
        if (hears_tones_) inband_.emplace(format_.rate);
    }
    apply_address(audio);
    apply_keys(audio);
    apply_codecs(audio);
}

/// The sockets are bound from the INVITE on. What came until it was answered is a carrier's ringing
/// or announcement, and may be from a machine that the call never hears of again.
void RtpLeg::forget_waiting() noexcept {
    alignas(std::uint64_t) Buffer buffer;
    for (int i = 0; i < most_forgotten && ports_.rtp.receive(buffer); ++i) {
    }
}

void RtpLeg::apply_address(const sip::NegotiatedAudio& audio) {
    const auto stated = unicast(audio.remote_address, audio.remote_port);
    if (!stated || stated == stated_) return;
    // A first or another address. An old-style hold names none: what was learned stays.
    if (pinned_ && remote_ != stated) {
        left_ = remote_;
        left_until_ = Clock::now() + straggling;
    }
    stated_ = stated;
    remote_ = stated;
    remote_rtcp_ = unicast(audio.remote_rtcp_address, audio.remote_rtcp_port);
    pinned_ = false;
    ports_.rtp.disconnect();
}

void RtpLeg::apply_keys(const sip::NegotiatedAudio& audio) {
    if (!audio.srtp) {
        srtp_.reset();
    } else if (srtp_) {
        srtp_->set_keys(*audio.srtp);
    } else {
        srtp_.emplace(*audio.srtp);
    }
}

void RtpLeg::apply_codecs(const sip::NegotiatedAudio& audio) {
    media::RtpReceiverConfig receiver;
    receiver.payloads = {};
    for (const auto& format : audio.receives) {
        receiver.payloads.add({format.payload_type}, encoding_of(format));
        if (const auto rate = sip::sample_rate(format); rate != format_.rate && !to_sink_) {
            to_sink_.emplace(rate, format_.rate);
        }
    }
    receiver.telephone_event = events(audio.received_event_payload_type, audio);
    if (audio.noise_payload_type) receiver.comfort_noise = {*audio.noise_payload_type};
    if (receiver_) {
        receiver_->reconfigure(receiver);
    } else {
        receiver_.emplace(receiver);
    }

    const auto encoding = encoding_of(audio.format());
    const milliseconds ptime{audio.ptime};
    const auto event_type = events(audio.event_payload_type, audio);
    if (sender_) {
        sender_->set_format(encoding, {audio.payload_type}, ptime);
        sender_->set_telephone_event(event_type);
    } else {
        media::RtpSenderConfig sender;
        sender.encoding = encoding;
        sender.payload_type = {audio.payload_type};
        sender.ptime = ptime;
        sender.telephone_event = event_type;
        sender.start = media::RtpStart::random();
        sender_.emplace(sender);
        const std::uint64_t seed = std::uint64_t{random_u32()} << 32 | random_u32();
        rtcp_.emplace(
            media::RtcpSession::Config{sender.start.ssrc, random_hex(12), seed}, last_heard_
        );
    }
    if (sender_->rate() == format_.rate) {
        to_sender_.reset();
    } else if (!to_sender_) {
        to_sender_.emplace(format_.rate, sender_->rate());
    }
}

void RtpLeg::attach(MediaSink& sink) {
    sink_ = &sink;
    last_heard_ = Clock::now();
    receiver_->start(last_heard_);
    attached_before_ = true;
    shard_.add_tick(*this);
}

void RtpLeg::detach() noexcept {
    if (sink_ == nullptr) return;
    receive_reports(Clock::now());  // the last ones count
    sink_ = nullptr;
    shard_.remove_tick(*this);
}

bool RtpLeg::is_ours(const media::RtpPacketView& packet) const noexcept {
    const auto type = packet.payload_type.value;
    const auto& formats = audio_->receives;
    return type == audio_->received_event_payload_type || type == audio_->noise_payload_type ||
           std::any_of(formats.begin(), formats.end(), [&](const sip::PayloadFormat& format) {
               return format.payload_type == type;
           });
}

void RtpLeg::receive(TimePoint now) noexcept {
    alignas(std::uint64_t) Buffer buffer;
    for (int i = 0; i < most_per_tick && sink_ != nullptr; ++i) {
        const auto datagram = ports_.rtp.receive(buffer);
        if (!datagram) return;
        const auto arrived = arrivals_.at(datagram->at, now);
        if (!on_rtp(*datagram, arrived)) continue;
        alignment_.on_packet(arrived, now);
        if (now - arrived < fresh) return;
    }
}

void RtpLeg::receive_reports(TimePoint now) noexcept {
    alignas(std::uint64_t) Buffer buffer;
    for (int i = 0; i < most_per_tick && sink_ != nullptr; ++i) {
        const auto datagram = ports_.rtcp.receive(buffer);
        if (!datagram) return;
        on_rtcp(*datagram, arrivals_.at(datagram->at, now));
    }
}

/// True: it is from who it should be.
bool RtpLeg::on_rtp(const net::MediaSocket::Datagram& datagram, TimePoint arrived) noexcept {
    if (media::looks_like_rtcp(datagram.bytes)) {
        on_rtcp(datagram, arrived);
        return false;
    }
    if (pinned_ && datagram.from != remote_) {
        ++foreign_;
        return false;
    }
    auto plain = datagram;
    if (srtp_) plain.bytes = srtp_->unprotect(datagram.bytes);
    if (srtp_ && plain.bytes.empty()) return false;  // counted there
    if (!pinned_) {
        const auto packet = media::parse_rtp(plain.bytes);
        if (!packet || !is_ours(*packet)) {
            ++foreign_;
            return false;
        }
        pin(datagram, arrived);
    }
    last_heard_ = arrived;
    receiver_->on_packet(plain.bytes, arrived, *this);
    return true;
}

void RtpLeg::pin(const net::MediaSocket::Datagram& datagram, TimePoint arrived) noexcept {
    const bool straggler = datagram.from == left_ && arrived < left_until_;
    if (straggler) return;
    if (datagram.from != remote_) {
        remote_ = datagram.from;
        // RTCP comes from next door unless it shows otherwise.
        remote_rtcp_ = net::UdpEndpoint{
            datagram.from.address(), static_cast<std::uint16_t>(datagram.from.port() + 1)};
    }
    pinned_ = true;
    ports_.rtp.connect(datagram.from, datagram.to);
}

void RtpLeg::on_rtcp(const net::MediaSocket::Datagram& datagram, TimePoint arrived) noexcept {
    if (!remote_ || datagram.from.address() != remote_->address()) {
        ++foreign_;
        return;
    }
    std::span<const std::byte> plain = datagram.bytes;
    if (srtp_) plain = srtp_->unprotect_rtcp(datagram.bytes);
    if (srtp_ && plain.empty()) return;
    if (!media::parse_rtcp(plain)) {
        ++foreign_;
        return;
    }
    remote_rtcp_ = datagram.from;
    last_heard_ = arrived;
    rtcp_->on_packet(plain, arrived, media::to_ntp(datagram.at));
}

void RtpLeg::on_frame(media::FrameView frame, TimePoint arrived, bool concealed) noexcept {
    const bool convert = frame.rate != format_.rate && to_sink_;
    if (convert && !std::exchange(converting_, true)) to_sink_->reset();
    converting_ = convert;
    // We do not hear who told us that he is silent, nor whom we hold: it may be music.
    if (sink_ == nullptr || is_held() || !sip::receives(audio_->direction)) return;
    if (convert) frame = to_sink_->convert(frame);
    if (inband_ && !takes_digits()) {
        if (const auto digit = inband_->on_frame(frame.samples)) observer_.on_rtp_digit(*digit);
    }
    if (sink_ != nullptr) sink_->on_frame(frame, arrived, concealed);
}

void RtpLeg::on_digit(char digit) noexcept { observer_.on_rtp_digit(digit); }

void RtpLeg::on_tick(TimePoint now) noexcept {
    if (std::exchange(pause_, false)) return;
    receive(now);
    if (--ticks_to_reports_ < 0) {
        ticks_to_reports_ = report_ticks - 1;
        receive_reports(now);
    }
    if (sink_ != nullptr) receiver_->on_tick(now, *this);
    if (sink_ == nullptr) return;  // detached meanwhile
    observer_.on_leg_tick(now);
    if (sink_ != nullptr) sink_->on_tick(now);
    if (sink_ == nullptr) return;
    send_frame(now);
    if (now >= rtcp_->next_deadline()) send_report(now, false);
    check_timeout(now);
    if (sink_ != nullptr && alignment_.is_due()) align();
}

/// Moves the tick behind the packets that it reads.
void RtpLeg::align() noexcept {
    const auto move = alignment_.decide(shard_.ticks().rooms(*this));
    if (!move) return;
    shard_.move_tick(*this, move->phases);
    pause_ = move->pause;
    sender_->shift(move->shift());
}

std::size_t RtpLeg::send_room() const noexcept {
    return sink_ != nullptr && !is_held() && remote_ && !has_frame_ ? 1 : 0;
}

bool RtpLeg::send_audio(media::FrameView frame) noexcept {
    const bool fits =
        frame.rate == format_.rate && frame.samples.size() == format_.samples_per_frame();
    if (send_room() == 0 || !fits) {
        ++dropped_;
        return false;
    }
    std::copy(frame.samples.begin(), frame.samples.end(), frame_.begin());
    has_frame_ = true;
    return true;
}

bool RtpLeg::send_digits(std::string_view digits) noexcept {
    return sink_ != nullptr && !is_held() && remote_ && sender_->send_digits(digits);
}

void RtpLeg::send_frame(TimePoint now) noexcept {
    if (is_held() || !remote_) return;
    alignas(std::uint64_t) Buffer buffer;
    media::FrameView frame{media::Samples{frame_}.first(format_.samples_per_frame()), format_.rate};
    if (has_frame_ && to_sender_) frame = to_sender_->convert(frame);
    auto packet =
        has_frame_ ? sender_->build(frame, now, buffer) : sender_->build_silence(now, buffer);
    has_frame_ = false;
    for (; !packet.empty(); packet = sender_->next(buffer)) {
        const auto sealed = srtp_ ? srtp_->protect(buffer, packet.size()) : packet;
        if (!sealed.empty() && ports_.rtp.send_to(sealed, *remote_)) {
            ++sent_;
        } else {
            ++dropped_;
        }
    }
}

void RtpLeg::send_report(TimePoint now, bool bye) noexcept {
    const auto wall = media::to_ntp(std::chrono::system_clock::now());
    alignas(std::uint64_t) Buffer buffer;
    const auto report =
        rtcp_->build(now, sender_->info(now, wall), receiver_->report_block(), buffer, bye);
    const auto& to = audio_->rtcp_mux ? remote_ : remote_rtcp_;
    if (!to || report.empty()) return;
    const auto sealed = srtp_ ? srtp_->protect_rtcp(buffer, report.size()) : report;
    auto& socket = audio_->rtcp_mux ? ports_.rtp : ports_.rtcp;
    if (!sealed.empty()) socket.send_to(sealed, *to);
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
    if (srtp_) stats.rejected += srtp_->stats().unauthenticated + srtp_->stats().replayed;
    const auto round_trip = rtcp_ ? rtcp_->stats().round_trip : std::nullopt;
    if (round_trip) stats.round_trip_ms = to_ms(*round_trip);
    if (received.received > 0) {
        stats.mos = media::estimate_mos(receiver_->impairment(round_trip));
    }
    return stats;
}

std::optional<SrtpSession::Stats> RtpLeg::srtp_stats() const noexcept {
    return srtp_ ? std::optional{srtp_->stats()} : std::nullopt;
}

}  // namespace oavc::transports::rtp
