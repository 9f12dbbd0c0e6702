// What OpenSIPS and we hold of each other: the subscription, and its list of sessions beside our
// table of calls.
#include "transports/opensips/detail/opensips_listener_impl.hpp"

#include <fmt/format.h>

#include <chrono>
#include <utility>

namespace oavc::transports::opensips {

namespace {

/// What the list and our table disagree on is looked at again after this: an event may be under
/// way.
constexpr milliseconds settle_time{300};
/// An INVITE that waited longer than this is not answered any more: nobody listens there.
constexpr std::chrono::seconds longest_wait{60};
/// For so long we remember a call that ended, lest a list taken meanwhile brings it back.
constexpr std::chrono::seconds remember_ended{30};
constexpr std::size_t max_remembered = 65'536;

}  // namespace

void OpensipsListener::Impl::run_subscription() {
    while (auto action = subscription->next_action()) {
        if (auto* send = std::get_if<Subscription::SendMi>(&*action)) {
            mi->send(send->command, [this, token = send->token](const MiOutcome& outcome) {
                if (stopping) return;
                subscription->on_mi(token, outcome, Clock::now());
                run_subscription();
            });
        } else if (std::holds_alternative<Subscription::Up>(*action)) {
            log.info("subscribed to the events of OpenSIPS", log::kv("mi", mi_address()));
        } else if (const auto* down = std::get_if<Subscription::Down>(&*action)) {
            log.warn(
                "OpenSIPS does not let us subscribe; trying on",
                log::kv("mi", mi_address()),
                log::kv("why", down->reason)
            );
        } else if (const auto* lost = std::get_if<Subscription::CallsLost>(&*action)) {
            lose_calls(lost->before, lost->reason);
        } else if (auto* list = std::get_if<Subscription::Sessions>(&*action)) {
            compare(*list);
        }
    }
    if (const auto deadline = subscription->next_deadline(); deadline && !stopping) {
        subscription_timer.expires_at(*deadline);
        subscription_timer.async_wait([this](const error_code& error) {
            if (error || stopping) return;
            subscription->on_time(Clock::now());
            run_subscription();
        });
    }
}

std::string OpensipsListener::Impl::mi_address() const {
    return fmt::format("{}:{}", config.mi_ip, config.mi_port);
}

void OpensipsListener::Impl::lose_calls(TimePoint before, const std::string& reason) {
    std::size_t count = 0;
    for (const auto& [key, entry] : calls) {
        if (entry.began >= before) continue;
        ++count;
        lose(entry, reason);
    }
    if (count > 0) log.warn("calls lost", log::kv("calls", count), log::kv("why", reason));
}

void OpensipsListener::Impl::lose(const Entry& entry, const std::string& reason) {
    ++stats.calls_lost;
    living->to_call(entry.number.value, [reason](OpensipsTransport& transport) {
        transport.on_lost(reason);
    });
}

void OpensipsListener::Impl::forget_old() {
    std::erase_if(ended, [now = Clock::now()](const auto& entry) {
        return now - entry.second > remember_ended;
    });
}

void OpensipsListener::Impl::remember(const std::string& key, TimePoint now) {
    if (ended.size() >= max_remembered) forget_old();
    if (ended.size() < max_remembered) ended[key] = now;
}

/// Notes what OpenSIPS's list and our table disagree on; events that are under way may settle
/// it.
void OpensipsListener::Impl::compare(const Subscription::Sessions& list) {
    forget_old();
    to_adopt.clear();
    missing.clear();
    std::set<std::string> listed;
    for (const auto& session : list.sessions) {
        listed.insert(session.key);
        // Whoever we called may have chosen a To tag that looks like a key of an incoming call.
        if (calls.contains(session.call_id)) {
            listed.insert(session.call_id);
            continue;
        }
        if (session.outgoing || calls.contains(session.key) || ended.contains(session.key))
            continue;
        const bool waiting = session.state >= session_new && session.state <= session_early;
        if (waiting || session.state == session_terminated) to_adopt.emplace(session.key, session);
    }
    if (list.sessions.size() < max_listed_sessions) {
        for (const auto& [key, entry] : calls) {
            if (entry.began < list.asked && !listed.contains(key))
                missing.emplace(key, entry.number);
        }
    }
    if (to_adopt.empty() && missing.empty()) return;
    settle_timer.expires_after(settle_time);
    settle_timer.async_wait([this](const error_code& error) {
        if (!error && !stopping) settle();
    });
}

void OpensipsListener::Impl::settle() {
    for (const auto& [key, number] : missing) {
        const auto entry = calls.find(key);
        if (entry == calls.end() || entry->second.number != number) continue;
        log.warn("OpenSIPS has ended a call without telling", log::kv("call", key));
        lose(entry->second, "OpenSIPS does not list the session any more");
    }
    missing.clear();
    const auto waiting = std::exchange(to_adopt, {});
    for (const auto& [key, session] : waiting)
        adopt(session);
}

/// A session that came while nobody listened.
void OpensipsListener::Impl::adopt(const MiSession& session) {
    if (calls.contains(session.key) || ended.contains(session.key)) return;
    const auto wall = std::chrono::duration_cast<std::chrono::seconds>(
                          std::chrono::system_clock::now().time_since_epoch()
    )
                          .count();
    if (session.state == session_terminated) {
        // Cancelled: its INVITE still waits for the 487.
        remember(session.key, Clock::now());
        add_chore(
            {ua_session_reply(session.key, "INVITE", 487, "Request Terminated"),
             ua_session_terminate(session.key)}
        );
        return;
    }
    if (session.created() != 0 && wall - session.created() > longest_wait.count()) {
        remember(session.key, Clock::now());
        UaSession late{session, {}};
        late.reject(480, "Temporarily Unavailable");
        add_chore(late.take_leftovers());
        return;
    }
    ++stats.adopted;
    log.info(
        "answering a call that came while we were not subscribed", log::kv("call", session.key)
    );
    offer_call(UaSession{session, call_settings});
}

}  // namespace oavc::transports::opensips
