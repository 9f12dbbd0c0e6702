#include "transports/sip/sip_transport.hpp"

#include "transports/rtp/press_key.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>

#include <functional>
#include <utility>

namespace oavc::transports::sip_ua {

namespace {

EndReason reason_of(sip::CallEnd end) noexcept {
    switch (end) {
        case sip::CallEnd::remote_hung_up:
            return EndReason::caller_hung_up;
        case sip::CallEnd::local_hung_up:
        case sip::CallEnd::refused:
            return EndReason::we_hung_up;
        case sip::CallEnd::cancelled:
            return EndReason::cancelled;
        case sip::CallEnd::transferred:
            return EndReason::transferred;
        case sip::CallEnd::lost:
            return EndReason::carrier_lost;
    }
    return EndReason::protocol_error;
}

Result<void> result_of(int status) {
    if (status < 300) return {};
    return call_control_errc(status);
}

}  // namespace

SipTransport::SipTransport(
    async::Shard& shard,
    Exchange& exchange,
    const rtp::Config& rtp,
    std::uint64_t number,
    CallInfo info,
    rtp::RtpPortPair ports,
    log::Logger log
)
    : exchange_{exchange},
      number_{number},
      info_{std::move(info)},
      log_{std::move(log)},
      changed_{shard.executor()} {
    rtp::CallMedia::Owner& owner = *this;
    media_.emplace(shard, std::move(ports), rtp, owner, log_);
    exchange_.call_began(number_, *this);
}

SipTransport::~SipTransport() {
    const auto port = media_->leg().port();
    media_.reset();  // closes the sockets before the port is given back
    exchange_.call_ended(number_, port);
}

asio::awaitable<Result<void>> SipTransport::connect() {
    if (!info_.outgoing) exchange_.wish(number_, Answer{});
    while (!answered_ && !end_) {
        if (!co_await changed_.wait()) co_return error_code{asio::error::operation_aborted};
    }
    if (end_) co_return refusal_;
    co_return Result<void>{};
}

asio::awaitable<void> SipTransport::reject(int status, std::string reason) {
    if (status < 300 || status > 699) status = 480;
    exchange_.wish(number_, Reject{status, std::move(reason)});
    co_await finish();
}

asio::awaitable<void> SipTransport::hang_up() {
    exchange_.wish(number_, HangUp{});
    co_await finish();
}

/// Waits until the other side has been told; bounded by SIP's timers (32 s when it is silent).
/// What is cut short here goes on without us.
asio::awaitable<void> SipTransport::finish() {
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    while (!end_ && !gone_)
        co_await changed_.wait();
}

asio::awaitable<MediaEnd> SipTransport::receive_audio(MediaSink& sink) {
    if (!answered_ && !end_) co_return MediaEnd{EndReason::protocol_error, "not answered"};
    if (end_) co_return *end_;
    media_->attach(sink);
    while (!end_) {
        if (!co_await changed_.wait()) break;
    }
    media_->detach();
    if (!end_) co_return MediaEnd{EndReason::we_hung_up, "cancelled"};
    co_return *end_;
}

// --- Call control: one wish at a time.

asio::awaitable<Result<void>> SipTransport::done(Wish wish) {
    if (end_) co_return CallControlErrc::gone;
    if (!answered_ || wish_under_way_) co_return CallControlErrc::wrong_state;
    wish_under_way_ = true;
    wish_done_.reset();
    exchange_.wish(number_, std::move(wish));
    bool go_on = true;
    while (go_on && !wish_done_ && !end_)
        go_on = co_await changed_.wait();
    wish_under_way_ = false;
    if (wish_done_) co_return *wish_done_;
    if (!go_on) co_return error_code{asio::error::operation_aborted};
    co_return CallControlErrc::gone;
}

asio::awaitable<Result<void>> SipTransport::transfer(std::string target) {
    Wish wish{Transfer{std::move(target)}};
    co_return co_await done(std::move(wish));
}

asio::awaitable<Result<void>> SipTransport::transfer_attended(
    std::string target, milliseconds patience
) {
    Wish wish{AttendedTransfer{std::move(target), patience}};
    co_return co_await done(std::move(wish));
}

asio::awaitable<Result<void>> SipTransport::hold(bool held) {
    Wish wish{Hold{held}};
    co_return co_await done(std::move(wish));
}

asio::awaitable<Result<void>> SipTransport::send_digits(std::string digits) {
    std::function<bool()> over = [this] { return end_.has_value(); };
    std::function<asio::awaitable<Result<void>>(char)> by_info = [this](char digit) {
        return done(Wish{PressKey{digit}});
    };
    const auto pressed = co_await rtp::press_keys(
        media_->leg(), std::move(digits), std::move(over), std::move(by_info)
    );
    co_return pressed;
}

// --- Events.

void SipTransport::on_event(Event event) {
    if (auto* action = std::get_if<sip::Call::Action>(&event)) {
        on_call_event(std::move(*action));
    } else if (const auto* refused = std::get_if<Refused>(&event)) {
        wish_done_ = Result<void>{refused->why};
    } else {
        gone_ = true;
        end({EndReason::carrier_lost, "the call vanished"});
    }
    changed_.notify();
}

void SipTransport::on_call_event(sip::Call::Action action) {
    if (const auto* answered = std::get_if<sip::Call::Answered>(&action)) {
        media_->apply(answered->audio);
        answered_ = true;
    } else if (const auto* changed = std::get_if<sip::Call::MediaChanged>(&action)) {
        media_->apply(changed->audio);
    } else if (const auto* digit = std::get_if<sip::Call::Digit>(&action)) {
        media_->press(digit->digit, DigitSource::sip_info);
    } else if (const auto* held = std::get_if<sip::Call::HoldDone>(&action)) {
        wish_done_ = result_of(held->status);
    } else if (const auto* transferred = std::get_if<sip::Call::TransferDone>(&action)) {
        wish_done_ = result_of(transferred->status);
        if (transferred->status >= 300)
            log_.warn("transfer failed", log::kv("status", transferred->status));
    } else if (const auto* pressed = std::get_if<sip::Call::InfoDone>(&action)) {
        wish_done_ = result_of(pressed->status);
    } else if (const auto* over = std::get_if<sip::Call::Over>(&action)) {
        if (over->end == sip::CallEnd::refused) refusal_ = call_control_errc(over->status);
        // Our patience with a callee ended it.
        if (over->end == sip::CallEnd::local_hung_up) refusal_ = CallControlErrc::no_answer;
        end({reason_of(over->end), over->detail});
    }
}

void SipTransport::end(MediaEnd why) {
    if (!end_) end_ = std::move(why);
}

void SipTransport::on_media_timeout() noexcept {
    end({EndReason::media_timeout, "no RTP came"});
    exchange_.wish(number_, HangUp{});
    changed_.notify();
}

}  // namespace oavc::transports::sip_ua
