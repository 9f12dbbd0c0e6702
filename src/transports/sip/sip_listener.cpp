#include "transports/sip/sip_listener.hpp"

#include "async/run_blocking.hpp"
#include "base/bytes.hpp"
#include "sip/bodies.hpp"
#include "sip/dialog.hpp"
#include "transports/detail/listening.hpp"
#include "transports/rtp/local_address.hpp"
#include "transports/rtp/negotiation.hpp"
#include "transports/sip/detail/sip_listener_impl.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/use_future.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <utility>

namespace oavc::transports::sip_ua {

namespace {

namespace ip = boost::asio::ip;
using sip::Call;
using sip::Protocol;
using sip::Target;

constexpr std::size_t receive_buffer_bytes = 4 << 20;
constexpr std::uint16_t sips_port = 5061;  ///< RFC 3261 §19.1.2
/// How long calls that end with us may take to tell the other side.
constexpr milliseconds farewell{2000};

asio::awaitable<void> nothing() { co_return; }

CallInfo info_of(const sip::Message& invite) {
    CallInfo info;
    info.via = "sip";
    info.native_id = invite.get("Call-ID");
    const auto from = invite.from();
    if (!from.uri.is_anonymous()) info.from = from.uri.address();
    // The Request-URI is who is meant; proxies leave the dialled number in To.
    const auto uri = sip::parse_uri(invite.uri);
    const auto to = invite.to().uri;
    if (uri && !uri->user.empty()) {
        info.to = uri->user;
    } else {
        info.to = to.user.empty() ? to.host : to.user;
    }
    if (const auto trace = invite.get("traceparent"); !trace.empty()) {
        info.parameters.emplace("traceparent", trace);
    }
    return info;
}

}  // namespace

SipListener::Impl::Impl(
    Config c, rtp::Config m, rtp::RtpPorts& p, async::ShardPool& s, CallHandler& h, log::Logger l
)
    : config{std::move(c)},
      media{std::move(m)},
      ports{p},
      shards{s},
      handler{h},
      log{std::move(l)},
      home{s[0]},
      timer{home.context()},
      agent_idle{home.executor()} {}

void SipListener::Impl::start() {
    if (const auto problems = config.validate(); !problems.empty()) {
        throw std::runtime_error{fmt::format("[telephony.sip] {}", fmt::join(problems, "; "))};
    }
    if (const auto problems = media.validate(); !problems.empty()) {
        throw std::runtime_error{fmt::format("[telephony.rtp] {}", fmt::join(problems, "; "))};
    }
    for (const auto& peer : config.allowed_peers)
        allowed.insert(net::unmapped(ip::make_address(peer)));
    auto listening = bind_sockets();
    find_servers();
    auto listening_tls = bind_tls();
    calls.emplace(shards, detail::log_exception(log));
    const SipStreams::Limits limits{config.max_connections, config.idle_timeout};
    streams.emplace(home, limits, *this, tls ? &*tls : nullptr, log);

    sip::UserAgent::Settings settings;
    settings.layer.tcp = config.tcp;
    settings.layer.user_agent = "oavc/" OAVC_VERSION;
    settings.call.media = media.media_preferences();
    settings.call.session_expires = config.session_expires;
    settings.call.credentials = {config.username, config.password};
    agent.emplace(std::move(settings), [this](const Target& to) { return sent_by(to); });
    started = true;
    home.post([this, plain = std::move(listening), secure = std::move(listening_tls)]() mutable {
        udp->start([this](auto datagram, const auto& from) { on_datagram(datagram, from); });
        if (plain) streams->listen(std::move(plain), Protocol::tcp);
        if (secure) streams->listen(std::move(secure), Protocol::tls);
        streams->start();
        if (registrar) {
            agent->enrol(registration(), Clock::now());
            run();
        }
    });
}

/// One port number for UDP and TCP. What the system chose for the one may be somebody's for the
/// other: then it chooses again. Returns what accepts TCP, if that is served.
std::unique_ptr<net::TcpListener> SipListener::Impl::bind_sockets() {
    const auto local = *net::parse_endpoint(config.bind_ip, config.port);
    detail::Listening wanted{"SIP", "UDP", "telephony.sip", "port", "bind_ip"};
    for (int tries = config.port == 0 ? 16 : 1;; --tries) {
        auto socket = net::UdpSocket::bind(home.executor(), local, 65'535);
        if (!socket) {
            throw std::runtime_error{detail::cannot_bind(wanted, local, socket.error())};
        }
        udp = std::move(*socket);
        udp->set_receive_buffer(receive_buffer_bytes);
        if (!config.tcp) return nullptr;
        const auto port = udp->local_endpoint().port();
        auto listening = net::tcp_listen(home, config.bind_ip, port);
        if (listening) {
            tcp_port = port;
            return std::move(*listening);
        }
        if (tries == 1) {
            wanted.protocol = "TCP";
            throw std::runtime_error{
                detail::cannot_bind(wanted, {local.address(), port}, listening.error())};
        }
    }
}

net::TlsContext SipListener::Impl::load_certificates() const {
    try {
        return net::TlsContext{
            {config.tls_certificate,
             config.tls_private_key,
             config.tls_ca,
             config.tls_verify_client}};
    } catch (const std::runtime_error& error) {
        throw std::runtime_error{fmt::format("[telephony.sip] {}", error.what())};
    }
}

void SipListener::Impl::reload_certificates() {
    if (!tls) return;
    home.post([this, fresh = load_certificates()]() mutable { tls->adopt(std::move(fresh)); });
}

/// What accepts TLS, if that is served; certificates, if anything speaks it.
std::unique_ptr<net::TcpListener> SipListener::Impl::bind_tls() {
    const auto by_tls = [](const std::optional<Target>& server) {
        return server && server->protocol == Protocol::tls;
    };
    if (config.tls_port == 0 && !by_tls(proxy) && !by_tls(registrar)) return nullptr;
    tls.emplace(load_certificates());
    if (config.tls_port == 0) return nullptr;
    auto listening = net::tls_listen(home, *tls, config.bind_ip, config.tls_port);
    if (listening) return std::move(*listening);
    const detail::Listening wanted{"SIP over TLS", "TCP", "telephony.sip", "tls_port", "bind_ip"};
    const auto local = *net::parse_endpoint(config.bind_ip, config.tls_port);
    throw std::runtime_error{detail::cannot_bind(wanted, local, listening.error())};
}

/// Where outgoing calls and registrations go. Names are looked up once, here. Whom we ask may
/// answer.
void SipListener::Impl::find_servers() {
    const auto find = [this](const char* key, const std::string& text) -> std::optional<Target> {
        if (text.empty()) return std::nullopt;
        auto uri = *sip::parse_uri(text);
        const auto domain = uri.host;
        if (!sip::is_ip_address(uri.host)) uri.host = look_up(key, uri.host);
        const auto target = sip::target_of(uri);
        if (target) domains.emplace(target->address, domain);
        if (target) allowed.insert(net::unmapped(ip::make_address(target->address)));
        return target;
    };
    proxy = find("proxy", config.proxy);
    registrar = find("registrar", config.registrar);
    if (registrar && config.registrar.find(";transport=") == std::string::npos && proxy &&
        proxy->address == registrar->address) {
        registrar = proxy;
    }
}

std::string SipListener::Impl::look_up(const char* key, const std::string& host) {
    ip::udp::resolver resolver{home.context()};
    error_code error;
    const auto found = resolver.resolve(host, "5060", error);
    // A socket of IPv4 reaches nothing else.
    const bool ipv4 = udp->local_endpoint().address().is_v4();
    const auto usable = std::find_if(found.begin(), found.end(), [&](const auto& entry) {
        return !ipv4 || entry.endpoint().address().is_v4();
    });
    if (error || usable == found.end()) {
        if (!error) error = boost::asio::error::address_family_not_supported;
        throw std::runtime_error{fmt::format(
            "[telephony.sip] {}: no address for \"{}\": {}", key, host, error.message()
        )};
    }
    const auto address = usable->endpoint().address();
    return address.is_v6() ? "[" + address.to_string() + "]" : address.to_string();
}

sip::Registration::Settings SipListener::Impl::registration() const {
    const auto uri = sip::parse_uri(config.registrar);
    sip::Registration::Settings out;
    const std::string scheme{uri->scheme == "sips" ? "sips:" : "sip:"};
    out.registrar = scheme + uri->host;
    out.address = scheme + config.username + "@" + uri->host;
    out.user = config.username;
    out.next_hop = *registrar;
    out.expires = config.expires;
    out.credentials = {config.username, config.password};
    return out;
}

/// Lets BYEs be answered, for a moment, and closes everything.
asio::awaitable<void> SipListener::Impl::close() {
    agent->unregister(Clock::now());
    for (const auto number : numbers()) {
        if (auto* call = agent->call(number)) {
            call->hang_up(Clock::now());
            agent->touched(number, Clock::now());
        }
    }
    run();
    const auto deadline = Clock::now() + farewell;
    while (agent->stats().calls > 0 && Clock::now() < deadline)
        co_await agent_idle.wait_until(deadline);
    stopping = true;
    timer.cancel();
    udp->close();
    co_await streams->close();
    for (auto& [number, entry] : entries) {
        release_ports(entry);
        settle(entry, CallControlErrc::unavailable);
    }
    entries.clear();
}

std::vector<std::uint64_t> SipListener::Impl::numbers() const {
    std::vector<std::uint64_t> out;
    for (const auto& one : entries)
        out.push_back(one.first);
    return out;
}

void SipListener::Impl::stop() {
    stop_accepting();
    if (!started || stopped.exchange(true)) return;
    calls->end_all();
    // What a call on shard 0 posted to its own shard is queued only once its handler is done:
    // one message in between lets it pass.
    async::run_blocking(home, nothing());
    async::run_blocking(home, close());
    // Messages from shard 0 to the others and back may still be queued: let them pass.
    calls->release_all();
    async::run_blocking(home, nothing());
}

void SipListener::Impl::stop_accepting() {
    if (!accepting.exchange(false) || !started) return;
    home.post([this] {
        if (!stopping) agent->drain(true);
    });
}

SipListener::Stats SipListener::Impl::snapshot() const {
    auto out = stats;
    out.agent = agent->stats();
    out.connections = streams->stats().accepted;
    out.connections_refused = streams->stats().refused;
    out.broken_streams = streams->stats().broken;
    out.failed_handshakes = streams->stats().no_tls;
    out.open_connections = streams->open();
    out.registered = agent->registration() && agent->registration()->is_registered();
    return out;
}

void SipListener::Impl::call_began(std::uint64_t number, SipTransport& transport) {
    calls->add(number, transport);
}

void SipListener::Impl::wish(std::uint64_t number, Wish wish) {
    home.post([this, number, wish = std::move(wish)]() mutable {
        if (!stopping) on_wish(number, std::move(wish));
    });
}

void SipListener::Impl::call_ended(std::uint64_t number, std::uint16_t port) {
    calls->remove(number);
    home.post([this, number, port] {
        const auto now = Clock::now();
        ports.release(port, now);
        const auto entry = entries.find(number);
        if (entry == entries.end()) return;
        entry->second.transport_gone = true;
        if (auto* call = stopping ? nullptr : agent->call(number)) {
            call->hang_up(now);
            agent->touched(number, now);
            run();
        } else {
            entries.erase(entry);
        }
    });
}

/// What Via and Contact say: as configured, else where we are reached from there.
std::string SipListener::Impl::sent_by(const Target& to) const {
    std::string address;
    std::uint16_t port = udp->local_endpoint().port();
    if (!config.advertised.empty()) {
        if (const auto uri = sip::parse_uri("sip:" + config.advertised)) {
            address = uri->host;
            if (uri->port) port = *uri->port;
        }
    } else if (const auto bound = udp->local_endpoint().address(); !bound.is_unspecified()) {
        address = bound.to_string();
    } else if (const auto remote = net::parse_endpoint(to.address, to.port)) {
        if (const auto ours = net::source_address_towards(*remote)) address = ours->to_string();
    }
    if (address.empty()) address = "127.0.0.1";
    if (to.protocol == Protocol::tls) port = config.tls_port != 0 ? config.tls_port : sips_port;
    return sip::host_port(address, port);
}

bool SipListener::Impl::is_allowed(const ip::address& address, std::uint16_t port) {
    if (allowed.contains(net::unmapped(address))) return true;
    ++stats.foreign;
    if (foreign_limit.allow(Clock::now())) {
        log.warn(
            "ignored SIP from an address that is not in allowed_peers",
            log::kv("from", net::to_string({address, port})),
            log::kv("more", foreign_limit.suppressed())
        );
    }
    return false;
}

void SipListener::Impl::on_datagram(
    std::span<const std::byte> datagram, const net::UdpEndpoint& from
) {
    if (stopping || !is_allowed(from.address(), from.port())) return;
    const std::string_view bytes{
        reinterpret_cast<const char*>(datagram.data()), datagram.size()};  // NOLINT
    if (bytes.find_first_not_of(std::string_view{"\r\n\0", 3}) == std::string_view::npos) return;
    const Target source{Protocol::udp, net::unmapped(from.address()).to_string(), from.port(), 0};
    agent->on_bytes(bytes, source, Clock::now());
    run();
}

/// Does what the agent says, and comes back when it wants to be asked again.
void SipListener::Impl::run() {
    while (auto action = agent->next_action()) {
        if (auto* send = std::get_if<sip::UserAgent::Send>(&*action)) {
            transmit(std::move(*send));
        } else if (const auto* incoming = std::get_if<sip::UserAgent::Incoming>(&*action)) {
            on_incoming(incoming->number);
        } else if (auto* event = std::get_if<sip::UserAgent::Event>(&*action)) {
            on_event(event->number, std::move(event->action));
        } else if (const auto* gone = std::get_if<sip::UserAgent::Gone>(&*action)) {
            on_gone(gone->number);
        }
    }
    const auto deadline = agent->next_deadline();
    if (!deadline || stopping) return;
    timer.expires_at(*deadline);
    timer.async_wait([this](const error_code& error) {
        if (error || stopping) return;
        agent->on_time(Clock::now());
        run();
    });
}

void SipListener::Impl::on_incoming(std::uint64_t number) {
    auto* call = agent->call(number);
    if (call == nullptr) return;
    const auto now = Clock::now();
    auto info = info_of(call->invite());
    auto slot = handler.admit({info.from});  // asked in any case: it counts refusals
    if (!accepting.load()) slot = Refusal::draining;
    if (!slot) return refuse(number, slot.error(), describe(slot.error()));
    auto pair = ports.allocate(now);
    if (!pair) return refuse(number, Refusal::full, pair.error().message());
    ++stats.calls;
    auto& entry = entries[number];
    entry.local = local_media(*call, pair->port());
    hand_over(number, std::move(info), std::move(*pair), std::move(*slot));
}

sip::LocalMedia SipListener::Impl::local_media(const Call& call, std::uint16_t port) const {
    const auto address = rtp::local_address(media, {call.media_address(), call.peer().address});
    return rtp::local_media(address, port);
}

/// From here on the call lives on its shard.
void SipListener::Impl::hand_over(
    std::uint64_t number, CallInfo info, rtp::RtpPortPair pair, AdmissionSlot slot
) {
    entries[number].has_transport = true;
    auto& shard = calls->shard_of(number);
    shard.post(
        [this, &shard, number, i = std::move(info), p = std::move(pair), a = std::move(slot)](
        ) mutable {
            auto call_log = log.with({log::kv("native_id", i.native_id)});
            auto transport = std::make_unique<SipTransport>(
                shard, *this, media, number, std::move(i), std::move(p), std::move(call_log)
            );
            calls->spawn(number, handler.run_call(shard, std::move(transport), std::move(a)));
        }
    );
}

void SipListener::Impl::refuse(std::uint64_t number, Refusal refusal, std::string_view why) {
    ++stats.refused_busy;
    if (busy_limit.allow(Clock::now())) {
        log.warn("call refused", log::kv("why", why), log::kv("more", busy_limit.suppressed()));
    }
    auto* call = agent->call(number);
    if (config.overflow.empty() || config.overflow == "503") {
        const auto later = std::to_string(retry_after(refusal).count());
        call->reject(503, {}, {{"Retry-After", later}}, Clock::now());
    } else {
        call->reject(302, {}, {{"Contact", "<" + config.overflow + ">"}}, Clock::now());
    }
    agent->touched(number, Clock::now());
}

void SipListener::Impl::on_event(std::uint64_t number, Call::Action action) {
    const auto found = entries.find(number);
    if (found == entries.end()) return;
    auto& entry = found->second;
    if (entry.consults_for != 0) return on_consult_event(number, entry, action);
    if (entry.dialling && !on_dialling_event(number, entry, action)) return;
    if (std::holds_alternative<Call::HoldDone>(action) && entry.swallow_hold) {
        entry.swallow_hold = false;
        if (std::exchange(entry.resume, false)) resume_later(number);
        return;
    }
    if (entry.consult != 0) {
        const auto* transferred = std::get_if<Call::TransferDone>(&action);
        const bool over = std::holds_alternative<Call::Over>(action);
        if (transferred != nullptr || over) {
            end_consult(entry);
            if (transferred != nullptr && transferred->status >= 300) resume(number, entry);
        }
    }
    if (entry.has_transport) tell(number, Event{std::move(action)});
}

void SipListener::Impl::tell(std::uint64_t number, Event event) {
    calls->to_call(number, [event = std::move(event)](SipTransport& transport) mutable {
        transport.on_event(std::move(event));
    });
}

void SipListener::Impl::on_gone(std::uint64_t number) {
    agent_idle.notify();
    const auto entry = entries.find(number);
    if (entry == entries.end()) return;
    if (entry->second.has_transport && !entry->second.transport_gone) {
        return tell(number, Event{Gone{}});
    }
    release_ports(entry->second);
    settle(entry->second, CallControlErrc::unavailable);
    entries.erase(entry);
}

void SipListener::Impl::release_ports(Entry& entry) {
    if (entry.own_port == 0) return;
    entry.ports = {};
    ports.release(std::exchange(entry.own_port, std::uint16_t{0}), Clock::now());
}

void SipListener::Impl::on_wish(std::uint64_t number, Wish wish) {
    auto* call = agent->call(number);
    const auto entry = entries.find(number);
    if (call == nullptr || entry == entries.end()) return tell(number, Event{Gone{}});
    const auto now = Clock::now();
    bool possible = true;
    CallControlErrc why = CallControlErrc::wrong_state;
    if (std::holds_alternative<Answer>(wish)) {
        call->answer(entry->second.local, now);
    } else if (const auto* reject = std::get_if<Reject>(&wish)) {
        std::vector<sip::HeaderField> headers;
        if (reject->status == 503) {
            const auto later = std::to_string(retry_after(Refusal::full).count());
            headers.push_back({"Retry-After", later});
        }
        if (!call->reject(reject->status, reject->reason, headers, now)) call->hang_up(now);
    } else if (std::holds_alternative<HangUp>(wish)) {
        call->hang_up(now);
    } else if (const auto* hold = std::get_if<Hold>(&wish)) {
        possible = call->hold(hold->held, now);
    } else if (const auto* transfer = std::get_if<Transfer>(&wish)) {
        const auto uri = sip::complete_target(transfer->target, host_of_peer(*call));
        possible = uri && call->transfer(*uri, {}, now);
        if (!uri) why = CallControlErrc::bad_target;
    } else if (const auto* key = std::get_if<PressKey>(&wish)) {
        possible = call->send_digit(key->digit, now);
    } else if (const auto* attended = std::get_if<AttendedTransfer>(&wish)) {
        const auto begun = consult(number, *call, entry->second, *attended);
        possible = !begun.has_error();
        if (!possible) why = static_cast<CallControlErrc>(begun.error().value());
    }
    if (!possible) tell(number, Event{Refused{why}});
    agent->touched(number, now);
    run();
}

/// The domain that completes a bare number: the one that called us or was called.
std::string SipListener::Impl::host_of_peer(const Call& call) {
    const auto remote = sip::parse_name_address(call.dialog().remote);
    return remote ? remote->uri.host : std::string{};
}

void SipListener::Impl::transmit(sip::UserAgent::Send send) {
    if (send.to.protocol != Protocol::udp) return streams->send(std::move(send));
    const auto to = net::parse_endpoint(send.to.address, send.to.port);
    if (!to) return on_not_sent(send.transaction);
    udp->send_to(oavc::as_bytes(std::string_view{send.bytes}), *to);  // lost: sent again
}

bool SipListener::Impl::is_welcome(const std::string& address, std::uint16_t port) {
    error_code error;
    const auto parsed = ip::make_address(address, error);
    return !error && is_allowed(parsed, port);
}

std::string SipListener::Impl::domain_of(const Target& target) const {
    const auto known = domains.find(target.address);
    return known == domains.end() ? target.address : known->second;
}

void SipListener::Impl::on_message(std::string_view bytes, const Target& from) {
    agent->on_bytes(bytes, from, Clock::now());
}

/// Not at once: the agent is in the middle of something.
void SipListener::Impl::on_not_sent(sip::TransactionId transaction) {
    if (!transaction) return;
    home.post([this, transaction] {
        if (stopping) return;
        agent->on_send_failed(transaction, Clock::now());
        run();
    });
}

SipListener::SipListener(
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

SipListener::~SipListener() { stop(); }

void SipListener::start() { impl_->start(); }
void SipListener::stop_accepting() { impl_->stop_accepting(); }
void SipListener::reload_certificates() { impl_->reload_certificates(); }
void SipListener::stop() { impl_->stop(); }
Dialer* SipListener::dialer() noexcept {
    return impl_->config.proxy.empty() ? nullptr : impl_.get();
}

net::UdpEndpoint SipListener::udp_endpoint() const { return impl_->udp->local_endpoint(); }
std::uint16_t SipListener::tcp_port() const { return impl_->tcp_port; }

SipListener::Stats SipListener::stats() const {
    return asio::post(
               impl_->home.context(), asio::use_future([this] { return impl_->snapshot(); })
    ).get();
}

std::vector<metrics::Count> SipListener::counts() const {
    const auto now = impl_->snapshot();
    const auto& messages = now.agent.transactions;
    const auto count = [](const char* what, std::uint64_t value) {
        return metrics::Count{what, static_cast<double>(value)};
    };
    return {
        count("messages", messages.received),
        count("foreign", now.foreign),
        count("broken", messages.broken),
        count("flawed", messages.flawed),
        count("retransmissions", messages.retransmissions),
        count("repeated", messages.repeated),
        count("stray", messages.stray),
        count("dropped", messages.dropped),
        count("refused_offers", now.agent.refused),
        count("refused_busy", now.refused_busy),
        count("refused_connections", now.connections_refused),
        count("broken_streams", now.broken_streams),
        count("failed_handshakes", now.failed_handshakes),
    };
}

}  // namespace oavc::transports::sip_ua
