#include "caller/opensips_line.hpp"

#include "async/deadline.hpp"
#include "base/bytes.hpp"
#include "media/rtp.hpp"

#include <fmt/format.h>

#include <array>
#include <stdexcept>
#include <utility>

namespace oavc::caller {

namespace {

constexpr std::size_t max_mi_request = 65'457;  // OpenSIPS reads no more

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

}  // namespace

OpenSipsBox::OpenSipsBox(async::Shard& shard, Config config)
    : shard_{shard},
      config_{std::move(config)},
      opensips_{Clock::now()},
      mi_{bind_or_throw(
          shard,
          config_.mi_ip,
          config_.mi_port,
          max_mi_request,
          "The test caller plays OpenSIPS on its MI port: a real OpenSIPS or another 'oavc call' "
          "is "
          "running there. Stop it, or give server and caller another [telephony.opensips] mi_port."
      )},
      events_{bind_or_throw(shard, config_.mi_ip, 0, 2048, "No UDP port is left for events.")},
      subscribed_{shard.executor()} {
    mi_->start([this](std::span<const std::byte> datagram, const net::UdpEndpoint& from) {
        on_mi(datagram, from);
    });
}

OpenSipsBox::~OpenSipsBox() {
    mi_->close();
    events_->close();
}

void OpenSipsBox::on_mi(std::span<const std::byte> datagram, const net::UdpEndpoint& from) {
    const TimePoint now = Clock::now();
    const bool waited = !opensips_.has_subscriber(now);
    if (const auto answer = opensips_.on_mi(as_text(datagram), now)) {
        mi_->send_to(as_bytes(*answer), from);
    }
    flush();
    if (waited && opensips_.has_subscriber(now)) subscribed_.notify();
}

void OpenSipsBox::flush() {
    for (const auto& event : opensips_.take_events()) {
        const auto colon = event.to.rfind(':');
        const int port =
            std::atoi(event.to.c_str() + colon + 1);  // NOLINT(cert-err34-c): 0 is refused
        const auto to =
            net::parse_endpoint(event.to.substr(0, colon), static_cast<std::uint16_t>(port));
        if (to.has_value() && port > 0) events_->send_to(as_bytes(event.data), *to);
    }
    for (const auto& outcome : opensips_.take_outcomes()) {
        const auto line = lines_.find(outcome.key);
        if (line != lines_.end()) line->second->on_outcome(outcome);
    }
}

asio::awaitable<bool> OpenSipsBox::wait_for_subscriber(Clock::duration limit) {
    const TimePoint deadline = Clock::now() + limit;
    while (!opensips_.has_subscriber(Clock::now())) {
        const TimePoint now = Clock::now();
        if (now >= deadline) co_return false;
        using namespace asio::experimental::awaitable_operators;
        const auto woken = co_await (subscribed_.wait() || async::sleep_for(deadline - now));
        if (woken.index() == 0 && !std::get<0>(woken)) co_return false;  // cancelled
    }
    co_return true;
}

std::unique_ptr<OpenSipsLine> OpenSipsBox::make_line() {
    auto rtp = bind_or_throw(shard_, config_.rtp_ip, 0, 2048, "No UDP port is left for RTP.");
    return std::make_unique<OpenSipsLine>(*this, std::move(rtp));
}

OpenSipsLine::OpenSipsLine(OpenSipsBox& box, std::unique_ptr<net::UdpSocket> rtp)
    : box_{box}, rtp_{std::move(rtp)}, changed_{box.shard_.executor()} {}

OpenSipsLine::~OpenSipsLine() {
    box_.lines_.erase(key_);
    rtp_->close();
}

asio::awaitable<Dialled> OpenSipsLine::dial(Ear& ear) {
    ear_ = &ear;
    rtp_->start([this](std::span<const std::byte> datagram, const net::UdpEndpoint& from) {
        on_rtp(datagram, from);
    });
    FakeOpenSips::Invite invite;
    invite.from_user = box_.config_.from;
    invite.to_user = box_.config_.to;
    invite.host = box_.config_.rtp_ip;
    invite.sdp = make_sdp_offer(box_.config_.rtp_ip, rtp_->local_endpoint().port(), sdp_version_);
    invited_ = Clock::now();
    key_ = box_.opensips_.invite(std::move(invite), invited_);
    box_.lines_[key_] = this;
    box_.flush();

    const TimePoint deadline = invited_ + box_.config_.answer_limit;
    while (!dialled_) {
        const TimePoint now = Clock::now();
        if (now >= deadline) {
            Dialled late;
            late.what = "no answer within the time limit";
            co_return late;
        }
        using namespace asio::experimental::awaitable_operators;
        co_await (changed_.wait() || async::sleep_for(deadline - now));
        const auto state = co_await asio::this_coro::cancellation_state;
        if (state.cancelled() != asio::cancellation_type::none) break;
    }
    co_return dialled_.value_or(Dialled{});
}

void OpenSipsLine::on_outcome(const FakeOpenSips::Outcome& outcome) {
    using Kind = FakeOpenSips::Outcome::Kind;
    switch (outcome.kind) {
        case Kind::provisional:
            return;
        case Kind::rejected: {
            if (!dialled_) {
                dialled_.emplace();
                dialled_->what = fmt::format("refused: {} {}", outcome.code, outcome.reason);
            }
            over_ = true;
            break;
        }
        case Kind::answered: {
            if (dialled_) return;
            Dialled dialled;
            dialled.at = Clock::now();
            dialled.setup = std::chrono::duration_cast<microseconds>(dialled.at - invited_);
            const auto answer = parse_sdp_answer(outcome.body);
            const auto remote = answer.has_value()
                                    ? net::parse_endpoint(answer->address, answer->port)
                                    : Result<net::UdpEndpoint>{answer.error().code};
            if (remote.has_error()) {
                dialled.what =
                    answer.has_error()
                        ? answer.error().what
                        : fmt::format("the answer's address '{}' is none", answer->address);
            } else {
                box_.opensips_.ack(key_);
                remote_ = *remote;
                codec_ = answer->payload_type == 8 ? media::Codec::pcma : media::Codec::pcmu;
                decoder_.set(codec_);
                media::RtpSenderConfig config;
                config.encoding = codec_;
                config.payload_type = media::PayloadType{answer->payload_type};
                config.start = media::RtpStart::random();
                sender_.emplace(config);
                dialled.answered = true;
                dialled.what = fmt::format(
                    "{}, RTP {} ↔ {}",
                    media::name(codec_),
                    net::to_string(rtp_->local_endpoint()),
                    net::to_string(remote_)
                );
            }
            dialled_ = std::move(dialled);
            break;
        }
        case Kind::request_answered: {
            if (digits_.empty()) return;
            const char digit = digits_.front();
            digits_.erase(0, 1);
            press(digit);
            return;
        }
        case Kind::hung_up:
        case Kind::transfer: {
            const bool first = !std::exchange(over_, true);
            if (first && ear_ != nullptr) {
                ear_->on_line_over(
                    outcome.kind == Kind::hung_up
                        ? "the connector hung up"
                        : "the connector transferred the call to " + outcome.body
                );
            }
            break;
        }
        case Kind::reinvite_answered:
        case Kind::reinvite_rejected:
        case Kind::held:
        case Kind::key:
            break;
    }
    changed_.notify();
}

void OpenSipsLine::on_rtp(std::span<const std::byte> datagram, const net::UdpEndpoint& from) {
    const TimePoint now = Clock::now();
    if (media::looks_like_rtcp(datagram)) return;
    const auto packet = media::parse_rtp(datagram);
    if (packet.has_error() || packet->payload_type != media::static_payload_type(codec_)) return;
    if (!heard_from_) heard_from_ = from;
    meter_.on_packet(packet->sequence_number, packet->timestamp.value, now);
    std::array<media::Sample, 480> samples{};
    const auto count = decoder_.decode(packet->payload, samples);
    if (ear_ != nullptr) ear_->on_heard(now, media::Samples{samples}.first(count));
}

void OpenSipsLine::send(TimePoint now, media::Samples frame) noexcept {
    if (!sender_ || over_) return;
    std::array<std::byte, media::RtpSender::max_datagram> buffer;
    const auto datagram = sender_->build({frame, narrowband}, now, buffer);
    if (!datagram.empty()) rtp_->send_to(datagram, remote_);
}

void OpenSipsLine::advance(TimePoint /*now*/) noexcept {}  // packets are heard as they arrive

void OpenSipsLine::press(char digit) noexcept {
    if (over_) return;
    if (!box_.opensips_.press(key_, digit, Clock::now())) digits_ += digit;
    box_.flush();
}

void OpenSipsLine::hold(bool held) {
    box_.opensips_.reinvite(
        key_,
        make_sdp_offer(
            box_.config_.rtp_ip,
            rtp_->local_endpoint().port(),
            ++sdp_version_,
            held ? "sendonly" : "sendrecv"
        ),
        Clock::now()
    );
    box_.flush();
}

asio::awaitable<void> OpenSipsLine::hang_up() {
    if (std::exchange(over_, true) || key_.empty()) co_return;
    const TimePoint now = Clock::now();
    if (dialled_ && dialled_->answered) {
        box_.opensips_.bye(key_, now);
        box_.flush();
        co_return;
    }
    over_ = false;
    box_.opensips_.cancel(key_, now);
    box_.flush();
    const TimePoint deadline = now + 2s;  // for the 487
    while (!over_ && Clock::now() < deadline)
        co_await async::sleep_for(10ms);
}

LineStats OpenSipsLine::stats() const noexcept {
    LineStats stats;
    stats.sent = sender_ ? sender_->stats().packets : 0;
    stats.received = meter_.received();
    stats.lost = meter_.lost();
    stats.jitter_ms = meter_.jitter_ms();
    stats.max_gap_ms = meter_.max_gap_ms();
    if (heard_from_) stats.from = net::to_string(*heard_from_);
    return stats;
}

}  // namespace oavc::caller
