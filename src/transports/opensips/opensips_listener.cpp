#include "transports/opensips/opensips_listener.hpp"

#include "async/signal.hpp"
#include "async/task_group.hpp"
#include "sip/headers.hpp"
#include "transports/errors.hpp"
#include "transports/opensips/event_protocol.hpp"
#include "transports/opensips/mi_client.hpp"
#include "transports/opensips/opensips_transport.hpp"
#include "transports/opensips/subscription.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_future.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace oavc::transports::opensips {

namespace {

namespace ip = boost::asio::ip;

/// What the list and our table disagree on is looked at again after this: an event may be under
/// way.
constexpr milliseconds settle_time{300};
/// An INVITE that waited longer than this is not answered any more: nobody listens there.
constexpr std::chrono::seconds longest_wait{60};
/// For so long we remember a call that ended, lest a list taken meanwhile brings it back.
constexpr std::chrono::seconds remember_ended{30};
constexpr std::size_t max_remembered = 65'536;
constexpr std::size_t event_buffer_bytes = 4 << 20;  ///< an event is sent once: none may be dropped
constexpr int chore_attempts = 3;
/// The other side of an outgoing call may ring without telling; after this nobody is asked instead.
constexpr Clock::duration first_sign = 6s;
constexpr std::size_t most_unclaimed = 256;
constexpr std::size_t most_early_events = 8;
constexpr std::size_t max_chores = 4096;

ip::address unmapped(const ip::address& address) {
    if (!address.is_v6() || !address.to_v6().is_v4_mapped()) return address;
    return ip::make_address_v4(ip::v4_mapped, address.to_v6());
}

/// OpenSIPS's own loopback or, for one elsewhere, the address that routes to it.
std::string advertised_socket(const Config& config, const net::UdpEndpoint& bound) {
    if (!config.event_advertised.empty()) return "udp:" + config.event_advertised;
    auto endpoint = bound;
    if (bound.address().is_unspecified()) {
        const auto opensips = net::parse_endpoint(config.mi_ip, config.mi_port);
        const auto ours = opensips ? net::source_address_towards(*opensips)
                                   : Result<ip::address>{opensips.error()};
        endpoint.address(ours ? *ours : ip::address{ip::address_v4::loopback()});
    }
    return "udp:" + net::to_string(endpoint);
}

}  // namespace

struct OpensipsListener::Impl final : Exchange, Dialer {
    /// A call as shard 0 knows it.
    struct Entry {
        CallNumber number;
        std::size_t shard;
        TimePoint began;
    };
    /// What lives on one shard; touched only there.
    struct ShardCalls {
        std::unordered_map<std::uint64_t, OpensipsTransport*> calls;
        std::unique_ptr<async::TaskGroup> tasks;
    };
    /// A number and ports for a call to be placed, on their way from shard 0. Thread: the call's.
    struct Reservation {
        explicit Reservation(asio::any_io_executor executor) : ready{std::move(executor)} {}
        async::Signal ready;
        std::optional<Result<std::pair<CallNumber, rtp::RtpPortPair>>> outcome;
        bool abandoned{false};
    };
    /// Events of an outgoing call whose key OpenSIPS has not told us yet: the two are not ordered.
    struct Unclaimed {
        std::vector<UaEvent> events;
    };
    /// Requests that must still be sent, one after another, whatever the answers.
    struct Chore {
        std::vector<MiCommand> commands;
        std::size_t next{0};
        int attempts{0};
    };

    Impl(
        Config c,
        rtp::Config m,
        rtp::RtpPorts& p,
        async::ShardPool& s,
        CallHandler& h,
        log::Logger l
    )
        : config{std::move(c)},
          media{std::move(m)},
          call_settings{media.media_preferences()},
          ports{p},
          shards{s},
          handler{h},
          log{std::move(l)},
          home{s[0]},
          subscription_timer{home.context()},
          settle_timer{home.context()},
          chores_done{home.executor()} {}

    // --- Start and stop; thread: the caller's.

    void start() {
        if (const auto problems = config.validate(); !problems.empty()) {
            throw std::runtime_error{
                fmt::format("[telephony.opensips] {}", fmt::join(problems, "; "))};
        }
        if (const auto problems = media.validate(); !problems.empty()) {
            throw std::runtime_error{fmt::format("[telephony.rtp] {}", fmt::join(problems, "; "))};
        }
        for (const auto& peer : config.allowed_peers) {
            allowed.insert(unmapped(ip::make_address(peer)));
        }
        const auto local = *net::parse_endpoint(config.event_ip, config.event_port);
        auto socket = net::UdpSocket::bind(home.executor(), local, 65535);
        if (!socket) throw std::runtime_error{cannot_bind(local, socket.error())};
        event_socket = std::move(*socket);
        event_socket->set_receive_buffer(event_buffer_bytes);

        const auto opensips = *net::parse_endpoint(config.mi_ip, config.mi_port);
        mi = std::make_unique<MiClient>(home.executor(), opensips, config.mi_timeout);
        if (const auto opened = mi->open(); !opened) {
            throw std::runtime_error{"no UDP socket for MI requests: " + opened.error().message()};
        }
        Subscription::Settings settings;
        settings.socket = advertised_socket(config, event_socket->local_endpoint());
        settings.expire = config.subscribe_expire;
        settings.retry = config.subscribe_retry;
        subscription.emplace(std::move(settings));

        for (std::size_t i = 0; i < shards.size(); ++i) {
            auto& there = shard_calls.emplace_back(std::make_unique<ShardCalls>());
            there->tasks = std::make_unique<async::TaskGroup>(
                shards[i].executor(), [this](std::exception_ptr error) { on_exception(error); }
            );
        }
        started = true;
        home.post([this] {
            event_socket->start([this](auto datagram, const auto& from) {
                on_datagram(datagram, from);
            });
            mi->start();
            subscription->start(Clock::now());
            run_subscription();
        });
    }

    std::string cannot_bind(const net::UdpEndpoint& local, const error_code& error) const {
        const auto where = net::to_string(local);
        if (error == boost::asio::error::address_in_use) {
            return fmt::format(
                "UDP {} is in use: another server runs there, or set [telephony.opensips] "
                "event_port "
                "to a free port",
                where
            );
        }
        return fmt::format(
            "cannot receive OpenSIPS events on UDP {}: {} (check [telephony.opensips] event_ip)",
            where,
            error.message()
        );
    }

    void on_exception(const std::exception_ptr& error) const {
        try {
            std::rethrow_exception(error);
        } catch (const std::exception& e) {
            log.error("a call ended by an exception", log::kv("what", std::string_view{e.what()}));
        } catch (...) {
            log.error("a call ended by an exception");
        }
    }

    /// Runs `task` on the shard and waits for it here.
    static void run_on(async::Shard& shard, asio::awaitable<void> task) {
        asio::co_spawn(shard.context(), std::move(task), asio::use_future).get();
    }

    asio::awaitable<void> end_calls(std::size_t shard) {
        shard_calls[shard]->tasks->cancel();
        co_await shard_calls[shard]->tasks->join();
    }

    /// The last requests of calls that ended, and our own: no more events.
    asio::awaitable<void> close_sockets() {
        subscription_timer.cancel();
        settle_timer.cancel();
        stopping = true;
        while (chores > 0)
            co_await chores_done.wait();
        if (subscription->is_up()) {
            add_chore({subscription->unsubscribe()}, 1);
            while (chores > 0)
                co_await chores_done.wait();
        }
        event_socket->close();
        mi->close();
    }

    asio::awaitable<void> release_shard(std::size_t shard) {
        shard_calls[shard]->tasks.reset();
        co_return;
    }

    void stop() {
        accepting.store(false);
        if (!started || stopped.exchange(true)) return;
        std::vector<std::future<void>> endings;
        for (std::size_t i = 0; i < shards.size(); ++i) {
            endings.push_back(asio::co_spawn(shards[i].context(), end_calls(i), asio::use_future));
        }
        for (auto& ending : endings) {
            ending.get();
        }
        // What a call on shard 0 posted to its own shard is queued only once its handler is done:
        // one message in between lets it pass.
        run_on(home, nothing());
        run_on(home, close_sockets());
        // Messages from shard 0 to the others and back may still be queued: let them pass.
        for (std::size_t i = 0; i < shards.size(); ++i)
            run_on(shards[i], release_shard(i));
        run_on(home, nothing());
    }

    static asio::awaitable<void> nothing() { co_return; }

    asio::awaitable<Stats> snapshot() {
        auto out = stats;
        out.mi_timeouts = mi->stats().timeouts;
        out.rtp_ports_in_use = ports.in_use();
        out.subscribed = subscription->is_up();
        co_return out;
    }

    // --- Exchange; thread: the call's shard.

    void call_began(CallNumber call, OpensipsTransport& transport) override {
        shard_calls[shard_of(call)]->calls.emplace(call.value, &transport);
    }

    void send_mi(CallNumber call, std::uint32_t token, MiCommand command) override {
        home.post([this, call, token, command = std::move(command)] {
            const bool placing_it = command.method == "ua_session_client_start";
            mi->send(command, [this, call, token, placing_it](const MiOutcome& outcome) {
                std::string key;
                if (placing_it) key = learn_key(call, outcome);
                to_call(call, [token, outcome](OpensipsTransport& transport) {
                    transport.on_mi(token, outcome);
                });
                if (placing_it) replay_unclaimed(key);
            });
        });
    }

    void call_ended(CallNumber call, std::uint16_t port, std::vector<MiCommand> leftovers)
        override {
        shard_calls[shard_of(call)]->calls.erase(call.value);
        home.post([this, call, port, leftovers = std::move(leftovers)]() mutable {
            const auto now = Clock::now();
            ports.release(port, now);
            placing.erase(call.value);
            if (const auto key = keys.find(call.value); key != keys.end()) {
                remember(key->second, now);
                calls.erase(key->second);
                keys.erase(key);
            }
            add_chore(std::move(leftovers));
        });
    }

    /// The number says where the call lives, so that no table is needed off shard 0.
    std::size_t shard_of(CallNumber call) const noexcept { return call.value % shards.size(); }

    /// Runs `f` with the call's transport on its shard, if it still is there.
    template <class F>
    void to_call(CallNumber call, F f) {
        const auto shard = shard_of(call);
        shards[shard].post([this, shard, call, f = std::move(f)]() mutable {
            const auto& living = shard_calls[shard]->calls;
            if (const auto found = living.find(call.value); found != living.end())
                f(*found->second);
        });
    }

    // --- Dialer; thread: the call's shard.

    asio::awaitable<Result<Dialled>> dial(async::Shard& shard, DialRequest request) override {
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
        shard_calls[shard.index()]->tasks->spawn(
            handler.run_call(shard, std::move(transport), std::move(*slot))
        );
        co_return dialled;
    }

    /// Whom OpenSIPS is asked to call. Errors: bad_target, unavailable.
    Result<OutgoingCall> outgoing_call(const DialRequest& request) const {
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

    asio::awaitable<Result<std::pair<CallNumber, rtp::RtpPortPair>>> reserve(async::Shard& shard) {
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

    // --- Everything below: shard 0.

    void allocate(async::Shard& shard, const std::shared_ptr<Reservation>& reservation) {
        Result<std::pair<CallNumber, rtp::RtpPortPair>> outcome{
            error_code{CallControlErrc::unavailable}};
        if (stopping) {
            // Nobody is called any more.
        } else if (!subscription->is_up()) {
            log.warn("cannot place a call: OpenSIPS does not answer", log::kv("mi", mi_address()));
        } else if (auto pair = ports.allocate(shard.executor(), Clock::now()); !pair) {
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
    std::string learn_key(CallNumber call, const MiOutcome& outcome) {
        const bool awaited = placing.erase(call.value) > 0;
        if (!outcome.response || !outcome.response->ok) return {};
        const auto& key = outcome.response->message;
        if (!looks_like_key(key)) return {};
        if (!awaited) {  // given up meanwhile
            hang_up_orphan(key);
            return {};
        }
        ++stats.placed;
        calls.emplace(key, Entry{call, shard_of(call), Clock::now()});
        keys.emplace(call.value, key);
        return key;
    }

    /// What came before the key; and what else is left when nobody waits for a key any more.
    void replay_unclaimed(const std::string& key) {
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
    void on_foreign_outgoing(UaEvent event) {
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
    void hang_up_orphan(const std::string& key) {
        if (!looks_like_key(key) || ended.contains(key)) return;
        ++stats.orphans;
        log.warn("hanging up an outgoing call that nobody waits for", log::kv("call", key));
        remember(key, Clock::now());
        add_chore({ua_session_terminate(key)});
    }

    void on_datagram(std::span<const std::byte> datagram, const net::UdpEndpoint& from) {
        const auto now = Clock::now();
        if (!allowed.contains(unmapped(from.address()))) {
            ++stats.foreign_events;
            if (foreign_limit.allow(now)) {
                log.warn(
                    "ignored a datagram from an address that is not in allowed_peers",
                    log::kv("from", net::to_string(from)),
                    log::kv("more", foreign_limit.suppressed())
                );
            }
            return;
        }
        auto event = parse_event(datagram);
        if (!event) {
            ++stats.broken_events;
            if (broken_limit.allow(now)) {
                log.warn(
                    "ignored a datagram that is no event of OpenSIPS",
                    log::kv("from", net::to_string(from)),
                    log::kv("why", event.error()),
                    log::kv("more", broken_limit.suppressed())
                );
            }
            return;
        }
        ++stats.events;
        on_event(std::move(*event));
    }

    void on_event(UaEvent event) {
        if (const auto known = calls.find(event.key); known != calls.end()) {
            to_call(known->second.number, [event = std::move(event)](OpensipsTransport& transport) {
                transport.on_event(event);
            });
            return;
        }
        to_adopt.erase(event.key);  // whatever it is, the event tells more than the list
        if (event.outgoing && event.type != UaEventType::updated) {
            on_foreign_outgoing(std::move(event));
            return;
        }
        switch (event.type) {
            case UaEventType::created:
                if (!event.outgoing && !ended.contains(event.key)) on_invite(event);
                break;
            case UaEventType::terminated:
                if (event.method == "CANCEL" && !ended.contains(event.key)) {
                    // Of a call whose INVITE we never saw: nobody else finishes it.
                    remember(event.key, Clock::now());
                    add_chore({reply_to_unknown(event), ua_session_terminate(event.key)});
                }
                break;
            case UaEventType::updated:
                // A call that was lost with us or with an earlier process: its caller shall know.
                if (event.method != "ACK") add_chore({reply_to_unknown(event)});
                break;
            case UaEventType::early:
            case UaEventType::answered:
            case UaEventType::rejected:
                break;
        }
    }

    void on_invite(const UaEvent& event) {
        if (event.is_blind() && blind_limit.allow(Clock::now())) {
            log.warn(
                "an event has neither body nor headers: ua_session_server_init needs the flags b "
                "and "
                "h (\"rbh\"); the call is answered without its offer"
            );
        }
        offer_call(UaSession{event, call_settings});
    }

    /// A new call: refused, or handed over.
    void offer_call(UaSession session) {
        const auto now = Clock::now();
        if (session.is_over()) {
            ++stats.refused_offers;
            log.info("call refused: nothing in its offer for us", log::kv("call", session.key()));
            remember(session.key(), now);
            add_chore(session.take_leftovers());
            return;
        }
        Result<AdmissionSlot, Refusal> slot{Refusal::draining};
        if (accepting.load()) slot = handler.admit({session.info().from});
        if (!slot) return refuse(std::move(session), slot.error(), describe(slot.error()));
        const auto shard = next_shard();
        auto pair = ports.allocate(shards[shard].executor(), now);
        if (!pair) return refuse(std::move(session), Refusal::full, pair.error().message());

        const CallNumber number{next_number * shards.size() + shard};
        ++next_number;
        ++stats.calls;
        calls.emplace(session.key(), Entry{number, shard, now});
        keys.emplace(number.value, session.key());
        shards[shard].post([this,
                            shard,
                            number,
                            s = std::move(session),
                            p = std::move(*pair),
                            a = std::move(*slot)]() mutable {
            auto call_log = log.with({log::kv("native_id", s.key())});
            auto transport = std::make_unique<OpensipsTransport>(
                shards[shard],
                *this,
                config,
                media,
                number,
                std::move(s),
                std::move(p),
                std::move(call_log)
            );
            shard_calls[shard]->tasks->spawn(
                handler.run_call(shards[shard], std::move(transport), std::move(a))
            );
        });
    }

    std::size_t next_shard() noexcept {
        const auto* chosen = &shards.next();
        return chosen->index();
    }

    void refuse(UaSession session, Refusal refusal, std::string_view why) {
        ++stats.refused_busy;
        const auto now = Clock::now();
        if (busy_limit.allow(now)) {
            log.warn(
                "call refused with 503",
                log::kv("why", why),
                log::kv("more", busy_limit.suppressed())
            );
        }
        remember(session.key(), now);
        session.reject(503, "Service Unavailable", retry_after(refusal));
        add_chore(session.take_leftovers());
    }

    // Requests of calls that nobody owns any more.

    void add_chore(std::vector<MiCommand> commands, int attempts = chore_attempts) {
        if (commands.empty() || chores >= max_chores) return;
        ++chores;
        auto chore = std::make_shared<Chore>();
        chore->commands = std::move(commands);
        chore->attempts = attempts;
        run_chore(std::move(chore), attempts);
    }

    void run_chore(std::shared_ptr<Chore> chore, int attempts_left) {
        if (chore->next == chore->commands.size()) {
            if (--chores == 0) chores_done.notify();
            return;
        }
        const auto& command = chore->commands[chore->next];
        mi->send(command, [this, chore, attempts_left](const MiOutcome& outcome) {
            if (!outcome.response && attempts_left > 1) {
                run_chore(chore, attempts_left - 1);
                return;
            }
            ++chore->next;
            run_chore(chore, chore->attempts);
        });
    }

    // The subscription.

    void run_subscription() {
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

    std::string mi_address() const { return fmt::format("{}:{}", config.mi_ip, config.mi_port); }

    void lose_calls(TimePoint before, const std::string& reason) {
        std::size_t count = 0;
        for (const auto& [key, entry] : calls) {
            if (entry.began >= before) continue;
            ++count;
            lose(entry, reason);
        }
        if (count > 0) log.warn("calls lost", log::kv("calls", count), log::kv("why", reason));
    }

    void lose(const Entry& entry, const std::string& reason) {
        ++stats.calls_lost;
        to_call(entry.number, [reason](OpensipsTransport& transport) {
            transport.on_lost(reason);
        });
    }

    void forget_old() {
        std::erase_if(ended, [now = Clock::now()](const auto& entry) {
            return now - entry.second > remember_ended;
        });
    }

    void remember(const std::string& key, TimePoint now) {
        if (ended.size() >= max_remembered) forget_old();
        if (ended.size() < max_remembered) ended[key] = now;
    }

    /// Notes what OpenSIPS's list and our table disagree on; events that are under way may settle
    /// it.
    void compare(const Subscription::Sessions& list) {
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
            if (waiting || session.state == session_terminated)
                to_adopt.emplace(session.key, session);
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

    void settle() {
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
    void adopt(const MiSession& session) {
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

    // Given to us.
    const Config config;
    const rtp::Config media;
    const UaSession::Settings call_settings;
    rtp::RtpPorts& ports;
    async::ShardPool& shards;
    CallHandler& handler;
    log::Logger log;
    async::Shard& home;  ///< shard 0
    // Owned; made by start().
    std::set<ip::address> allowed;
    std::unique_ptr<net::UdpSocket> event_socket;
    std::unique_ptr<MiClient> mi;
    std::optional<Subscription> subscription;
    boost::asio::steady_timer subscription_timer;
    boost::asio::steady_timer settle_timer;
    std::vector<std::unique_ptr<ShardCalls>> shard_calls;
    // State.
    std::atomic<bool> accepting{true};
    std::atomic<bool> stopped{false};
    bool started{false};
    bool stopping{false};
    std::uint64_t next_number{1};
    std::unordered_map<std::string, Entry> calls;         ///< by key
    std::unordered_map<std::uint64_t, std::string> keys;  ///< by number
    std::unordered_map<std::string, TimePoint> ended;     ///< keys of the last `remember_ended`
    std::unordered_map<std::string, MiSession> to_adopt;
    std::unordered_map<std::string, CallNumber> missing;
    std::set<std::uint64_t> placing;                       ///< numbers whose key is not known yet
    std::unordered_map<std::string, Unclaimed> unclaimed;  ///< by key
    std::size_t chores{0};
    async::Signal chores_done;
    Stats stats;
    log::RateLimit foreign_limit{std::chrono::seconds{10}};
    log::RateLimit broken_limit{std::chrono::seconds{10}};
    log::RateLimit busy_limit{std::chrono::seconds{10}};
    log::RateLimit blind_limit{std::chrono::minutes{10}};
};

OpensipsListener::OpensipsListener(
    Config config,
    rtp::Config rtp,
    rtp::RtpPorts& ports,
    async::ShardPool& shards,
    CallHandler& handler,
    log::Logger log
)
    : impl_{std::make_unique<Impl>(
          std::move(config), std::move(rtp), ports, shards, handler, std::move(log)
      )} {}

OpensipsListener::~OpensipsListener() { stop(); }

void OpensipsListener::start() { impl_->start(); }
Dialer* OpensipsListener::dialer() noexcept { return impl_.get(); }
void OpensipsListener::stop_accepting() { impl_->accepting.store(false); }
void OpensipsListener::stop() { impl_->stop(); }

net::UdpEndpoint OpensipsListener::event_endpoint() const {
    return impl_->event_socket->local_endpoint();
}

OpensipsListener::Stats OpensipsListener::stats() const {
    return asio::co_spawn(impl_->home.context(), impl_->snapshot(), asio::use_future).get();
}

}  // namespace oavc::transports::opensips
