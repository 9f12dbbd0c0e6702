#include "transports/opensips/opensips_listener.hpp"

#include "async/run_blocking.hpp"
#include "transports/detail/listening.hpp"
#include "transports/opensips/detail/opensips_listener_impl.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>

#include <fmt/format.h>

#include <chrono>
#include <stdexcept>
#include <utility>

namespace oavc::transports::opensips {

namespace {

namespace ip = boost::asio::ip;

constexpr std::size_t event_buffer_bytes = 4 << 20;  ///< an event is sent once: none may be dropped
constexpr std::size_t max_chores = 4096;

asio::awaitable<void> nothing() { co_return; }

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

OpensipsListener::Impl::Impl(
    Config c, rtp::Config m, rtp::RtpPorts& p, async::ShardPool& s, CallHandler& h, log::Logger l
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

void OpensipsListener::Impl::start() {
    if (const auto problems = config.validate(); !problems.empty()) {
        throw std::runtime_error{fmt::format("[telephony.opensips] {}", fmt::join(problems, "; "))};
    }
    if (const auto problems = media.validate(); !problems.empty()) {
        throw std::runtime_error{fmt::format("[telephony.rtp] {}", fmt::join(problems, "; "))};
    }
    for (const auto& peer : config.allowed_peers) {
        allowed.insert(net::unmapped(ip::make_address(peer)));
    }
    const auto local = *net::parse_endpoint(config.event_ip, config.event_port);
    auto socket = net::UdpSocket::bind(home.executor(), local, 65535);
    if (!socket) {
        const detail::Listening wanted{
            "OpenSIPS events", "UDP", "telephony.opensips", "event_port", "event_ip"};
        throw std::runtime_error{detail::cannot_bind(wanted, local, socket.error())};
    }
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

    living.emplace(shards, detail::log_exception(log));
    started = true;
    home.post([this] {
        event_socket->start([this](auto datagram, const auto& from) { on_datagram(datagram, from); }
        );
        mi->start();
        subscription->start(Clock::now());
        run_subscription();
    });
}

/// The last requests of calls that ended, and our own: no more events.
asio::awaitable<void> OpensipsListener::Impl::close_sockets() {
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

void OpensipsListener::Impl::stop() {
    accepting.store(false);
    if (!started || stopped.exchange(true)) return;
    living->end_all();
    // What a call on shard 0 posted to its own shard is queued only once its handler is done:
    // one message in between lets it pass.
    async::run_blocking(home, nothing());
    async::run_blocking(home, close_sockets());
    // Messages from shard 0 to the others and back may still be queued: let them pass.
    living->release_all();
    async::run_blocking(home, nothing());
}

OpensipsListener::Stats OpensipsListener::Impl::snapshot() const {
    auto out = stats;
    out.mi_requests = mi->stats().sent;
    out.mi_timeouts = mi->stats().timeouts;
    out.mi_ignored = mi->stats().ignored;
    out.rtp_ports_in_use = ports.in_use();
    out.subscribed = subscription->is_up();
    return out;
}

void OpensipsListener::Impl::call_began(CallNumber call, OpensipsTransport& transport) {
    living->add(call.value, transport);
}

void OpensipsListener::Impl::send_mi(CallNumber call, std::uint32_t token, MiCommand command) {
    home.post([this, call, token, command = std::move(command)] {
        const bool placing_it = command.method == "ua_session_client_start";
        mi->send(command, [this, call, token, placing_it](const MiOutcome& outcome) {
            std::string key;
            if (placing_it) key = learn_key(call, outcome);
            living->to_call(call.value, [token, outcome](OpensipsTransport& transport) {
                transport.on_mi(token, outcome);
            });
            if (placing_it) replay_unclaimed(key);
        });
    });
}

void OpensipsListener::Impl::call_ended(
    CallNumber call, std::uint16_t port, std::vector<MiCommand> leftovers
) {
    living->remove(call.value);
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

void OpensipsListener::Impl::on_datagram(
    std::span<const std::byte> datagram, const net::UdpEndpoint& from
) {
    const auto now = Clock::now();
    if (!allowed.contains(net::unmapped(from.address()))) {
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

void OpensipsListener::Impl::on_event(UaEvent event) {
    if (const auto known = calls.find(event.key); known != calls.end()) {
        living->to_call(
            known->second.number.value,
            [event = std::move(event)](OpensipsTransport& transport) { transport.on_event(event); }
        );
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

void OpensipsListener::Impl::on_invite(const UaEvent& event) {
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
void OpensipsListener::Impl::offer_call(UaSession session) {
    const auto now = Clock::now();
    if (session.is_over()) {
        ++stats.refused_offers;
        log.info("call refused: nothing in its offer for us", log::kv("call", session.key()));
        remember(session.key(), now);
        add_chore(session.take_leftovers());
        return;
    }
    auto slot = handler.admit({session.info().from});  // asked in any case: it counts refusals
    if (!accepting.load()) slot = Refusal::draining;
    if (!slot) return refuse(std::move(session), slot.error(), describe(slot.error()));
    auto& shard = shards.next();
    auto pair = ports.allocate(now);
    if (!pair) return refuse(std::move(session), Refusal::full, pair.error().message());

    const CallNumber number{next_number * shards.size() + shard.index()};
    ++next_number;
    ++stats.calls;
    calls.emplace(session.key(), Entry{number, now});
    keys.emplace(number.value, session.key());
    shard.post(
        [this, &shard, number, s = std::move(session), p = std::move(*pair), a = std::move(*slot)](
        ) mutable {
            auto call_log = log.with({log::kv("native_id", s.key())});
            auto transport = std::make_unique<OpensipsTransport>(
                shard, *this, config, media, number, std::move(s), std::move(p), std::move(call_log)
            );
            living->spawn(
                number.value, handler.run_call(shard, std::move(transport), std::move(a))
            );
        }
    );
}

void OpensipsListener::Impl::refuse(UaSession session, Refusal refusal, std::string_view why) {
    ++stats.refused_busy;
    const auto now = Clock::now();
    if (busy_limit.allow(now)) {
        log.warn(
            "call refused with 503", log::kv("why", why), log::kv("more", busy_limit.suppressed())
        );
    }
    remember(session.key(), now);
    session.reject(503, "Service Unavailable", retry_after(refusal));
    add_chore(session.take_leftovers());
}

void OpensipsListener::Impl::add_chore(std::vector<MiCommand> commands, int attempts) {
    if (commands.empty() || chores >= max_chores) return;
    ++chores;
    auto chore = std::make_shared<Chore>();
    chore->commands = std::move(commands);
    chore->attempts = attempts;
    run_chore(std::move(chore), attempts);
}

void OpensipsListener::Impl::run_chore(std::shared_ptr<Chore> chore, int attempts_left) {
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
    return asio::post(
               impl_->home.context(), asio::use_future([this] { return impl_->snapshot(); })
    ).get();
}

std::vector<metrics::Count> OpensipsListener::counts() const {
    const auto now = impl_->snapshot();
    const auto count = [](const char* what, std::uint64_t value) {
        return metrics::Count{what, static_cast<double>(value)};
    };
    return {
        count("events", now.events),
        count("foreign", now.foreign_events),
        count("broken", now.broken_events),
        count("adopted", now.adopted),
        count("refused_offers", now.refused_offers),
        count("refused_busy", now.refused_busy),
        count("placed", now.placed),
        count("orphans", now.orphans),
        count("lost", now.calls_lost),
        count("mi_requests", now.mi_requests),
        count("mi_timeouts", now.mi_timeouts),
        count("mi_ignored", now.mi_ignored),
    };
}

}  // namespace oavc::transports::opensips
