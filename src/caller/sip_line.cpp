#include "caller/sip_line.hpp"

#include "async/deadline.hpp"
#include "base/bytes.hpp"
#include "base/random.hpp"

#include <fmt/format.h>

#include <stdexcept>
#include <utility>
#include <variant>

namespace oavc::caller {

namespace {

constexpr auto politeness = 2s;    // for the responses to BYE or CANCEL
constexpr auto timer_step = 20ms;  // how late a retransmission may be

/// Where the phone is, as the server reaches it. Throws std::runtime_error.
SipLine::Config located(SipLine::Config config) {
    const auto server = net::parse_endpoint(config.server_ip, config.server_port);
    if (!server) {
        throw std::runtime_error{fmt::format("'{}' is not an IP address.", config.server_ip)};
    }
    if (!config.local_ip.empty()) return config;
    const auto here = net::source_address_towards(*server);
    if (!here) {
        throw std::runtime_error{
            fmt::format("there is no way to {} ({}).", config.server_ip, here.error().message())};
    }
    config.local_ip = here->to_string();
    return config;
}

sip::UserAgent::Settings settings() {
    sip::UserAgent::Settings out;
    out.layer.tcp = false;
    out.layer.user_agent = "oavc call " OAVC_VERSION;
    out.call.media.codecs = {sip::AudioCodec::pcmu, sip::AudioCodec::pcma};
    return out;
}

}  // namespace

SipLine::SipLine(async::Shard& shard, Config config)
    : config_{located(std::move(config))},
      socket_{bind_or_throw(shard, config_.local_ip, 0, 65'535, "No UDP port is left for SIP.")},
      phone_{bind_or_throw(shard, config_.local_ip, 0, 2048, "No UDP port is left for RTP.")},
      agent_{settings(), [this](const sip::Target&) { return local_address(); }},
      changed_{shard.executor()} {}

SipLine::~SipLine() { socket_->close(); }

std::string SipLine::local_address() const {
    return sip::host_port(config_.local_ip, socket_->local_endpoint().port());
}

asio::awaitable<Dialled> SipLine::dial(Ear& ear) {
    ear_ = &ear;
    phone_.listen(ear);
    socket_->start([this](std::span<const std::byte> datagram, const net::UdpEndpoint& from) {
        const sip::Target source{sip::Protocol::udp, from.address().to_string(), from.port(), 0};
        agent_.on_bytes(as_text(datagram), source, Clock::now());
        collect();
    });
    sip::Call::Destination destination;
    const auto server = sip::host_port(config_.server_ip, config_.server_port);
    destination.uri = fmt::format("sip:{}@{}", config_.to, server);
    destination.from = fmt::format("sip:{}@{}", config_.from, local_address());
    destination.next_hop = {sip::Protocol::udp, config_.server_ip, config_.server_port, 0};
    invited_ = Clock::now();
    auto& call = agent_.dial(std::move(destination));
    number_ = call.number();
    call.start({config_.local_ip, phone_.port(), random_u32(), 1}, invited_);
    call_id_ = call.invite().get("Call-ID");
    agent_.touched(number_, invited_);
    collect();

    const TimePoint deadline = invited_ + config_.answer_limit;
    while (!dialled_) {
        const TimePoint now = Clock::now();
        if (now >= deadline) {
            Dialled late;
            late.what = "no answer within the time limit";
            co_return late;
        }
        advance(now);
        using namespace asio::experimental::awaitable_operators;
        co_await (changed_.wait() || async::sleep_for(timer_step));
        const auto state = co_await asio::this_coro::cancellation_state;
        if (state.cancelled() != asio::cancellation_type::none) break;
    }
    co_return dialled_.value_or(Dialled{});
}

void SipLine::collect() {
    while (auto action = agent_.next_action()) {
        if (const auto* send = std::get_if<sip::UserAgent::Send>(&*action)) {
            const auto to = net::parse_endpoint(send->to.address, send->to.port);
            if (to) socket_->send_to(as_bytes(send->bytes), *to);
        } else if (auto* event = std::get_if<sip::UserAgent::Event>(&*action)) {
            if (event->number == number_) on_call(std::move(event->action));
        } else if (const auto* incoming = std::get_if<sip::UserAgent::Incoming>(&*action)) {
            // This phone is busy with the call that it placed.
            const auto now = Clock::now();
            if (auto* call = agent_.call(incoming->number)) call->reject(486, {}, {}, now);
            agent_.touched(incoming->number, now);
        }
    }
}

void SipLine::on_call(sip::Call::Action action) {
    if (const auto* answered = std::get_if<sip::Call::Answered>(&action)) {
        on_answered(answered->audio);
    } else if (const auto* changed = std::get_if<sip::Call::MediaChanged>(&action)) {
        begin_media(changed->audio);
    } else if (const auto* over = std::get_if<sip::Call::Over>(&action)) {
        on_over(*over);
    }
}

bool SipLine::begin_media(const sip::NegotiatedAudio& audio) {
    const auto remote = net::parse_endpoint(audio.remote_address, audio.remote_port);
    if (!remote || audio.remote_port == 0) return false;
    std::optional<media::TelephoneEventType> keys;
    if (audio.event_payload_type) {
        keys = media::TelephoneEventType{{*audio.event_payload_type}, {audio.event_clock_rate}};
    }
    phone_.begin(media::PayloadType{audio.payload_type}, *remote, keys);
    return true;
}

void SipLine::on_answered(const sip::NegotiatedAudio& audio) {
    if (dialled_) return;
    Dialled dialled;
    dialled.at = Clock::now();
    dialled.setup = std::chrono::duration_cast<microseconds>(dialled.at - invited_);
    dialled.answered = begin_media(audio);
    dialled.what = dialled.answered ? phone_.description() : "the answer names no usable address";
    dialled_ = std::move(dialled);
    changed_.notify();
}

void SipLine::on_over(const sip::Call::Over& over) {
    const bool first = !std::exchange(over_, true);
    if (!dialled_) {
        dialled_.emplace();
        dialled_->what = over.status != 0 ? fmt::format("refused: {} {}", over.status, over.detail)
                                          : "not answered: " + over.detail;
    } else if (first && dialled_->answered) {
        ear_->on_line_over(
            over.end == sip::CallEnd::remote_hung_up ? "the connector hung up"
                                                     : "the call was lost: " + over.detail
        );
    }
    changed_.notify();
}

void SipLine::send(TimePoint now, media::Samples frame) noexcept {
    if (!over_) phone_.send(now, frame);
}

void SipLine::advance(TimePoint now) noexcept {
    agent_.on_time(now);
    collect();
}

void SipLine::press(char digit) noexcept {
    if (over_ || phone_.press(std::string_view{&digit, 1})) return;
    const auto now = Clock::now();
    if (auto* call = agent_.call(number_)) call->send_digit(digit, now);
    agent_.touched(number_, now);
    collect();
}

asio::awaitable<void> SipLine::hang_up() {
    const TimePoint now = Clock::now();
    over_ = true;
    if (auto* call = agent_.call(number_)) {
        call->hang_up(now);
        agent_.touched(number_, now);
        collect();
    }
    while (agent_.call(number_) != nullptr && Clock::now() < now + politeness) {
        co_await async::sleep_for(timer_step);
        advance(Clock::now());
    }
}

}  // namespace oavc::caller
