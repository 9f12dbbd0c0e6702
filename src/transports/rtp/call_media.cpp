#include "transports/rtp/call_media.hpp"

#include "net/udp.hpp"
#include "transports/rtp/negotiation.hpp"

#include <utility>

namespace oavc::transports::rtp {

namespace {

/// Phones set to "RTP and INFO" send each key twice, at about the same time.
constexpr milliseconds same_key{700};

}  // namespace

CallMedia::CallMedia(
    async::Shard& shard, RtpPortPair ports, const Config& config, Owner& owner, log::Logger log
)
    : owner_{owner},
      log_{std::move(log)},
      leg_{shard, std::move(ports), config.media_timeout, *this} {
    if (config.inband_digits) leg_.hear_tones();
}

void CallMedia::apply(const sip::NegotiatedAudio& audio) {
    leg_.apply(audio);
    log_agreement(log_, audio, leg_.port());
    const bool held = leg_.is_held();
    if (held == held_) return;
    held_ = held;
    if (sink_ != nullptr) sink_->on_hold(held);
}

void CallMedia::attach(MediaSink& sink) {
    sink_ = &sink;
    leg_.attach(sink);
    if (held_) sink.on_hold(true);
}

void CallMedia::detach() noexcept {
    leg_.detach();
    sink_ = nullptr;
}

void CallMedia::press(char digit, DigitSource source) noexcept {
    const auto now = Clock::now();
    const bool twin = last_press_ && last_press_->digit == digit && last_press_->source != source &&
                      now - last_press_->at < same_key;
    if (twin) {
        last_press_.reset();
        return;
    }
    last_press_ = Press{digit, source, now};
    if (sink_ != nullptr) sink_->on_digit(digit, source);
}

void CallMedia::on_leg_tick(TimePoint now) noexcept {
    owner_.on_media_tick(now);
    if (leg_.is_pinned() == pin_reported_) return;
    pin_reported_ = leg_.is_pinned();
    if (pin_reported_) {
        const auto where = net::to_string(*leg_.remote());
        log_.debug("caller's media address learned", log::kv("address", log::pii(where)));
    }
}

}  // namespace oavc::transports::rtp
