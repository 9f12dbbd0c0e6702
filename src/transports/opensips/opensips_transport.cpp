#include "transports/opensips/opensips_transport.hpp"

#include "transports/errors.hpp"
#include "transports/rtp/local_address.hpp"
#include "transports/rtp/negotiation.hpp"
#include "transports/rtp/press_key.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>

#include <functional>
#include <utility>

namespace oavc::transports::opensips {

namespace {

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
    : exchange_{exchange},
      config_{config},
      rtp_{rtp},
      number_{number},
      log_{std::move(log)},
      session_{std::move(session)},
      changed_{shard.executor()} {
    rtp::CallMedia::Owner& owner = *this;
    media_.emplace(shard, std::move(ports), rtp_, owner, log_);
    exchange_.call_began(number_, *this);
}

OpensipsTransport::~OpensipsTransport() {
    const auto port = media_->leg().port();
    media_.reset();  // closes the sockets before the port is given back
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
    session_.place(rtp::local_media(address, media_->leg().port()), now);
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
    session_.answer(rtp::local_media(address, media_->leg().port()));
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
    bool go_on = true;
    while (go_on && !done && !end_)
        go_on = co_await changed_.wait();
    // First what came of it: a transfer's success also ends the call, and the session with it.
    if (done && done->ok) co_return Result<void>{};
    if (done) co_return call_control_errc(done->status);
    if (!go_on) co_return error_code{asio::error::operation_aborted};
    co_return CallControlErrc::gone;
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
    std::function<bool()> over = [this] { return end_.has_value(); };
    std::function<asio::awaitable<Result<void>>(char)> by_info = [this](char digit) {
        return press_by_info(digit);
    };
    const auto pressed = co_await rtp::press_keys(
        media_->leg(), std::move(digits), std::move(over), std::move(by_info)
    );
    pressing_ = false;
    co_return pressed;
}

asio::awaitable<Result<void>> OpensipsTransport::press_by_info(char digit) {
    key_done_.reset();
    if (const auto begun = session_.press(digit, Clock::now()); !begun) co_return begun.error();
    run_actions();
    const auto done = co_await outcome(key_done_);
    co_return done;
}

asio::awaitable<MediaEnd> OpensipsTransport::receive_audio(MediaSink& sink) {
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

void OpensipsTransport::on_media_tick(TimePoint now) noexcept {
    if (const auto deadline = session_.next_deadline(); deadline && now >= *deadline) {
        session_.on_time(now);
        run_actions();
    }
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
            media_->apply(answered->audio);
            answered_ = true;
        } else if (std::holds_alternative<UaSession::Placed>(*action)) {
            log_.debug("OpenSIPS has sent our INVITE", log::kv("native_id", session_.key()));
        } else if (std::holds_alternative<UaSession::Ringing>(*action)) {
            ringing_ = true;
        } else if (const auto* changed = std::get_if<UaSession::MediaChanged>(&*action)) {
            media_->apply(changed->audio);
        } else if (const auto* digit = std::get_if<UaSession::Digit>(&*action)) {
            media_->press(digit->digit, DigitSource::sip_info);
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
