#include "transports/opensips/opensips_transport.hpp"

#include "net/udp.hpp"
#include "transports/errors.hpp"
#include "transports/rtp/local_address.hpp"
#include "transports/rtp/negotiation.hpp"
#include "transports/rtp/press_key.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>

#include <utility>

namespace oavc::transports::opensips {

namespace {

/// Phones set to "RTP and INFO" send each key twice, at about the same time.
constexpr milliseconds same_key{700};

/// 'w' among the digits to send.
constexpr milliseconds key_wait{500};

std::string_view usual_reason(int status) noexcept {
    switch (status) {
        case 480:
            return "Temporarily Unavailable";
        case 486:
            return "Busy Here";
        case 488:
            return "Not Acceptable Here";
        case 500:
            return "Server Internal Error";
        case 503:
            return "Service Unavailable";
        case 603:
            return "Decline";
        default:
            return "Rejected";
    }
}

}  // namespace

OpensipsTransport::OpensipsTransport(
    async::Shard& shard,
    Exchange& exchange,
    const Config& config,
    const rtp::Config& rtp,
    CallNumber number,
    UaSession session,
    rtp::RtpPortPair ports,
    log::Logger log
)
    : shard_{shard},
      exchange_{exchange},
      config_{config},
      rtp_{rtp},
      number_{number},
      log_{std::move(log)},
      session_{std::move(session)},
      changed_{shard.executor()} {
    rtp::RtpLeg::Observer& observer = *this;
    leg_.emplace(shard_, std::move(ports), rtp_.media_timeout, observer);
    if (rtp_.inband_digits) leg_->hear_tones();
    exchange_.call_began(number_, *this);
}

OpensipsTransport::~OpensipsTransport() {
    const auto port = leg_->port();
    leg_.reset();  // closes the sockets before the port is given back
    exchange_.call_ended(number_, port, session_.take_leftovers());
}

/// Waits for any change, while the session's own deadlines pass. Its leg ticks only later.
asio::awaitable<bool> OpensipsTransport::wait_for_news(std::optional<TimePoint> until) {
    auto next = session_.next_deadline();
    if (until && (!next || *until < *next)) next = until;
    bool go_on = false;
    if (next) {
        go_on = co_await changed_.wait_until(*next);
    } else {
        go_on = co_await changed_.wait();
    }
    if (!go_on) co_return false;
    const auto now = Clock::now();
    if (const auto deadline = session_.next_deadline(); deadline && now >= *deadline) {
        session_.on_time(now);
        run_actions();
    }
    co_return true;
}

asio::awaitable<Result<void>> OpensipsTransport::place(Clock::duration limit) {
    const auto address = rtp::local_address(rtp_, {session_.caller_address(), config_.mi_ip});
    const auto now = Clock::now();
    session_.place(rtp::local_media(address, leg_->port()), now);
    run_actions();
    while (!ringing_ && !answered_ && !end_) {
        if (Clock::now() >= now + limit) {
            if (session_.is_ringing()) break;  // far away, or a callee that rings silently
            co_return CallControlErrc::unavailable;
        }
        if (!co_await wait_for_news(now + limit)) {
            co_return error_code{asio::error::operation_aborted};
        }
    }
    if (end_ && !answered_) {
        log_.info("an outgoing call was not placed", log::kv("why", end_->detail));
        co_return session_.failure();
    }
    co_return Result<void>{};
}

asio::awaitable<Result<void>> OpensipsTransport::wait_for_answer() {
    while (!answered_ && !end_) {
        if (!co_await wait_for_news()) co_return error_code{asio::error::operation_aborted};
    }
    if (answered_) co_return Result<void>{};
    log_.info("an outgoing call was not answered", log::kv("why", end_->detail));
    if (session_.failure()) co_return session_.failure();
    co_return CallControlErrc::unavailable;
}

asio::awaitable<Result<void>> OpensipsTransport::connect() {
    if (info().outgoing) {
        const auto answered = co_await wait_for_answer();
        co_return answered;
    }
    // A caller whose address is unknown or a name is reached as OpenSIPS is.
    const auto address = rtp::local_address(rtp_, {session_.caller_address(), config_.mi_ip});
    session_.answer(rtp::local_media(address, leg_->port()));
    run_actions();
    while (!answered_ && !end_) {
        if (!co_await changed_.wait()) co_return error_code{asio::error::operation_aborted};
    }
    if (end_) {
        if (end_->reason == EndReason::carrier_lost) co_return OpensipsErrc::no_answer;
        co_return OpensipsErrc::gone;
    }
    co_return Result<void>{};
}

asio::awaitable<void> OpensipsTransport::reject(int status, std::string reason) {
    if (status < 300 || status > 699) status = 480;
    session_.reject(status, reason.empty() ? usual_reason(status) : std::string_view{reason});
    run_actions();
    co_await finish();
}

asio::awaitable<void> OpensipsTransport::hang_up() {
    session_.hang_up();
    run_actions();
    co_await finish();
}

/// Waits until OpenSIPS has been told; bounded by the attempts and the timeout of our requests.
/// What is cut short here is sent by the destructor's leftovers.
asio::awaitable<void> OpensipsTransport::finish() {
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    while (!session_.finished())
        co_await changed_.wait();
}

CallControls OpensipsTransport::controls() const noexcept {
    return {.transfer = true, .attended_transfer = false, .hold = true, .send_digits = true};
}

template <class Done>
asio::awaitable<Result<void>> OpensipsTransport::outcome(std::optional<Done>& done) {
    while (!done && !end_) {
        if (!co_await changed_.wait()) co_return error_code{asio::error::operation_aborted};
    }
    if (!done) co_return CallControlErrc::gone;
    if (done->ok) co_return Result<void>{};
    co_return call_control_errc(done->status);
}

asio::awaitable<Result<void>> OpensipsTransport::transfer(std::string target) {
    transfer_done_.reset();
    if (const auto begun = session_.transfer(target, Clock::now()); !begun) co_return begun.error();
    run_actions();
    const auto done = co_await outcome(transfer_done_);
    co_return done;
}

asio::awaitable<Result<void>> OpensipsTransport::hold(bool held) {
    if (session_.holds() == held) co_return Result<void>{};
    hold_done_.reset();
    if (const auto begun = session_.hold(held, Clock::now()); !begun) co_return begun.error();
    run_actions();
    const auto done = co_await outcome(hold_done_);
    co_return done;
}

asio::awaitable<Result<void>> OpensipsTransport::send_digits(std::string digits) {
    if (pressing_) co_return CallControlErrc::wrong_state;
    pressing_ = true;
    const auto done = co_await press_all(digits);
    pressing_ = false;
    co_return done;
}

asio::awaitable<Result<void>> OpensipsTransport::press_all(std::string_view digits) {
    for (const char digit : digits) {
        if (digit == 'w') {
            async::Signal never{shard_.executor()};
            if (!co_await never.wait_until(Clock::now() + key_wait)) {
                co_return error_code{asio::error::operation_aborted};
            }
            continue;
        }
        if (end_) co_return CallControlErrc::gone;
        if (leg_->takes_digits()) {
            const auto pressed = co_await rtp::press_key(*leg_, digit);
            if (!pressed) co_return pressed.error();
            continue;
        }
        key_done_.reset();
        if (const auto begun = session_.press(digit, Clock::now()); !begun) {
            co_return begun.error();
        }
        run_actions();
        const auto done = co_await outcome(key_done_);
        if (!done) co_return done;
    }
    co_return Result<void>{};
}

asio::awaitable<MediaEnd> OpensipsTransport::receive_audio(MediaSink& sink) {
    if (!answered_ && !end_) co_return MediaEnd{EndReason::protocol_error, "not answered"};
    if (end_) co_return *end_;
    sink_ = &sink;
    leg_->attach(sink);
    if (held_) sink.on_hold(true);
    while (!end_) {
        if (!co_await changed_.wait()) break;
    }
    leg_->detach();
    sink_ = nullptr;
    if (!end_) co_return MediaEnd{EndReason::we_hung_up, "cancelled"};
    co_return *end_;
}

void OpensipsTransport::on_event(const UaEvent& event) {
    session_.on_event(event, Clock::now());
    run_actions();
}

void OpensipsTransport::on_mi(std::uint32_t token, const MiOutcome& outcome) {
    session_.on_mi(token, outcome, Clock::now());
    run_actions();
    if (session_.finished()) changed_.notify();
}

void OpensipsTransport::on_lost(std::string reason) {
    session_.on_lost(std::move(reason));
    run_actions();
    changed_.notify();
}

void OpensipsTransport::on_media_timeout() noexcept {
    session_.give_up(EndReason::media_timeout, "no RTP came");
    run_actions();
}

void OpensipsTransport::on_leg_tick(TimePoint now) noexcept {
    if (const auto deadline = session_.next_deadline(); deadline && now >= *deadline) {
        session_.on_time(now);
        run_actions();
    }
    if (leg_->is_pinned() != pin_reported_) {
        pin_reported_ = leg_->is_pinned();
        if (pin_reported_) {
            const auto where = net::to_string(*leg_->remote());
            log_.debug("caller's media address learned", log::kv("address", log::pii(where)));
        }
    }
}

void OpensipsTransport::on_rtp_digit(char digit) noexcept { press(digit, DigitSource::rtp_event); }

void OpensipsTransport::press(char digit, DigitSource source) noexcept {
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

void OpensipsTransport::media_changed(const sip::NegotiatedAudio& audio) {
    leg_->apply(audio);
    rtp::log_agreement(log_, audio, leg_->port());
    const bool held = leg_->is_held();
    if (held == held_) return;
    held_ = held;
    if (sink_ != nullptr) sink_->on_hold(held);
}

void OpensipsTransport::run_actions() {
    bool notify = false;
    while (auto action = session_.next_action()) {
        if (auto* send = std::get_if<UaSession::SendMi>(&*action)) {
            exchange_.send_mi(number_, send->token, std::move(send->command));
            continue;
        }
        notify = true;
        if (const auto* answered = std::get_if<UaSession::Answered>(&*action)) {
            media_changed(answered->audio);
            answered_ = true;
        } else if (std::holds_alternative<UaSession::Placed>(*action)) {
            log_.debug("OpenSIPS has sent our INVITE", log::kv("native_id", session_.key()));
        } else if (std::holds_alternative<UaSession::Ringing>(*action)) {
            ringing_ = true;
        } else if (const auto* changed = std::get_if<UaSession::MediaChanged>(&*action)) {
            media_changed(changed->audio);
        } else if (const auto* digit = std::get_if<UaSession::Digit>(&*action)) {
            press(digit->digit, DigitSource::sip_info);
        } else if (const auto* done = std::get_if<UaSession::TransferDone>(&*action)) {
            transfer_done_ = *done;
        } else if (const auto* held = std::get_if<UaSession::HoldDone>(&*action)) {
            hold_done_ = *held;
        } else if (const auto* key = std::get_if<UaSession::KeyDone>(&*action)) {
            key_done_ = *key;
        } else if (auto* over = std::get_if<UaSession::CallOver>(&*action)) {
            end_ = std::move(over->end);
        }
    }
    if (notify) changed_.notify();
}

}  // namespace oavc::transports::opensips
