#include "transports/opensips/subscription.hpp"

#include "transports/opensips/event_protocol.hpp"

#include <algorithm>
#include <utility>

namespace oavc::transports::opensips {

Subscription::Subscription(Settings settings)
    : settings_{std::move(settings)}, back_off_{settings_.retry} {}

milliseconds Subscription::renew_period() const noexcept {
    const milliseconds third = std::chrono::duration_cast<milliseconds>(settings_.expire) / 3;
    return std::clamp(third, milliseconds{300}, settings_.longest_period);
}

void Subscription::start(TimePoint now) { begin_round(now); }

void Subscription::begin_round(TimePoint now) {
    deadline_.reset();
    round_began_ = now;
    send(
        Step::subscribing,
        event_subscribe(ua_session_event, settings_.socket, settings_.expire.count())
    );
}

void Subscription::send(Step step, MiCommand command) {
    step_ = step;
    actions_.push_back(SendMi{++token_, std::move(command)});
}

void Subscription::on_mi(std::uint32_t token, const MiOutcome& outcome, TimePoint now) {
    if (step_ == Step::idle || token != token_) return;
    if (step_ == Step::listing) {
        // A list that does not fit a datagram is answered with a bare 500: we go without it.
        if (outcome.response && outcome.response->ok) {
            actions_.push_back(Sessions{round_began_, outcome.response->sessions});
        }
        end_round(now);
        return;
    }
    if (!outcome.response) return fail("no answer", now);
    if (step_ == Step::subscribing) {
        if (!outcome.response->ok) return fail(outcome.response->message, now);
        send(Step::asking_uptime, uptime());
        return;
    }
    // Uptime is asked after subscribing: if OpenSIPS was restarted in between, its events do not
    // come, so the next round follows at once.
    if (restarted(*outcome.response)) {
        actions_.push_back(CallsLost{round_began_, "OpenSIPS was restarted"});
        list_wanted_ = true;
        up_ = false;
        if (!std::exchange(restart_seen_, true)) return begin_round(now);
    }
    restart_seen_ = false;
    last_success_ = now;
    if (!up_ || said_down_) {
        up_ = true;
        said_down_ = false;
        list_wanted_ = true;
        actions_.push_back(Up{});
    }
    if (++rounds_ % settings_.rounds_per_list == 0 || list_wanted_) {
        list_wanted_ = false;
        send(Step::listing, ua_session_list());
        return;
    }
    end_round(now);
}

bool Subscription::restarted(const MiResponse& response) {
    const bool other_start =
        !up_since_.empty() && !response.up_since.empty() && response.up_since != up_since_;
    const bool clock_back =
        up_seconds_ && response.up_seconds && *response.up_seconds < *up_seconds_;
    if (!response.up_since.empty()) up_since_ = response.up_since;
    if (response.up_seconds) up_seconds_ = response.up_seconds;
    return other_start || clock_back;
}

void Subscription::end_round(TimePoint now) {
    step_ = Step::idle;
    back_off_ = settings_.retry;
    deadline_ = now + renew_period();
}

void Subscription::fail(std::string reason, TimePoint now) {
    step_ = Step::idle;
    list_wanted_ = true;
    if (!std::exchange(said_down_, true)) actions_.push_back(Down{std::move(reason)});
    // After `expire` without an answer no event can come any more, not even of a BYE.
    if (up_ && last_success_ && now - *last_success_ >= settings_.expire) {
        up_ = false;
        actions_.push_back(CallsLost{now, "OpenSIPS has not answered for too long"});
    }
    deadline_ = now + back_off_;
    back_off_ = std::min(back_off_ * 2, settings_.longest_retry);
}

void Subscription::on_time(TimePoint now) {
    if (step_ == Step::idle && deadline_ && now >= *deadline_) begin_round(now);
}

MiCommand Subscription::unsubscribe() const {
    return event_subscribe(ua_session_event, settings_.socket, 0);
}

std::optional<Subscription::Action> Subscription::next_action() {
    if (actions_.empty()) return std::nullopt;
    auto action = std::move(actions_.front());
    actions_.pop_front();
    return action;
}

}  // namespace oavc::transports::opensips
