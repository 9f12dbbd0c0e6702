#include "transports/sip/sip_listener.hpp"

#include "async/deadline.hpp"
#include "async/signal.hpp"
#include "async/task_group.hpp"
#include "base/bytes.hpp"
#include "net/tcp.hpp"
#include "sip/bodies.hpp"
#include "sip/dialog.hpp"
#include "transports/detail/shard_calls.hpp"
#include "transports/errors.hpp"
#include "transports/rtp/local_address.hpp"
#include "transports/rtp/negotiation.hpp"
#include "transports/sip/sip_transport.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_future.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace oavc::transports::sip_ua {

namespace {

namespace ip = boost::asio::ip;
using sip::Call;
using sip::Protocol;
using sip::Target;

constexpr std::size_t receive_buffer_bytes = 4 << 20;
constexpr std::size_t max_unread = sip::max_message_bytes + 16 * 1024;
constexpr std::chrono::seconds connect_limit{5};
/// How long calls that end with us may take to tell the other side.
constexpr milliseconds farewell{2000};

ip::address unmapped(const ip::address& address) {
    if (!address.is_v6() || !address.to_v6().is_v4_mapped()) return address;
    return ip::make_address_v4(ip::v4_mapped, address.to_v6());
}

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
    return info;
}

}  // namespace

struct SipListener::Impl final : Exchange, Dialer {
    /// Who waits in `dial`: on its own shard, told once.
    struct Dialling {
        explicit Dialling(async::Shard& s) : shard{s}, changed{s.executor()} {}
        async::Shard& shard;
        async::Signal changed;
        std::optional<Result<Dialled>> outcome;
        std::uint64_t number{0};  ///< shard 0's
    };
    /// A call as shard 0 knows it.
    struct Entry {
        sip::LocalMedia local;
        bool has_transport{false};
        bool transport_gone{false};
        // Without a transport: one that is being dialled, or that asks the target of a transfer.
        rtp::RtpPortPair ports;
        std::uint16_t own_port{0};
        AdmissionSlot slot;
        CallInfo info;
        std::shared_ptr<Dialling> dialling;
        std::unique_ptr<boost::asio::steady_timer> patience;
        std::uint64_t consults_for{0};  ///< the call that is to be joined with this one
        // While the target of a transfer is asked.
        std::uint64_t consult{0};
        bool swallow_hold{false};  ///< the hold under way was not the session's wish
        bool resume{false};        ///< when it is done
    };
    struct Connection {
        std::uint64_t id;
        Target peer;
        std::unique_ptr<net::TcpStream> stream;  ///< null while connecting
        std::vector<sip::UserAgent::Send> waiting;
        TimePoint last_used;
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
          ports{p},
          shards{s},
          handler{h},
          log{std::move(l)},
          home{s[0]},
          timer{home.context()},
          idle_timer{home.context()},
          agent_idle{home.executor()} {}

    // --- Start and stop; thread: the caller's.

    void start() {
        if (const auto problems = config.validate(); !problems.empty()) {
            throw std::runtime_error{fmt::format("[telephony.sip] {}", fmt::join(problems, "; "))};
        }
        if (const auto problems = media.validate(); !problems.empty()) {
            throw std::runtime_error{fmt::format("[telephony.rtp] {}", fmt::join(problems, "; "))};
        }
        for (const auto& peer : config.allowed_peers)
            allowed.insert(unmapped(ip::make_address(peer)));
        bind_sockets();
        find_servers();
        const auto on_exception = [this](std::exception_ptr error) { on_task_exception(error); };
        calls.emplace(shards, on_exception);
        tasks = std::make_unique<async::TaskGroup>(home.executor(), on_exception);

        sip::UserAgent::Settings settings;
        settings.layer.tcp = config.tcp;
        settings.layer.user_agent = "oavc/" OAVC_VERSION;
        settings.call.media = media.media_preferences();
        settings.call.session_expires = config.session_expires;
        settings.call.credentials = {config.username, config.password};
        agent.emplace(std::move(settings), [this](const Target& to) { return sent_by(to); });
        started = true;
        home.post([this] {
            udp->start([this](auto datagram, const auto& from) { on_datagram(datagram, from); });
            if (tcp) tasks->spawn(accept(tcp.get(), Protocol::tcp));
            if (registrar) {
                agent->enrol(registration(), Clock::now());
                run();
            }
            watch_idle();
        });
    }

    /// One port number for UDP and TCP. What the system chose for the one may be somebody's for the
    /// other: then it chooses again.
    void bind_sockets() {
        const auto local = *net::parse_endpoint(config.bind_ip, config.port);
        for (int tries = config.port == 0 ? 16 : 1;; --tries) {
            auto socket = net::UdpSocket::bind(home.executor(), local, 65'535);
            if (!socket) throw std::runtime_error{cannot_bind("UDP", local, socket.error())};
            udp = std::move(*socket);
            udp->set_receive_buffer(receive_buffer_bytes);
            if (!config.tcp) return;
            const auto port = udp->local_endpoint().port();
            auto listening = net::tcp_listen(home, config.bind_ip, port);
            if (listening) {
                tcp = std::move(*listening);
                return;
            }
            if (tries == 1) {
                throw std::runtime_error{
                    cannot_bind("TCP", {local.address(), port}, listening.error())};
            }
        }
    }

    /// Where outgoing calls and registrations go. Names are looked up once, here. Whom we ask may
    /// answer.
    void find_servers() {
        const auto find =
            [this](const char* key, const std::string& text) -> std::optional<Target> {
            if (text.empty()) return std::nullopt;
            auto uri = *sip::parse_uri(text);
            if (!sip::is_ip_address(uri.host)) uri.host = look_up(key, uri.host);
            const auto target = sip::target_of(uri);
            if (target) allowed.insert(unmapped(ip::make_address(target->address)));
            return target;
        };
        proxy = find("proxy", config.proxy);
        registrar = find("registrar", config.registrar);
        if (registrar && config.registrar.find(";transport=") == std::string::npos && proxy &&
            proxy->address == registrar->address) {
            registrar = proxy;
        }
    }

    std::string look_up(const char* key, const std::string& host) {
        ip::udp::resolver resolver{home.context()};
        error_code error;
        const auto found = resolver.resolve(host, "5060", error);
        if (error || found.empty()) {
            throw std::runtime_error{fmt::format(
                "[telephony.sip] {}: no address for \"{}\": {}", key, host, error.message()
            )};
        }
        const auto address = found.begin()->endpoint().address();
        return address.is_v6() ? "[" + address.to_string() + "]" : address.to_string();
    }

    sip::Registration::Settings registration() const {
        const auto uri = sip::parse_uri(config.registrar);
        sip::Registration::Settings out;
        out.registrar = (uri->scheme == "sips" ? "sips:" : "sip:") + uri->host;
        out.address = "sip:" + config.username + "@" + uri->host;
        out.user = config.username;
        out.next_hop = *registrar;
        out.expires = config.expires;
        out.credentials = {config.username, config.password};
        return out;
    }

    static std::string cannot_bind(
        std::string_view transport, const net::UdpEndpoint& local, const error_code& error
    ) {
        const auto where = net::to_string(local);
        if (error == boost::asio::error::address_in_use) {
            return fmt::format(
                "{} {} is in use: another server runs there, or set [telephony.sip] port to a free "
                "port",
                transport,
                where
            );
        }
        return fmt::format(
            "cannot receive SIP on {} {}: {} (check [telephony.sip] bind_ip)",
            transport,
            where,
            error.message()
        );
    }

    void on_task_exception(const std::exception_ptr& error) const {
        try {
            std::rethrow_exception(error);
        } catch (const std::exception& e) {
            log.error("a call ended by an exception", log::kv("what", std::string_view{e.what()}));
        } catch (...) {
            log.error("a call ended by an exception");
        }
    }

    static void run_on(async::Shard& shard, asio::awaitable<void> task) {
        asio::co_spawn(shard.context(), std::move(task), asio::use_future).get();
    }
    static asio::awaitable<void> nothing() { co_return; }

    /// Lets BYEs be answered, for a moment, and closes everything.
    asio::awaitable<void> close() {
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
        idle_timer.cancel();
        udp->close();
        tasks->cancel();
        co_await tasks->join();
        connections.clear();
        tcp.reset();
        for (auto& [number, entry] : entries) {
            release_ports(entry);
            settle(entry, CallControlErrc::unavailable);
        }
        entries.clear();
    }

    std::vector<std::uint64_t> numbers() const {
        std::vector<std::uint64_t> out;
        for (const auto& one : entries)
            out.push_back(one.first);
        return out;
    }

    void stop() {
        stop_accepting();
        if (!started || stopped.exchange(true)) return;
        calls->end_all();
        // What a call on shard 0 posted to its own shard is queued only once its handler is done:
        // one message in between lets it pass.
        run_on(home, nothing());
        run_on(home, close());
        // Messages from shard 0 to the others and back may still be queued: let them pass.
        calls->release_all();
        run_on(home, nothing());
    }

    void stop_accepting() {
        if (!accepting.exchange(false) || !started) return;
        home.post([this] {
            if (!stopping) agent->drain(true);
        });
    }

    asio::awaitable<Stats> snapshot() {
        auto out = stats;
        out.agent = agent->stats();
        out.open_connections = connections.size();
        out.registered = agent->registration() && agent->registration()->is_registered();
        co_return out;
    }

    // --- Exchange; thread: the call's shard.

    void call_began(std::uint64_t number, SipTransport& transport) override {
        calls->add(number, transport);
    }
    void wish(std::uint64_t number, Wish wish) override {
        home.post([this, number, wish = std::move(wish)]() mutable {
            if (!stopping) on_wish(number, std::move(wish));
        });
    }
    void call_ended(std::uint64_t number, std::uint16_t port) override {
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

    // --- Everything below: shard 0.

    /// What Via and Contact say: as configured, else where we are reached from there.
    std::string sent_by(const Target& to) const {
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
        return sip::host_port(address, port);
    }

    bool is_allowed(const ip::address& address, std::uint16_t port) {
        if (allowed.contains(unmapped(address))) return true;
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

    void on_datagram(std::span<const std::byte> datagram, const net::UdpEndpoint& from) {
        if (stopping || !is_allowed(from.address(), from.port())) return;
        const std::string_view bytes{
            reinterpret_cast<const char*>(datagram.data()), datagram.size()};  // NOLINT
        if (bytes.find_first_not_of(std::string_view{"\r\n\0", 3}) == std::string_view::npos)
            return;
        const Target source{Protocol::udp, unmapped(from.address()).to_string(), from.port(), 0};
        agent->on_bytes(bytes, source, Clock::now());
        run();
    }

    /// Does what the agent says, and comes back when it wants to be asked again.
    void run() {
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

    // Calls.

    void on_incoming(std::uint64_t number) {
        auto* call = agent->call(number);
        if (call == nullptr) return;
        const auto now = Clock::now();
        auto info = info_of(call->invite());
        Result<AdmissionSlot, Refusal> slot{Refusal::draining};
        if (accepting.load()) slot = handler.admit({info.from});
        if (!slot) return refuse(number, slot.error(), describe(slot.error()));
        auto pair = ports.allocate(calls->shard_of(number).executor(), now);
        if (!pair) return refuse(number, Refusal::full, pair.error().message());
        ++stats.calls;
        auto& entry = entries[number];
        entry.local = local_media(*call, pair->port());
        hand_over(number, std::move(info), std::move(*pair), std::move(*slot));
    }

    sip::LocalMedia local_media(const Call& call, std::uint16_t port) const {
        const auto address = rtp::local_address(media, {call.media_address(), call.peer().address});
        return rtp::local_media(address, port);
    }

    /// From here on the call lives on its shard.
    void hand_over(std::uint64_t number, CallInfo info, rtp::RtpPortPair pair, AdmissionSlot slot) {
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

    void refuse(std::uint64_t number, Refusal refusal, std::string_view why) {
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

    void on_event(std::uint64_t number, Call::Action action) {
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

    void tell(std::uint64_t number, Event event) {
        calls->to_call(number, [event = std::move(event)](SipTransport& transport) mutable {
            transport.on_event(std::move(event));
        });
    }

    void on_gone(std::uint64_t number) {
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

    void release_ports(Entry& entry) {
        if (entry.own_port == 0) return;
        entry.ports = {};
        ports.release(std::exchange(entry.own_port, std::uint16_t{0}), Clock::now());
    }

    void on_wish(std::uint64_t number, Wish wish) {
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
    static std::string host_of_peer(const Call& call) {
        const auto remote = sip::parse_name_address(call.dialog().remote);
        return remote ? remote->uri.host : std::string{};
    }

    // Outgoing calls.

    asio::awaitable<Result<Dialled>> dial(async::Shard& shard, DialRequest request) override {
        if (!started || !accepting.load()) co_return CallControlErrc::unavailable;
        const auto dialling = std::make_shared<Dialling>(shard);
        home.post([this, dialling, request = std::move(request)] { begin_dial(dialling, request); }
        );
        while (!dialling->outcome) {
            if (co_await dialling->changed.wait()) continue;
            home.post([this, dialling] { give_up(dialling->number); });
            co_return error_code{asio::error::operation_aborted};
        }
        co_return *dialling->outcome;
    }

    static void settle(const std::shared_ptr<Dialling>& dialling, Result<Dialled> outcome) {
        dialling->shard.post([dialling, outcome = std::move(outcome)] {
            dialling->outcome = outcome;
            dialling->changed.notify();
        });
    }
    static void settle(Entry& entry, CallControlErrc error) {
        if (entry.dialling) settle(std::exchange(entry.dialling, nullptr), Result<Dialled>{error});
    }

    void give_up(std::uint64_t number) {
        auto* call = stopping ? nullptr : agent->call(number);
        if (call == nullptr) return;
        call->hang_up(Clock::now());
        agent->touched(number, Clock::now());
        run();
    }

    void begin_dial(const std::shared_ptr<Dialling>& dialling, const DialRequest& request) {
        const auto fail = [&](CallControlErrc error) { settle(dialling, Result<Dialled>{error}); };
        if (stopping || !proxy) return fail(CallControlErrc::unavailable);
        const auto to = uri_of(request.to);
        const auto from = uri_of(caller(request.from));
        if (!to || !from) return fail(CallControlErrc::bad_target);
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

    std::string caller(const std::string& wanted) const {
        for (const auto& who : {wanted, config.from, config.username}) {
            if (!who.empty()) return who;
        }
        return "oavc";
    }

    /// A SIP URI; numbers and users belong to the proxy's domain, or the registrar's.
    std::optional<std::string> uri_of(const std::string& who) const {
        const auto domain =
            sip::parse_uri(config.registrar.empty() ? config.proxy : config.registrar);
        auto uri = sip::complete_target(who, domain->host);
        const auto parsed =
            uri ? sip::parse_uri(*uri) : Result<sip::Uri>{CallControlErrc::bad_target};
        if (!parsed) return std::nullopt;
        if (parsed->scheme == "tel")
            return "sip:" + parsed->user + "@" + domain->host + ";user=phone";
        return uri;
    }

    bool give_ports(const Call& call, Entry& entry) {
        const auto number = call.number();
        auto pair = ports.allocate(calls->shard_of(number).executor(), Clock::now());
        if (!pair) return false;
        entry.own_port = pair->port();
        entry.ports = std::move(*pair);
        entry.local = local_media(call, entry.own_port);
        return true;
    }

    void wait_for_answer(std::uint64_t number, Entry& entry, Clock::duration patience) {
        entry.patience = std::make_unique<boost::asio::steady_timer>(home.context(), patience);
        entry.patience->async_wait([this, number](const error_code& error) {
            if (error || stopping) return;
            const auto* call = agent->call(number);
            if (call != nullptr && !call->is_established()) give_up(number);
        });
    }

    /// False: nobody else needs to hear of it.
    bool on_dialling_event(std::uint64_t number, Entry& entry, const Call::Action& action) {
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

    // Attended transfer: the target is asked in a call of its own (RFC 5589 §7.3).

    Result<void> consult(
        std::uint64_t number, Call& call, Entry& entry, const AttendedTransfer& wish
    ) {
        if (!call.is_established() || entry.consult != 0) return CallControlErrc::wrong_state;
        const auto uri =
            proxy ? uri_of(wish.target) : sip::complete_target(wish.target, host_of_peer(call));
        if (!uri) return CallControlErrc::bad_target;
        const auto us = sip::parse_name_address(call.dialog().local);
        if (!us) return CallControlErrc::bad_target;
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

    void on_consult_event(std::uint64_t other, Entry& asking, const Call::Action& action) {
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

    void end_consult(Entry& entry) {
        const auto other = std::exchange(entry.consult, 0);
        if (auto* asking = agent->call(other)) {
            asking->hang_up(Clock::now());
            agent->touched(other, Clock::now());
        }
    }

    /// The transfer came to nothing: the caller is ours again.
    void resume(std::uint64_t number, Entry& entry) {
        if (entry.swallow_hold) {
            entry.resume = true;  // the hold is still under way
        } else {
            resume_later(number);
        }
    }

    void resume_later(std::uint64_t number) {
        home.post([this, number] {
            auto* call = stopping ? nullptr : agent->call(number);
            const auto entry = entries.find(number);
            if (call == nullptr || entry == entries.end()) return;
            entry->second.swallow_hold = call->hold(false, Clock::now());
            agent->touched(number, Clock::now());
            run();
        });
    }

    // Streams.

    void transmit(sip::UserAgent::Send send) {
        if (send.to.protocol == Protocol::udp) {
            const auto to = net::parse_endpoint(send.to.address, send.to.port);
            if (!to) return failed_later(send.transaction);
            udp->send_to(oavc::as_bytes(std::string_view{send.bytes}), *to);  // lost: sent again
            return;
        }
        auto* connection = find_connection(send.to);
        if (connection == nullptr) connection = connect(send.to);
        if (connection == nullptr) return failed_later(send.transaction);
        if (connection->stream == nullptr) {
            connection->waiting.push_back(std::move(send));
            return;
        }
        connection->last_used = Clock::now();
        if (!connection->stream->send(send.bytes)) failed_later(send.transaction);
    }

    /// Not at once: the agent is in the middle of something.
    void failed_later(sip::TransactionId id) {
        if (!id) return;
        home.post([this, id] {
            if (stopping) return;
            agent->on_send_failed(id, Clock::now());
            run();
        });
    }

    Connection* find_connection(const Target& to) {
        if (const auto known = connections.find(to.connection); known != connections.end())
            return &known->second;
        for (auto& [id, connection] : connections) {
            const auto& peer = connection.peer;
            if (peer.protocol == to.protocol && peer.address == to.address && peer.port == to.port)
                return &connection;
        }
        return nullptr;
    }

    Connection& open(Target peer, std::unique_ptr<net::TcpStream> stream) {
        const auto id = next_connection++;
        peer.connection = id;
        auto& connection = connections[id];
        connection.id = id;
        connection.peer = std::move(peer);
        connection.stream = std::move(stream);
        connection.last_used = Clock::now();
        return connection;
    }

    Connection* connect(const Target& to) {
        if (to.protocol == Protocol::tls || connections.size() >= config.max_connections ||
            tasks->cancelled()) {
            return nullptr;
        }
        auto& connection = open(to, nullptr);
        tasks->spawn(run_connecting(connection.id));
        return &connection;
    }

    asio::awaitable<void> run_connecting(std::uint64_t id) {
        const auto peer = connections.at(id).peer;
        auto opened = co_await net::tcp_connect(
            home, "tcp://" + sip::host_port(peer.address, peer.port), connect_limit
        );
        const auto found = connections.find(id);
        if (found == connections.end()) co_return;
        auto& connection = found->second;
        const auto waiting = std::exchange(connection.waiting, {});
        if (!opened) {
            for (const auto& send : waiting)
                failed_later(send.transaction);
            connections.erase(found);
            co_return;
        }
        connection.stream = std::move(*opened);
        for (const auto& send : waiting)
            connection.stream->send(send.bytes);
        co_await serve(id);
    }

    asio::awaitable<void> accept(net::TcpListener* listener, Protocol protocol) {
        while (true) {
            auto accepted = co_await listener->accept();
            if (!accepted) {
                if (tasks->cancelled() || stopping) co_return;
                const bool waited = co_await async::sleep_for(milliseconds{100});
                if (!waited) co_return;
                continue;
            }
            error_code error;
            const auto address = ip::make_address(accepted->address, error);
            if (error || !is_allowed(address, accepted->port)) continue;
            if (connections.size() >= config.max_connections) {
                ++stats.connections_refused;
                continue;
            }
            ++stats.connections;
            Target peer{protocol, accepted->address, accepted->port, 0};
            const auto& connection = open(std::move(peer), std::move(accepted->stream));
            tasks->spawn(serve(connection.id));
        }
    }

    /// Reads a connection until it ends.
    asio::awaitable<void> serve(std::uint64_t id) {
        std::string unread;
        while (true) {
            auto connection = connections.find(id);
            if (connection == connections.end()) co_return;
            auto* stream = connection->second.stream.get();
            const auto bytes = co_await stream->read();
            connection = connections.find(id);
            if (connection == connections.end()) co_return;
            if (!bytes) break;
            connection->second.last_used = Clock::now();
            unread += *bytes;
            const bool good = take_messages(unread, connection->second);
            if (!good || unread.size() > max_unread) {
                ++stats.broken_streams;
                break;
            }
            run();
        }
        connections.erase(id);
    }

    /// Takes whole messages off the front. False: what comes is no SIP.
    bool take_messages(std::string& unread, Connection& connection) {
        std::size_t taken = 0;
        bool good = true;
        while (true) {
            const auto rest = std::string_view{unread}.substr(taken);
            const auto next = sip::next_in_stream(rest);
            if (!next) {
                good = false;
                break;
            }
            for (std::size_t i = 0; i < next->pings; ++i)
                connection.stream->send("\r\n");  // RFC 5626 §3.5.1
            taken += next->skipped;
            if (next->size == 0) break;
            agent->on_bytes(rest.substr(next->skipped, next->size), connection.peer, Clock::now());
            taken += next->size;
        }
        unread.erase(0, taken);
        return good;
    }

    /// Closes connections that nobody uses. One with a call is used at least by session timers.
    void watch_idle() {
        idle_timer.expires_after(std::min(config.idle_timeout, std::chrono::seconds{30}));
        idle_timer.async_wait([this](const error_code& error) {
            if (error || stopping) return;
            const auto now = Clock::now();
            std::erase_if(connections, [&](const auto& one) {
                return one.second.stream && now - one.second.last_used > config.idle_timeout;
            });
            watch_idle();
        });
    }

    // Given to us.
    const Config config;
    const rtp::Config media;
    rtp::RtpPorts& ports;
    async::ShardPool& shards;
    CallHandler& handler;
    log::Logger log;
    async::Shard& home;  ///< shard 0
    // Owned; made by start().
    std::set<ip::address> allowed;
    std::unique_ptr<net::UdpSocket> udp;
    std::unique_ptr<net::TcpListener> tcp;
    std::optional<Target> proxy;
    std::optional<Target> registrar;
    std::optional<sip::UserAgent> agent;
    std::optional<detail::ShardCalls<SipTransport>> calls;
    std::unique_ptr<async::TaskGroup> tasks;  ///< connections
    boost::asio::steady_timer timer;
    boost::asio::steady_timer idle_timer;
    // State.
    std::atomic<bool> accepting{true};
    std::atomic<bool> stopped{false};
    bool started{false};
    bool stopping{false};
    std::unordered_map<std::uint64_t, Entry> entries;  ///< by the agent's numbers
    std::unordered_map<std::uint64_t, Connection> connections;
    std::uint64_t next_connection{1};
    async::Signal agent_idle;  ///< a call is gone
    Stats stats;
    log::RateLimit foreign_limit{std::chrono::seconds{10}};
    log::RateLimit busy_limit{std::chrono::seconds{10}};
};

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
void SipListener::stop() { impl_->stop(); }
Dialer* SipListener::dialer() noexcept {
    return impl_->config.proxy.empty() ? nullptr : impl_.get();
}

net::UdpEndpoint SipListener::udp_endpoint() const { return impl_->udp->local_endpoint(); }
std::uint16_t SipListener::tcp_port() const { return impl_->tcp ? impl_->tcp->port() : 0; }

SipListener::Stats SipListener::stats() const {
    return asio::co_spawn(impl_->home.context(), impl_->snapshot(), asio::use_future).get();
}

}  // namespace oavc::transports::sip_ua
