#include "net/http_server.hpp"

#include "async/run_blocking.hpp"
#include "async/task_group.hpp"
#include "base/assert.hpp"
#include "net/connection_places.hpp"
#include "net/detail/http_text.hpp"
#include "net/detail/incoming_request.hpp"
#include "net/detail/plain_or_tls.hpp"
#include "net/detail/read_http.hpp"
#include "net/detail/server_websocket.hpp"
#include "net/detail/socket_poller.hpp"
#include "net/detail/tls_state.hpp"
#include "net/detail/websocket_frames.hpp"
#include "net/detail/websocket_tls_link.hpp"
#include "observability/log.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/websocket/rfc6455.hpp>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <stdexcept>
#include <vector>

namespace oavc::net {

namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace websocket = boost::beast::websocket;
using asio::ip::tcp;
using Request = http::request<http::string_body>;
using detail::PlainOrTlsStream;
using detail::problem;
using Place = ConnectionPlaces::Place;

constexpr std::uint32_t header_limit = 64 * 1024;

/// Who would wait longer than this for its turn to shake hands is sent away.
constexpr Clock::duration longest_handshake_queue = 2s;

/// A socket on its way from the accepting shard to its own.
class Handle {
public:
    explicit Handle(int fd) noexcept : fd_{fd} {}
    Handle(Handle&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
    Handle& operator=(Handle&&) = delete;
    ~Handle() {
        if (fd_ >= 0) ::close(fd_);
    }
    int get() const noexcept { return fd_; }
    void release() noexcept { fd_ = -1; }

private:
    int fd_;
};

/// Whether the handshake failed for that reason of OpenSSL's.
bool is_tls_reason(const error_code& error, int reason) noexcept {
    if (error.category() != asio::error::get_ssl_category()) return false;
    const auto code = static_cast<unsigned long>(error.value());
    return ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == reason;
}

/// Binds and listens, exclusively. Throws std::runtime_error with what to do; `host_key` and
/// `port_key` of [api] say it.
tcp::endpoint listen(
    tcp::acceptor& acceptor,
    const std::string& host,
    std::uint16_t port,
    std::string_view host_key,
    std::string_view port_key
) {
    const auto where = fmt::format("TCP {}:{}", host, port);
    error_code error;
    const auto address = asio::ip::make_address(host, error);
    if (error) {
        throw std::runtime_error{fmt::format(
            "'{}' is not a numeric address: set [api] {} to 0.0.0.0, 127.0.0.1 or an address of "
            "this machine",
            host,
            host_key
        )};
    }
    const tcp::endpoint endpoint{address, port};
    acceptor.open(endpoint.protocol(), error);
    // Lets a restart bind while old connections linger; two listeners still exclude each other.
    if (!error) acceptor.set_option(tcp::acceptor::reuse_address{true}, error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (!error) acceptor.non_blocking(true, error);
    if (!error) return acceptor.local_endpoint();
    error_code ignored;
    acceptor.close(ignored);
    if (error == asio::error::address_in_use) {
        throw std::runtime_error{fmt::format(
            "{} is in use by another process: stop it or set [api] {}", where, port_key
        )};
    }
    if (error == asio::error::access_denied) {
        throw std::runtime_error{fmt::format(
            "{} may not be used by this user: set [api] {} to 1024 or more", where, port_key
        )};
    }
    throw std::runtime_error{fmt::format(
        "{} cannot be bound ({}): set [api] {} and {}", where, error.message(), host_key, port_key
    )};
}

}  // namespace

struct HttpServer::Impl {
    struct Route {
        std::string method;
        std::string path;
        bool prefix;
        HttpHandler handler;
        HttpLongHandler long_handler;  ///< one of the two
    };
    struct WebSocketRoute {
        WebSocketGate gate;
        WebSocketHandler handler;
        std::optional<std::size_t> shard;
    };
    /// One shard's connections.
    struct Lane {
        async::Shard& shard;
        async::TaskGroup tasks;
        std::shared_ptr<detail::SocketPoller> poller;  ///< of its WebSockets
        std::shared_ptr<const TlsContext> tls{};       ///< of connections to come; null: none
        TimePoint next_handshake{};                    ///< when another may begin
        log::RateLimit complaints{std::chrono::seconds{10}};
    };
    enum class Spoken { plain, tls };
    /// What a path and method lead to.
    struct Found {
        const Route* route{nullptr};
        std::string allowed;  ///< methods, when the path is known and the method is not
    };

    Impl(async::ShardPool& pool, Options given)
        : shards{pool},
          options{std::move(given)},
          acceptor{pool[0].context()},
          tls_acceptor{pool[0].context()} {
        const auto report = [this](std::exception_ptr error) {
            log_exception(error, "connection");
        };
        for (std::size_t i = 0; i < pool.size(); ++i) {
            auto poller = detail::SocketPoller::make(pool[i].context());
            lanes.emplace_back(new Lane{
                .shard = pool[i],
                .tasks = {pool[i].executor(), report},
                .poller = std::move(poller)});
        }
        accepting = std::make_unique<async::TaskGroup>(pool[0].executor(), report);
    }

    void log_exception(const std::exception_ptr& error, std::string_view where) const {
        try {
            std::rethrow_exception(error);
        } catch (const std::exception& e) {
            log.error(
                "exception in HTTP server", log::kv("where", where), log::kv("what", e.what())
            );
        } catch (...) {
            log.error("exception in HTTP server", log::kv("where", where));
        }
    }

    // --- accepting: shard 0 ---

    asio::awaitable<void> accept_loop(tcp::acceptor* from, Spoken spoken) {
        asio::steady_timer pause{from->get_executor()};
        log::RateLimit complaints{std::chrono::seconds{10}};
        for (;;) {
            auto [error, socket] = co_await from->async_accept(as_result);
            if (error == asio::error::operation_aborted) co_return;
            if (error) {  // out of descriptors, or the peer left already
                if (complaints.allow(Clock::now())) {
                    log.warn("cannot accept a connection", log::kv("error", error));
                }
                pause.expires_after(milliseconds{20});
                co_await pause.async_wait(as_result);
                continue;
            }
            error_code ignored;
            const auto peer = socket.remote_endpoint(ignored);
            auto place = places.take(detail::source_of(peer));
            if (!place) {
                const bool full = place.error() == ConnectionPlaces::Refusal::full;
                (full ? refused : refused_source).fetch_add(1, std::memory_order_relaxed);
                if (complaints.allow(Clock::now())) {
                    log.warn(
                        full ? "connection refused: too many"
                             : "connection refused: too many of this source",
                        log::kv("peer", peer.address().to_string()),
                        log::kv("more", complaints.suppressed())
                    );
                }
                continue;
            }
            accepted.fetch_add(1, std::memory_order_relaxed);
            const auto protocol = peer.protocol();
            Handle handle{socket.release(ignored)};
            if (ignored) continue;
            auto& lane = *lanes[next_lane++ % lanes.size()];
            lane.shard.post(
                [this, &lane, peer, protocol, spoken, h = std::move(handle), p = std::move(*place)](
                ) mutable {
                    tcp::socket own{lane.shard.context()};
                    error_code failed;
                    own.assign(protocol, h.get(), failed);
                    if (failed) return;
                    h.release();
                    own.set_option(tcp::no_delay{true}, failed);
                    beast::tcp_stream stream{std::move(own)};
                    lane.tasks.spawn(
                        spoken == Spoken::tls
                            ? shake_and_serve(lane, std::move(stream), peer, std::move(p))
                            : serve(lane, PlainOrTlsStream{std::move(stream)}, peer, std::move(p))
                    );
                }
            );
        }
    }

    asio::awaitable<void> stop_accepting() {
        accepting->cancel();
        error_code ignored;
        acceptor.close(ignored);
        tls_acceptor.close(ignored);
        co_await accepting->join();
    }

    // --- one connection: its lane's shard ---

    asio::awaitable<void> shake_and_serve(
        Lane& lane, beast::tcp_stream socket, tcp::endpoint peer, Place place
    ) {
        const auto now = Clock::now();
        const auto begin = std::max(now, lane.next_handshake);
        if (begin - now > longest_handshake_queue) {
            tls_busy.fetch_add(1, std::memory_order_relaxed);
            co_return;
        }
        lane.next_handshake = begin + options.tls->handshake_gap;
        if (begin > now) {
            asio::steady_timer turn{lane.shard.executor(), begin};
            auto [cancelled] = co_await turn.async_wait(as_result);
            if (cancelled) co_return;
        }
        PlainOrTlsStream stream{detail::TlsStream{std::move(socket), lane.tls->state().server}};
        stream.next_layer().expires_after(options.tls->handshake_timeout);
        auto [error] =
            co_await stream.tls()->async_handshake(asio::ssl::stream_base::server, as_result);
        if (error) {
            co_await part(lane, stream, error, peer);
            co_return;
        }
        tls_handshakes.fetch_add(1, std::memory_order_relaxed);
        co_await serve(lane, std::move(stream), peer, std::move(place));
    }

    /// After a handshake that failed.
    asio::awaitable<void> part(
        Lane& lane, PlainOrTlsStream& stream, const error_code& error, const tcp::endpoint& peer
    ) {
        if (is_tls_reason(error, SSL_R_HTTP_REQUEST)) {
            tls_plain_http.fetch_add(1, std::memory_order_relaxed);
            stream.drop_tls();
            HttpResponse told = problem(400, "this port speaks TLS: use https://", false);
            co_await respond(stream, std::move(told), 11, false, false);
            co_await linger(stream);
            co_return;
        }
        const bool certificate = is_tls_reason(error, SSL_R_CERTIFICATE_VERIFY_FAILED) ||
                                 is_tls_reason(error, SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE);
        auto& counter = certificate ? tls_bad_certificates : tls_failed;
        counter.fetch_add(1, std::memory_order_relaxed);
        if (!certificate || !lane.complaints.allow(Clock::now())) co_return;
        const auto* const verified =
            X509_verify_cert_error_string(SSL_get_verify_result(stream.tls()->native_handle()));
        log.warn(
            "a client's certificate is not accepted",
            log::kv("peer", detail::plain_address(peer.address()).to_string()),
            log::kv("error", error),
            log::kv("certificate", verified),
            log::kv("more", lane.complaints.suppressed())
        );
    }

    asio::awaitable<void> serve(
        Lane& lane, PlainOrTlsStream stream, tcp::endpoint peer, Place place
    ) {
        beast::flat_buffer buffer;
        for (bool first = true;; first = false) {
            if (buffer.size() == 0) {
                stream.next_layer().expires_after(
                    first ? options.request_timeout : options.idle_timeout
                );
                auto [error, size] =
                    co_await stream.async_read_some(buffer.prepare(4096), as_result);
                if (error) co_return;
                buffer.commit(size);
            }
            stream.next_layer().expires_after(options.request_timeout);
            http::request_parser<http::string_body> parser;
            parser.header_limit(header_limit);
            parser.body_limit(options.max_body);
            auto error = co_await detail::read_http(stream, buffer, parser, false);
            if (!error && beast::iequals(parser.get()[http::field::expect], "100-continue")) {
                static constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
                auto [failed, size] =
                    co_await asio::async_write(stream, asio::buffer(go_on), as_result);
                error = failed;
            }
            if (!error) error = co_await detail::read_http(stream, buffer, parser, true);
            if (error) {
                if (error == http::error::end_of_stream) co_return;
                bad_requests.fetch_add(1, std::memory_order_relaxed);
                if (const int status = detail::status_of(error); status != 0) {
                    HttpResponse answer = problem(status, detail::meaning_of(status), false);
                    co_await respond(stream, std::move(answer), 11, false, false);
                    co_await linger(stream);
                }
                co_return;
            }

            requests.fetch_add(1, std::memory_order_relaxed);
            auto message = parser.release();
            const unsigned version = message.version();
            const bool head = message.method() == http::verb::head;
            const bool keep_alive = message.keep_alive();
            const bool upgrade = websocket::is_upgrade(message);
            const bool host_missing = version >= 11 && message.count(http::field::host) != 1;
            auto request = detail::to_request(message, peer, stream.tls() != nullptr);

            HttpResponse answer;
            const auto websocket_route = websockets_by_path.find(request.path());
            if (host_missing || !request.target.starts_with('/')) {
                bad_requests.fetch_add(1, std::memory_order_relaxed);
                answer = problem(400, "the request line or the Host header is wrong", false);
            } else if (websocket_route != websockets_by_path.end()) {
                const auto& route = websocket_route->second;
                if (!upgrade || buffer.size() != 0) {
                    answer = problem(
                        426, "this path speaks WebSocket only", detail::wants_json(request)
                    );
                    answer.headers.emplace("Upgrade", "websocket");
                } else if (request.header("sec-websocket-version") != "13") {  // RFC 6455 §4.4
                    answer = problem(426, "this path speaks version 13 of WebSocket", false);
                    answer.headers.emplace("Sec-WebSocket-Version", "13");
                } else if (!detail::valid_websocket_key(request.header("sec-websocket-key"))) {
                    bad_requests.fetch_add(1, std::memory_order_relaxed);
                    answer = problem(400, "Sec-WebSocket-Key is missing or wrong", false);
                } else if (auto refusal = ask_gate(route, request)) {
                    answer = std::move(*refusal);
                } else if (route.shard && *route.shard != lane.shard.index()) {
                    move_websocket(stream, peer, route, std::move(request), std::move(place));
                    co_return;
                } else {
                    co_await run_websocket(lane, std::move(stream), route, std::move(request));
                    co_return;
                }
            } else {
                const bool json = detail::wants_json(request);
                const auto found = find(request.method, request.path());
                if (found.route != nullptr && found.route->long_handler) {
                    Going going{*this, stream, version, head};
                    auto refusal =
                        co_await run_long(*found.route, lane.shard, std::move(request), going);
                    if (going.begun()) {
                        co_await linger(stream);
                        co_return;
                    }
                    answer = refusal ? std::move(*refusal) : problem(500, "internal error", json);
                } else if (found.route != nullptr) {
                    answer = co_await run_handler(
                        found.route->handler, lane.shard, std::move(request), json
                    );
                } else if (!found.allowed.empty()) {
                    answer = problem(405, "this path has no such method", json);
                    answer.headers.emplace("Allow", found.allowed);
                } else {
                    answer = problem(404, "there is nothing at this path", json);
                }
            }
            stream.next_layer().expires_after(options.request_timeout);
            const bool go_on =
                co_await respond(stream, std::move(answer), version, keep_alive, head);
            if (!go_on) {
                co_await linger(stream);
                co_return;
            }
        }
    }

    std::optional<HttpResponse> ask_gate(const WebSocketRoute& route, const HttpRequest& request) {
        try {
            return route.gate(request);
        } catch (...) {
            log_exception(std::current_exception(), request.path());
            return problem(500, "internal error", false);
        }
    }

    Found find(std::string_view method, std::string_view path) const {
        const std::string_view served = method == "HEAD" ? "GET" : method;
        Found found;
        std::size_t longest = 0;
        const auto allow = [&found](std::string_view name) {
            found.allowed += found.allowed.empty() ? "" : ", ";
            found.allowed += name;
        };
        for (const auto& route : routes) {
            const bool matches = route.prefix ? path.starts_with(route.path) : path == route.path;
            if (!matches) continue;
            if (route.method != served) {
                allow(route.method);
                if (route.method == "GET") allow("HEAD");
                continue;
            }
            // An exact path beats every prefix, a longer prefix a shorter one.
            const std::size_t weight = route.path.size() + (route.prefix ? 0 : header_limit);
            if (found.route == nullptr || weight > longest) {
                found.route = &route;
                longest = weight;
            }
        }
        return found;
    }

    /// The handler's answer, or nothing when it failed. Its exceptions end here.
    asio::awaitable<std::optional<HttpResponse>> guarded(
        const HttpHandler& handler, async::Shard& shard, HttpRequest request
    ) {
        const std::string path{request.path()};
        std::exception_ptr escaped;
        try {
            co_return co_await handler(shard, std::move(request));
        } catch (...) {
            escaped = std::current_exception();
        }
        const auto state = co_await asio::this_coro::cancellation_state;
        if (state.cancelled() == asio::cancellation_type::none) log_exception(escaped, path);
        co_return std::nullopt;
    }

    asio::awaitable<HttpResponse> run_handler(
        const HttpHandler& handler, async::Shard& shard, HttpRequest request, bool json
    ) {
        using namespace asio::experimental::awaitable_operators;
        asio::steady_timer timer{shard.executor(), options.request_timeout};
        auto work = guarded(handler, shard, std::move(request));
        auto outcome = co_await (std::move(work) || timer.async_wait(as_result));
        if (outcome.index() == 1) co_return problem(503, "the answer took too long", json);
        auto& answer = std::get<0>(outcome);
        if (!answer) co_return problem(500, "internal error", json);
        co_return std::move(*answer);
    }

    /// An answer on its way that has no end yet. Lives in its connection's frame.
    class Going final : public LongAnswer {
    public:
        Going(Impl& impl, PlainOrTlsStream& stream, unsigned version, bool head)
            : impl_{impl}, stream_{stream}, version_{version}, head_{head} {}

        bool begun() const noexcept { return begun_; }

        asio::awaitable<bool> begin(HttpResponse response) override {
            begun_ = true;
            std::string text =
                detail::head_of(response, version_, false, detail::Length::until_close);
            if (!head_) text += response.body;
            const bool sent = co_await send(std::move(text));
            co_return sent && !head_;
        }
        asio::awaitable<bool> write(std::string part) override {
            const bool sent = co_await send(std::move(part));
            co_return sent;
        }

    private:
        asio::awaitable<bool> send(std::string text) {
            stream_.next_layer().expires_after(impl_.options.request_timeout);
            auto [error, size] = co_await asio::async_write(stream_, asio::buffer(text), as_result);
            if (error == beast::error::timeout) {
                impl_.slow_readers.fetch_add(1, std::memory_order_relaxed);
            }
            stream_.next_layer().expires_never();
            co_return !error;
        }

        Impl& impl_;
        PlainOrTlsStream& stream_;
        const unsigned version_;
        const bool head_;
        bool begun_{false};
    };

    asio::awaitable<std::optional<HttpResponse>> run_long(
        const Route& route, async::Shard& shard, HttpRequest request, LongAnswer& going
    ) {
        const std::string path{request.path()};
        std::exception_ptr escaped;
        try {
            co_return co_await route.long_handler(shard, std::move(request), going);
        } catch (...) {
            escaped = std::current_exception();
        }
        const auto state = co_await asio::this_coro::cancellation_state;
        if (state.cancelled() == asio::cancellation_type::none) log_exception(escaped, path);
        co_return std::nullopt;
    }

    /// True: the connection may carry another request.
    asio::awaitable<bool> respond(
        PlainOrTlsStream& stream, HttpResponse answer, unsigned version, bool keep_alive, bool head
    ) {
        std::string text = detail::head_of(answer, version, keep_alive);
        if (detail::has_body(answer) && !head) text += answer.body;
        auto [error, size] = co_await asio::async_write(stream, asio::buffer(text), as_result);
        co_return !error && keep_alive;
    }

    /// Closes so that the peer gets our answer although it has sent more than we read (RFC 9112
    /// §9.6).
    asio::awaitable<void> linger(PlainOrTlsStream& stream) {
        error_code ignored;
        stream.next_layer().expires_after(milliseconds{500});
        if (auto* const tls = stream.tls()) {
            // Says that this was all: an answer without a length is not whole without it.
            auto [error] = co_await tls->async_shutdown(as_result);
            if (error == beast::error::timeout) co_return;
            stream.drop_tls();
        }
        stream.next_layer().socket().shutdown(tcp::socket::shutdown_send, ignored);
        std::array<char, 4096> sink;
        for (std::size_t taken = 0; taken < (1u << 20);) {
            auto [error, size] = co_await stream.async_read_some(asio::buffer(sink), as_result);
            if (error) break;
            taken += size;
        }
    }

    /// Takes the connection to the shard where its path belongs, before 101 is sent.
    void move_websocket(
        PlainOrTlsStream& stream,
        const tcp::endpoint& peer,
        const WebSocketRoute& route,
        HttpRequest request,
        Place place
    ) {
        const bool secure = stream.tls() != nullptr;
        detail::SslHandle tls = stream.take_tls();
        if (secure && !tls) return;  // it talks on before our 101, against RFC 6455 §4.1
        error_code failed;
        Handle handle{stream.next_layer().release_socket().release(failed)};
        if (failed) return;
        auto& lane = *lanes[*route.shard];
        lane.shard.post([this,
                         &lane,
                         &route,
                         protocol = peer.protocol(),
                         r = std::move(request),
                         t = std::move(tls),
                         h = std::move(handle),
                         p = std::move(place)]() mutable {
            tcp::socket own{lane.shard.context()};
            error_code not_assigned;
            own.assign(protocol, h.get(), not_assigned);
            if (not_assigned) return;
            h.release();
            beast::tcp_stream plain{std::move(own)};
            PlainOrTlsStream moved =
                t ? PlainOrTlsStream{detail::TlsStream{std::move(plain), t.release()}}
                  : PlainOrTlsStream{std::move(plain)};
            lane.tasks.spawn(run_moved(lane, std::move(moved), route, std::move(r), std::move(p)));
        });
    }

    asio::awaitable<void> run_moved(
        Lane& lane, PlainOrTlsStream stream, const WebSocketRoute& route, HttpRequest request, Place
    ) {
        co_await run_websocket(lane, std::move(stream), route, std::move(request));
    }

    /// The connection's bytes, for its WebSocket; null: it is gone.
    static std::unique_ptr<detail::WebSocketLink> link_of(Lane& lane, PlainOrTlsStream stream) {
        const bool secure = stream.tls() != nullptr;
        detail::SslHandle tls = stream.take_tls();
        if (secure && !tls) return nullptr;
        error_code gone;
        const int socket = stream.next_layer().release_socket().release(gone);
        if (gone) return nullptr;
        return tls ? detail::link_tls(socket, std::move(tls), lane.poller)
                   : detail::link_socket(socket, lane.poller);
    }

    asio::awaitable<void> run_websocket(
        Lane& lane, PlainOrTlsStream stream, const WebSocketRoute& route, HttpRequest request
    ) {
        stream.next_layer().expires_after(options.request_timeout);
        const std::string welcome =
            "HTTP/1.1 101 Switching Protocols\r\nServer: oavc\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Accept: " +
            detail::websocket_accept(request.header("sec-websocket-key")) + "\r\n\r\n";
        auto [error, size] = co_await asio::async_write(stream, asio::buffer(welcome), as_result);
        if (error) co_return;
        auto link = link_of(lane, std::move(stream));
        if (!link) co_return;
        websockets.fetch_add(1, std::memory_order_relaxed);
        auto socket = detail::make_server_websocket(
            lane.shard.executor(), std::move(link), options.websocket
        );
        co_await route.handler(lane.shard, std::move(request), std::move(socket));
    }

    // --- certificates: main ---

    std::shared_ptr<const TlsContext> load_certificates() const {
        try {
            return std::make_shared<const TlsContext>(options.tls->identity);
        } catch (const std::runtime_error& error) {
            throw std::runtime_error{fmt::format("[api] {}", error.what())};
        }
    }
    void set_context(const std::shared_ptr<const TlsContext>& context) {
        for (auto& lane : lanes)
            lane->shard.post([&tls = lane->tls, context] { tls = context; });
    }

    // given to us
    async::ShardPool& shards;
    const Options options;
    log::Logger log;

    ConnectionPlaces places{options.max_connections, options.max_connections_per_source};

    // fixed before start
    std::vector<Route> routes;
    std::map<std::string, WebSocketRoute, std::less<>> websockets_by_path;

    // state
    tcp::acceptor acceptor;
    tcp::acceptor tls_acceptor;  ///< open if TLS is served
    tcp::endpoint bound;
    tcp::endpoint tls_bound;
    std::vector<std::unique_ptr<Lane>> lanes;
    std::unique_ptr<async::TaskGroup> accepting;
    std::size_t next_lane{0};  ///< shard 0's
    bool started{false};
    bool stopped{false};
    std::atomic<std::uint64_t> accepted{0};
    std::atomic<std::uint64_t> refused{0};
    std::atomic<std::uint64_t> refused_source{0};
    std::atomic<std::uint64_t> slow_readers{0};
    std::atomic<std::uint64_t> requests{0};
    std::atomic<std::uint64_t> bad_requests{0};
    std::atomic<std::uint64_t> websockets{0};
    std::atomic<std::uint64_t> tls_busy{0};
    std::atomic<std::uint64_t> tls_plain_http{0};
    std::atomic<std::uint64_t> tls_bad_certificates{0};
    std::atomic<std::uint64_t> tls_failed{0};
    std::atomic<std::uint64_t> tls_handshakes{0};
};

HttpServer::HttpServer(async::ShardPool& shards, Options options)
    : impl_{std::make_unique<Impl>(shards, std::move(options))} {}

HttpServer::~HttpServer() { stop(); }

void HttpServer::handle(std::string method, std::string path, HttpHandler handler) {
    OAVC_ASSERT(!impl_->started);
    impl_->routes.push_back({std::move(method), std::move(path), false, std::move(handler), {}});
}

void HttpServer::handle_prefix(std::string method, std::string prefix, HttpHandler handler) {
    OAVC_ASSERT(!impl_->started && prefix.ends_with('/'));
    impl_->routes.push_back({std::move(method), std::move(prefix), true, std::move(handler), {}});
}

void HttpServer::handle_long(std::string method, std::string path, HttpLongHandler handler) {
    OAVC_ASSERT(!impl_->started);
    impl_->routes.push_back({std::move(method), std::move(path), false, {}, std::move(handler)});
}

void HttpServer::handle_websocket(
    std::string path, WebSocketGate gate, WebSocketHandler handler, std::optional<std::size_t> shard
) {
    OAVC_ASSERT(!impl_->started && shard.value_or(0) < impl_->lanes.size());
    impl_->websockets_by_path.emplace(
        std::move(path), Impl::WebSocketRoute{std::move(gate), std::move(handler), shard}
    );
}

void HttpServer::start() {
    auto& impl = *impl_;
    OAVC_ASSERT(!impl.started);
    if (impl.options.tls) {
        impl.set_context(impl.load_certificates());
        const auto& tls = *impl.options.tls;
        impl.tls_bound = listen(impl.tls_acceptor, tls.host, tls.port, "tls_host", "tls_port");
    }
    impl.bound = listen(impl.acceptor, impl.options.host, impl.options.port, "host", "port");
    impl.started = true;
    impl.shards[0].post([&impl] {
        impl.accepting->spawn(impl.accept_loop(&impl.acceptor, Impl::Spoken::plain));
        if (!impl.options.tls) return;
        impl.accepting->spawn(impl.accept_loop(&impl.tls_acceptor, Impl::Spoken::tls));
    });
}

std::uint16_t HttpServer::port() const noexcept { return impl_->bound.port(); }
std::uint16_t HttpServer::tls_port() const noexcept { return impl_->tls_bound.port(); }

void HttpServer::reload_certificates() {
    if (impl_->options.tls) impl_->set_context(impl_->load_certificates());
}

void HttpServer::stop() {
    auto& impl = *impl_;
    if (!impl.started || impl.stopped) return;
    impl.stopped = true;
    async::run_blocking(impl.shards[0], impl.stop_accepting());
    for (auto& lane : impl.lanes) {
        lane->shard.post([&tasks = lane->tasks] { tasks.cancel(); });
    }
    for (auto& lane : impl.lanes)
        async::run_blocking(lane->shard, lane->tasks.join());
}

std::vector<std::pair<std::string, std::string>> HttpServer::routes() const {
    std::vector<std::pair<std::string, std::string>> routes;
    for (const auto& route : impl_->routes)
        routes.emplace_back(route.method, route.path);
    return routes;
}

HttpServer::Stats HttpServer::stats() const noexcept {
    Stats stats;
    stats.open = impl_->places.open();
    stats.accepted = impl_->accepted.load(std::memory_order_relaxed);
    stats.refused = impl_->refused.load(std::memory_order_relaxed);
    stats.refused_source = impl_->refused_source.load(std::memory_order_relaxed);
    stats.slow_readers = impl_->slow_readers.load(std::memory_order_relaxed);
    stats.requests = impl_->requests.load(std::memory_order_relaxed);
    stats.bad_requests = impl_->bad_requests.load(std::memory_order_relaxed);
    stats.websockets = impl_->websockets.load(std::memory_order_relaxed);
    stats.tls_busy = impl_->tls_busy.load(std::memory_order_relaxed);
    stats.tls_plain_http = impl_->tls_plain_http.load(std::memory_order_relaxed);
    stats.tls_bad_certificates = impl_->tls_bad_certificates.load(std::memory_order_relaxed);
    stats.tls_failed = impl_->tls_failed.load(std::memory_order_relaxed);
    stats.tls_handshakes = impl_->tls_handshakes.load(std::memory_order_relaxed);
    return stats;
}

}  // namespace oavc::net
