// Calls that we make: those that somebody asked for, and those that ask the target of a transfer.
#include "sip/bodies.hpp"
#include "transports/sip/detail/sip_listener_impl.hpp"

#include <boost/asio/error.hpp>

#include <utility>

namespace oavc::transports::sip_ua {

using sip::Call;

namespace {

/// RFC 3261 §26.2.2: nothing is asked of a SIPS URI over a hop without TLS.
bool may_go(const std::string& uri, const sip::Target& next_hop) {
    return !sip::is_sips(uri) || next_hop.protocol == sip::Protocol::tls;
}

}  // namespace

asio::awaitable<Result<Dialled>> SipListener::Impl::dial(async::Shard& shard, DialRequest request) {
    if (!started || !accepting.load()) co_return CallControlErrc::unavailable;
    const auto dialling = std::make_shared<Dialling>(shard);
    home.post([this, dialling, request = std::move(request)] { begin_dial(dialling, request); });
    while (!dialling->outcome) {
        if (co_await dialling->changed.wait()) continue;
        home.post([this, dialling] { give_up(dialling->number); });
        co_return error_code{asio::error::operation_aborted};
    }
    co_return *dialling->outcome;
}

void SipListener::Impl::settle(const std::shared_ptr<Dialling>& dialling, Result<Dialled> outcome) {
    dialling->shard.post([dialling, outcome = std::move(outcome)] {
        dialling->outcome = outcome;
        dialling->changed.notify();
    });
}

void SipListener::Impl::settle(Entry& entry, CallControlErrc error) {
    if (entry.dialling) settle(std::exchange(entry.dialling, nullptr), Result<Dialled>{error});
}

void SipListener::Impl::give_up(std::uint64_t number) {
    auto* call = stopping ? nullptr : agent->call(number);
    if (call == nullptr) return;
    call->hang_up(Clock::now());
    agent->touched(number, Clock::now());
    run();
}

void SipListener::Impl::begin_dial(
    const std::shared_ptr<Dialling>& dialling, const DialRequest& request
) {
    const auto fail = [&](CallControlErrc error) { settle(dialling, Result<Dialled>{error}); };
    if (stopping || !proxy) return fail(CallControlErrc::unavailable);
    const auto to = uri_of(request.to);
    const auto from = uri_of(caller(request.from));
    if (!to || !from || !may_go(*to, *proxy)) return fail(CallControlErrc::bad_target);
    auto slot = handler.admit({request.from, true});
    if (!slot) return fail(CallControlErrc::no_capacity);
    auto& call = agent->dial({*to, *from, *proxy});
    const auto number = call.number();
    auto& entry = entries[number];
    if (!give_ports(call, entry)) {
        call.hang_up(Clock::now());
        agent->touched(number, Clock::now());
        run();
        return fail(CallControlErrc::no_capacity);
    }
    dialling->number = number;
    entry.dialling = dialling;
    entry.slot = std::move(*slot);
    entry.info.via = "sip";
    entry.info.native_id = call.dialog().call_id;
    entry.info.from = sip::parse_uri(*from)->address();
    entry.info.to = request.to;
    entry.info.parameters = request.parameters;
    entry.info.outgoing = true;
    entry.info.agent = request.agent;
    entry.info.id = request.id;
    ++stats.calls;
    wait_for_answer(number, entry, request.patience);
    call.start(entry.local, Clock::now());
    agent->touched(number, Clock::now());
    run();
}

std::string SipListener::Impl::caller(const std::string& wanted) const {
    for (const auto& who : {wanted, config.from, config.username}) {
        if (!who.empty()) return who;
    }
    return "oavc";
}

/// A SIP URI; numbers and users belong to the proxy's domain, or the registrar's.
std::optional<std::string> SipListener::Impl::uri_of(const std::string& who) const {
    const auto domain = sip::parse_uri(config.registrar.empty() ? config.proxy : config.registrar);
    auto uri = sip::complete_target(who, domain->host);
    const auto parsed = uri ? sip::parse_uri(*uri) : Result<sip::Uri>{CallControlErrc::bad_target};
    if (!parsed) return std::nullopt;
    if (parsed->scheme == "tel") return "sip:" + parsed->user + "@" + domain->host + ";user=phone";
    return uri;
}

bool SipListener::Impl::give_ports(const Call& call, Entry& entry) {
    auto pair = ports.allocate(Clock::now());
    if (!pair) return false;
    entry.own_port = pair->port();
    entry.ports = std::move(*pair);
    entry.local = local_media(call, entry.own_port);
    return true;
}

void SipListener::Impl::wait_for_answer(
    std::uint64_t number, Entry& entry, Clock::duration patience
) {
    entry.patience = std::make_unique<boost::asio::steady_timer>(home.context(), patience);
    entry.patience->async_wait([this, number](const error_code& error) {
        if (error || stopping) return;
        const auto* call = agent->call(number);
        if (call != nullptr && !call->is_established()) give_up(number);
    });
}

/// False: nobody else needs to hear of it.
bool SipListener::Impl::on_dialling_event(
    std::uint64_t number, Entry& entry, const Call::Action& action
) {
    if (const auto* over = std::get_if<Call::Over>(&action)) {
        const bool refused = over->end == sip::CallEnd::refused;
        settle(entry, refused ? call_control_errc(over->status) : CallControlErrc::no_answer);
        entry.slot = {};
        return false;
    }
    const auto dialling = std::exchange(entry.dialling, nullptr);
    settle(dialling, Dialled{"sip", entry.info.native_id});
    entry.own_port = 0;  // the transport's now
    hand_over(number, std::move(entry.info), std::move(entry.ports), std::move(entry.slot));
    return true;
}

// --- Attended transfer: the target is asked in a call of its own (RFC 5589 §7.3).

Result<void> SipListener::Impl::consult(
    std::uint64_t number, Call& call, Entry& entry, const AttendedTransfer& wish
) {
    if (!call.is_established() || entry.consult != 0) return CallControlErrc::wrong_state;
    const auto uri =
        proxy ? uri_of(wish.target) : sip::complete_target(wish.target, host_of_peer(call));
    if (!uri) return CallControlErrc::bad_target;
    const auto us = sip::parse_name_address(call.dialog().local);
    if (!us || !may_go(*uri, proxy ? *proxy : call.peer())) return CallControlErrc::bad_target;
    auto& asking = agent->dial({*uri, us->uri.text, proxy ? *proxy : call.peer()});
    const auto other = asking.number();
    const auto now = Clock::now();
    auto& made = entries[other];
    auto& held = entries.at(number);  // the table may have moved
    if (!give_ports(asking, made)) {
        entries.erase(other);
        asking.hang_up(now);
        agent->touched(other, now);
        return CallControlErrc::no_capacity;
    }
    made.consults_for = number;
    held.consult = other;
    held.resume = false;
    held.swallow_hold = call.hold(true, now);
    wait_for_answer(other, made, wish.patience);
    asking.start(made.local, now);
    agent->touched(other, now);
    return {};
}

void SipListener::Impl::on_consult_event(
    std::uint64_t other, Entry& asking, const Call::Action& action
) {
    const auto number = asking.consults_for;
    const auto held = entries.find(number);
    auto* call = agent->call(number);
    const bool waited_for =
        held != entries.end() && held->second.consult == other && call != nullptr;
    const auto fail = [&](CallControlErrc error) {
        held->second.consult = 0;
        resume(number, held->second);
        tell(number, Event{Refused{error}});
    };
    if (const auto* over = std::get_if<Call::Over>(&action)) {
        if (!waited_for) return;
        if (over->end == sip::CallEnd::remote_hung_up) return;  // the REFER's outcome tells why
        const bool refused = over->end == sip::CallEnd::refused;
        fail(refused ? call_control_errc(over->status) : CallControlErrc::no_answer);
    } else if (std::holds_alternative<Call::Answered>(action) && waited_for) {
        const auto* answered = agent->call(other);
        const auto now = Clock::now();
        if (answered == nullptr ||
            !call->transfer(answered->dialog().remote_target, answered->replaces(), now)) {
            end_consult(held->second);
            return fail(CallControlErrc::wrong_state);
        }
        agent->touched(number, now);
    }
}

void SipListener::Impl::end_consult(Entry& entry) {
    const auto other = std::exchange(entry.consult, 0);
    if (auto* asking = agent->call(other)) {
        asking->hang_up(Clock::now());
        agent->touched(other, Clock::now());
    }
}

/// The transfer came to nothing: the caller is ours again.
void SipListener::Impl::resume(std::uint64_t number, Entry& entry) {
    if (entry.swallow_hold) {
        entry.resume = true;  // the hold is still under way
    } else {
        resume_later(number);
    }
}

void SipListener::Impl::resume_later(std::uint64_t number) {
    home.post([this, number] {
        auto* call = stopping ? nullptr : agent->call(number);
        const auto entry = entries.find(number);
        if (call == nullptr || entry == entries.end()) return;
        entry->second.swallow_hold = call->hold(false, Clock::now());
        agent->touched(number, Clock::now());
        run();
    });
}

}  // namespace oavc::transports::sip_ua
