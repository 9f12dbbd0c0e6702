// Calls that we place through OpenSIPS.
#include "sip/headers.hpp"
#include "transports/opensips/detail/opensips_listener_impl.hpp"

#include <boost/asio/error.hpp>

#include <fmt/format.h>

#include <utility>

namespace oavc::transports::opensips {

namespace {

/// The other side of an outgoing call may ring without telling; after this nobody is asked instead.
constexpr Clock::duration first_sign = 6s;
constexpr std::size_t most_unclaimed = 256;
constexpr std::size_t most_early_events = 8;

}  // namespace

asio::awaitable<Result<Dialled>> OpensipsListener::Impl::dial(
    async::Shard& shard, DialRequest request
) {
    if (!accepting.load() || !started) co_return CallControlErrc::unavailable;
    auto call = outgoing_call(request);
    if (!call) co_return call.error();
    auto slot = handler.admit({request.from, true});
    if (!slot) co_return CallControlErrc::no_capacity;
    auto reserved = co_await reserve(shard);
    if (!reserved) co_return reserved.error();
    auto& [number, pair] = *reserved;
    auto transport = std::make_unique<OpensipsTransport>(
        shard,
        *this,
        config,
        media,
        number,
        UaSession{std::move(*call), call_settings},
        std::move(pair),
        log.with({log::kv("call", request.id)})
    );
    const auto placed = co_await transport->place(first_sign);
    if (!placed) co_return placed.error();
    Dialled dialled{"opensips", transport->info().native_id};
    living->spawn(number.value, handler.run_call(shard, std::move(transport), std::move(*slot)));
    co_return dialled;
}

/// Whom OpenSIPS is asked to call. Errors: bad_target, unavailable.
Result<OutgoingCall> OpensipsListener::Impl::outgoing_call(const DialRequest& request) const {
    const auto uri_of = [this](const std::string& party) -> Result<std::string> {
        if (sip::parse_uri(party) && party.starts_with("sip")) return party;
        const bool number =
            !party.empty() && party.find_first_not_of("+0123456789*#") == std::string::npos;
        if (!number) return CallControlErrc::bad_target;
        if (config.dial_domain.empty()) {
            log.error("cannot call a number: set [telephony.opensips] dial_domain");
            return CallControlErrc::unavailable;
        }
        return fmt::format("sip:{}@{}", party, config.dial_domain);
    };
    auto to = uri_of(request.to);
    if (!to) return to.error();
    auto from =
        request.from.empty()
            ? Result<std::string>{fmt::format(
                  "sip:oavc@{}", config.dial_domain.empty() ? config.mi_ip : config.dial_domain
              )}
            : uri_of(request.from);
    if (!from) return from.error();
    OutgoingCall call;
    call.info = call_info(request, "opensips", "", request.from);
    call.invite.request_uri = *to;
    call.invite.to = std::move(*to);
    call.invite.from = std::move(*from);
    call.invite.proxy = config.dial_proxy;
    call.invite.socket = config.dial_socket;
    call.patience = request.patience;
    return call;
}

asio::awaitable<Result<std::pair<CallNumber, rtp::RtpPortPair>>> OpensipsListener::Impl::reserve(
    async::Shard& shard
) {
    const auto reservation = std::make_shared<Reservation>(shard.executor());
    home.post([this, &shard, reservation] { allocate(shard, reservation); });
    while (!reservation->outcome) {
        if (!co_await reservation->ready.wait()) {
            reservation->abandoned = true;
            co_return error_code{asio::error::operation_aborted};
        }
    }
    co_return std::move(*reservation->outcome);
}

void OpensipsListener::Impl::allocate(
    async::Shard& shard, const std::shared_ptr<Reservation>& reservation
) {
    Result<std::pair<CallNumber, rtp::RtpPortPair>> outcome{
        error_code{CallControlErrc::unavailable}};
    if (stopping) {
        // Nobody is called any more.
    } else if (!subscription->is_up()) {
        log.warn("cannot place a call: OpenSIPS does not answer", log::kv("mi", mi_address()));
    } else if (auto pair = ports.allocate(Clock::now()); !pair) {
        log.warn("cannot place a call", log::kv("why", pair.error()));
        outcome = CallControlErrc::no_capacity;
    } else {
        const CallNumber number{next_number * shards.size() + shard.index()};
        ++next_number;
        placing.insert(number.value);
        outcome = std::pair{number, std::move(*pair)};
    }
    shard.post([this, reservation, o = std::move(outcome)]() mutable {
        if (!reservation->abandoned) {
            reservation->outcome = std::move(o);
            reservation->ready.notify();
        } else if (o) {
            const auto number = o->first;
            const auto port = o->second.port();
            o = error_code{CallControlErrc::gone};  // closes the sockets first
            call_ended(number, port, {});
        }
    });
}

/// OpenSIPS has told the key of a call that we place, or did not.
std::string OpensipsListener::Impl::learn_key(CallNumber call, const MiOutcome& outcome) {
    const bool awaited = placing.erase(call.value) > 0;
    if (!outcome.response || !outcome.response->ok) return {};
    const auto& key = outcome.response->message;
    if (!looks_like_key(key)) return {};
    if (!awaited) {  // given up meanwhile
        hang_up_orphan(key);
        return {};
    }
    ++stats.placed;
    calls.emplace(key, Entry{call, Clock::now()});
    keys.emplace(call.value, key);
    return key;
}

/// What came before the key; and what else is left when nobody waits for a key any more.
void OpensipsListener::Impl::replay_unclaimed(const std::string& key) {
    if (const auto found = unclaimed.find(key); found != unclaimed.end()) {
        auto events = std::move(found->second.events);
        unclaimed.erase(found);
        for (auto& event : events)
            on_event(std::move(event));
    }
    if (!placing.empty()) return;
    for (const auto& [other, waiting] : std::exchange(unclaimed, {}))
        hang_up_orphan(other);
}

/// An outgoing call that we do not know (yet).
void OpensipsListener::Impl::on_foreign_outgoing(UaEvent event) {
    const bool alive = event.type == UaEventType::early ||
                       (event.type == UaEventType::answered && event.method == "INVITE");
    if (ended.contains(event.key)) return;
    if (!placing.empty()) {
        if (unclaimed.size() >= most_unclaimed && !unclaimed.contains(event.key)) return;
        auto& events = unclaimed[event.key].events;
        if (events.size() < most_early_events) events.push_back(std::move(event));
    } else if (alive) {
        hang_up_orphan(event.key);
    }
}

/// A call that rings somewhere and belongs to nobody: an answer to our request got lost, or an
/// earlier process placed it.
void OpensipsListener::Impl::hang_up_orphan(const std::string& key) {
    if (!looks_like_key(key) || ended.contains(key)) return;
    ++stats.orphans;
    log.warn("hanging up an outgoing call that nobody waits for", log::kv("call", key));
    remember(key, Clock::now());
    add_chore({ua_session_terminate(key)});
}

}  // namespace oavc::transports::opensips
