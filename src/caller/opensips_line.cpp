#include "caller/opensips_line.hpp"

#include "async/deadline.hpp"
#include "base/bytes.hpp"

#include <fmt/format.h>

#include <utility>

namespace oavc::caller {

namespace {

constexpr std::size_t max_mi_request = 65'457;  // OpenSIPS reads no more

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
      subscribed_{shard.executor()},
      called_{shard.executor()} {
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
    for (auto& outcome : opensips_.take_outcomes())
        on_outcome(std::move(outcome));
    for (const auto& event : opensips_.take_events()) {
        const auto colon = event.to.rfind(':');
        const int port =
            std::atoi(event.to.c_str() + colon + 1);  // NOLINT(cert-err34-c): 0 is refused
        const auto to =
            net::parse_endpoint(event.to.substr(0, colon), static_cast<std::uint16_t>(port));
        if (to.has_value() && port > 0) events_->send_to(as_bytes(event.data), *to);
    }
}

void OpenSipsBox::on_outcome(FakeOpenSips::Outcome outcome) {
    using Kind = FakeOpenSips::Outcome::Kind;
    if (outcome.kind == Kind::called) {
        opensips_.ring(outcome.key, Clock::now());
        calls_.push_back(std::move(outcome));
        called_.notify();
        return;
    }
    if (outcome.kind == Kind::cancelled) {
        ++cancelled_;
        std::erase_if(calls_, [&](const auto& call) { return call.key == outcome.key; });
    }
    const auto line = lines_.find(outcome.key);
    if (line != lines_.end()) line->second->on_outcome(outcome);
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

asio::awaitable<std::optional<FakeOpenSips::Outcome>> OpenSipsBox::next_call(Clock::duration limit
) {
    const TimePoint deadline = Clock::now() + limit;
    while (calls_.empty()) {
        const TimePoint now = Clock::now();
        if (now >= deadline) co_return std::nullopt;
        using namespace asio::experimental::awaitable_operators;
        co_await (called_.wait() || async::sleep_for(deadline - now));
        const auto state = co_await asio::this_coro::cancellation_state;
        if (state.cancelled() != asio::cancellation_type::none) co_return std::nullopt;
    }
    auto call = std::move(calls_.front());
    calls_.pop_front();
    co_return call;
}

std::unique_ptr<OpenSipsLine> OpenSipsBox::make_line() {
    auto rtp = bind_or_throw(shard_, config_.rtp_ip, 0, 2048, "No UDP port is left for RTP.");
    return std::make_unique<OpenSipsLine>(*this, std::move(rtp), OpenSipsLine::Part::caller);
}

std::unique_ptr<OpenSipsLine> OpenSipsBox::make_callee() {
    auto rtp = bind_or_throw(shard_, config_.rtp_ip, 0, 2048, "No UDP port is left for RTP.");
    return std::make_unique<OpenSipsLine>(*this, std::move(rtp), OpenSipsLine::Part::callee);
}

OpenSipsLine::OpenSipsLine(OpenSipsBox& box, std::unique_ptr<net::UdpSocket> rtp, Part part)
    : box_{box}, part_{part}, phone_{std::move(rtp)}, changed_{box.shard_.executor()} {}

OpenSipsLine::~OpenSipsLine() { box_.lines_.erase(key_); }

asio::awaitable<Dialled> OpenSipsLine::dial(Ear& ear) {
    ear_ = &ear;
    phone_.listen(ear);
    if (part_ == Part::callee) {
        auto taken = co_await await_call();
        co_return taken;
    }
    FakeOpenSips::Invite invite;
    invite.from_user = box_.config_.from;
    invite.to_user = box_.config_.to;
    invite.host = box_.config_.rtp_ip;
    invite.sdp = make_sdp_offer(box_.config_.rtp_ip, phone_.port(), sdp_version_);
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

asio::awaitable<Dialled> OpenSipsLine::await_call() {
    Dialled nothing;
    const auto call = co_await box_.next_call(box_.config_.call_limit);
    if (!call) {
        nothing.what = "nobody called within the time limit";
        co_return nothing;
    }
    invited_ = Clock::now();
    key_ = call->key;
    box_.lines_[key_] = this;
    const auto offer = parse_sdp_answer(call->body);
    dialled_ = offer.has_value() ? begin_media(*offer) : nothing;
    if (!dialled_->answered) {
        if (offer.has_error()) dialled_->what = "the offer has no audio in G.711";
        box_.opensips_.refuse(key_, 488, "Not Acceptable Here", Clock::now());
        over_ = true;
    } else {
        box_.opensips_.answer(
            key_,
            make_sdp_answer(box_.config_.rtp_ip, phone_.port(), offer->payload_type),
            Clock::now()
        );
    }
    box_.flush();
    co_return *dialled_;
}

/// What is answered, once it is known where their audio goes; else why not.
Dialled OpenSipsLine::begin_media(const SdpAnswer& theirs) {
    Dialled dialled;
    dialled.at = Clock::now();
    dialled.setup = std::chrono::duration_cast<microseconds>(dialled.at - invited_);
    const auto remote = net::parse_endpoint(theirs.address, theirs.port);
    if (remote.has_error()) {
        dialled.what = fmt::format("the answer's address '{}' is none", theirs.address);
        return dialled;
    }
    phone_.begin(media::PayloadType{theirs.payload_type}, *remote);
    dialled.answered = true;
    dialled.what = phone_.description();
    return dialled;
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
            const auto answer = parse_sdp_answer(outcome.body);
            if (answer.has_error()) {
                dialled_.emplace();
                dialled_->what = answer.error().what;
                break;
            }
            dialled_ = begin_media(*answer);
            if (dialled_->answered) box_.opensips_.ack(key_);
            break;
        }
        case Kind::request_answered: {
            if (digits_.empty()) return;
            const char digit = digits_.front();
            digits_.erase(0, 1);
            press(digit);
            return;
        }
        case Kind::cancelled:
            over_ = true;
            break;
        case Kind::hung_up:
        case Kind::transfer: {
            if (outcome.kind == Kind::transfer) transferred_to_ = outcome.body;
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
        case Kind::held:
            holds_.push_back(outcome.body);
            break;
        case Kind::key:
            keys_ += outcome.body;
            break;
        case Kind::reinvite_answered:
        case Kind::reinvite_rejected:
        case Kind::called:
            break;
    }
    changed_.notify();
}

void OpenSipsLine::send(TimePoint now, media::Samples frame) noexcept {
    if (!over_) phone_.send(now, frame);
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
            box_.config_.rtp_ip, phone_.port(), ++sdp_version_, held ? "sendonly" : "sendrecv"
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

}  // namespace oavc::caller
