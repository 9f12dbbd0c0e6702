#include "net/detail/http_connection.hpp"

#include "net/detail/client_hello.hpp"
#include "net/detail/http_text.hpp"
#include "net/detail/incoming_request.hpp"
#include "net/detail/moving_socket.hpp"
#include "net/detail/plain_or_tls.hpp"
#include "net/detail/read_http.hpp"
#include "net/detail/server_websocket.hpp"
#include "net/detail/tls_state.hpp"
#include "net/detail/websocket_frames.hpp"
#include "net/detail/websocket_tls_link.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/websocket/rfc6455.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace oavc::net::detail {

namespace {

namespace http = boost::beast::http;
namespace websocket = boost::beast::websocket;
using asio::ip::tcp;
using Place = ConnectionPlaces::Place;

constexpr std::uint32_t header_limit = 64 * 1024;

/// Who would wait longer than this for its turn to shake hands is sent away.
constexpr Clock::duration longest_handshake_queue = 2s;

/// Whether the handshake failed for that reason of OpenSSL's.
bool is_tls_reason(const error_code& error, int reason) noexcept {
    if (error.category() != asio::error::get_ssl_category()) return false;
    const auto code = static_cast<unsigned long>(error.value());
    return ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == reason;
}

/// False: where the request ends is anybody's guess, and ours may differ from that of a proxy
/// before us (RFC 9112 §6.1, §6.3 rule 4). Beast refuses contradictions; what it does not know as a
/// transfer coding it takes for a request without a body.
bool has_certain_length(const http::request_parser<http::string_body>& parser) {
    const auto& header = parser.get();
    if (header.count(http::field::transfer_encoding) == 0) return true;
    return parser.chunked() && header.version() >= 11;
}

/// The client waits for a word before it sends its body; before HTTP/1.1 none is due (RFC 9110
/// §10.1.1).
bool wants_to_go_on(const http::request<http::string_body>& header) {
    return header.version() >= 11 && beast::iequals(header[http::field::expect], "100-continue");
}

/// An answer on its way that has no end yet. Lives in its connection's frame.
class Going final : public LongAnswer {
public:
    Going(HttpServing& server, PlainOrTlsStream& stream, unsigned version, bool head)
        : server_{server}, stream_{stream}, version_{version}, head_{head} {}

    bool begun() const noexcept { return begun_; }

    asio::awaitable<bool> begin(HttpResponse response) override {
        begun_ = true;
        std::string text = head_of(response, version_, false, Length::until_close);
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
        stream_.next_layer().expires_after(server_.options.request_timeout);
        auto [error, size] = co_await asio::async_write(stream_, asio::buffer(text), as_result);
        if (error == beast::error::timeout) count(server_.counters.slow_readers);
        stream_.next_layer().expires_never();
        co_return !error;
    }

    HttpServing& server_;
    PlainOrTlsStream& stream_;
    const unsigned version_;
    const bool head_;
    bool begun_{false};
};

/// Lives in its coroutine's frame.
class Connection {
public:
    Connection(
        HttpServing& server,
        HttpLane& lane,
        PlainOrTlsStream&& stream,
        const tcp::endpoint& peer,
        Place place
    )
        : server_{server},
          lane_{lane},
          stream_{std::move(stream)},
          peer_{peer},
          place_{std::move(place)} {}
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    /// False: there is nothing more to be said.
    asio::awaitable<bool> shake_hands() {
        SSL* const session = stream_.tls()->native_handle();
        auto error = co_await go_on_shaking_hands();
        if (is_stopped_at_client_hello(session)) {
            const bool our_turn = co_await wait_for_turn();
            if (!our_turn) co_return false;
            go_on_from_client_hello(session);
            error = co_await go_on_shaking_hands();
        }
        if (error) {
            co_await part(error);
            co_return false;
        }
        count(server_.counters.tls_handshakes);
        co_return true;
    }

    asio::awaitable<void> serve() {
        beast::flat_buffer buffer;
        for (bool first = true;; first = false) {
            if (buffer.size() == 0) {
                stream_.next_layer().expires_after(
                    first ? server_.options.request_timeout : server_.options.idle_timeout
                );
                auto [error, size] =
                    co_await stream_.async_read_some(buffer.prepare(4096), as_result);
                if (error) co_return;
                buffer.commit(size);
            }
            stream_.next_layer().expires_after(server_.options.request_timeout);
            http::request_parser<http::string_body> parser;
            parser.header_limit(header_limit);
            parser.body_limit(server_.options.max_body);
            auto error = co_await read_http(stream_, buffer, parser, false);
            if (!error && !has_certain_length(parser)) error = http::error::bad_transfer_encoding;
            HttpRequest request;
            if (!error) request = to_request(parser.get(), peer_, stream_.tls() != nullptr);
            if (!error && wants_to_go_on(parser.get())) {
                static constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
                auto [failed, size] =
                    co_await asio::async_write(stream_, asio::buffer(go_on), as_result);
                error = failed;
            }
            if (!error) error = co_await read_http(stream_, buffer, parser, true);
            if (error) {
                if (error == http::error::end_of_stream) co_return;
                count(server_.counters.bad_requests);
                if (const int status = status_of(error); status != 0) {
                    HttpResponse answer = problem(status, meaning_of(status), false);
                    co_await respond(std::move(answer), 11, false, false);
                    co_await linger();
                }
                co_return;
            }

            count(server_.counters.requests);
            auto message = parser.release();
            const unsigned version = message.version();
            const bool head = message.method() == http::verb::head;
            const bool keep_alive = message.keep_alive();
            const bool upgrade = websocket::is_upgrade(message);
            const bool host_missing = version >= 11 && message.count(http::field::host) != 1;
            request.body = std::move(message.body());

            HttpResponse answer;
            const auto* const websocket_route = server_.routes.find_websocket(request.path());
            if (host_missing || !request.target.starts_with('/')) {
                count(server_.counters.bad_requests);
                answer = problem(400, "the request line or the Host header is wrong", false);
            } else if (websocket_route != nullptr) {
                const auto& route = *websocket_route;
                if (!upgrade || buffer.size() != 0) {
                    answer = problem(426, "this path speaks WebSocket only", wants_json(request));
                    answer.headers.emplace("Upgrade", "websocket");
                } else if (request.header("sec-websocket-version") != "13") {  // RFC 6455 §4.4
                    answer = problem(426, "this path speaks version 13 of WebSocket", false);
                    answer.headers.emplace("Sec-WebSocket-Version", "13");
                } else if (!valid_websocket_key(request.header("sec-websocket-key"))) {
                    count(server_.counters.bad_requests);
                    answer = problem(400, "Sec-WebSocket-Key is missing or wrong", false);
                } else if (auto refusal = ask_gate(route, request)) {
                    answer = std::move(*refusal);
                } else if (route.shard && *route.shard != lane_.shard.index()) {
                    move_websocket(route, std::move(request));
                    co_return;
                } else {
                    co_await run_websocket(route, std::move(request));
                    co_return;
                }
            } else {
                const bool json = wants_json(request);
                const auto found = server_.routes.find(request.method, request.path());
                if (found.route != nullptr && found.route->long_handler) {
                    Going going{server_, stream_, version, head};
                    auto refusal = co_await run_long(*found.route, std::move(request), going);
                    if (going.begun()) {
                        co_await linger();
                        co_return;
                    }
                    answer = refusal ? std::move(*refusal) : problem(500, "internal error", json);
                } else if (found.route != nullptr) {
                    answer = co_await run_handler(found.route->handler, std::move(request), json);
                } else if (!found.allowed.empty()) {
                    answer = problem(405, "this path has no such method", json);
                    answer.headers.emplace("Allow", found.allowed);
                } else {
                    answer = problem(404, "there is nothing at this path", json);
                }
            }
            stream_.next_layer().expires_after(server_.options.request_timeout);
            const bool go_on = co_await respond(std::move(answer), version, keep_alive, head);
            if (!go_on) {
                co_await linger();
                co_return;
            }
        }
    }

    /// From handshake to end, on the shard where its path belongs.
    asio::awaitable<void> run_websocket(const WebSocketRoute& route, HttpRequest request) {
        stream_.next_layer().expires_after(server_.options.request_timeout);
        const std::string welcome =
            "HTTP/1.1 101 Switching Protocols\r\nServer: oavc\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Accept: " +
            websocket_accept(request.header("sec-websocket-key")) + "\r\n\r\n";
        auto [error, size] = co_await asio::async_write(stream_, asio::buffer(welcome), as_result);
        if (error) co_return;
        auto link = take_link();
        if (!link) co_return;
        count(server_.counters.websockets);
        auto socket = make_server_websocket(
            lane_.shard.executor(), std::move(link), server_.options.websocket
        );
        co_await route.handler(lane_.shard, std::move(request), std::move(socket));
    }

private:
    asio::awaitable<error_code> go_on_shaking_hands() {
        stream_.next_layer().expires_after(server_.options.tls->handshake_timeout);
        auto [error] =
            co_await stream_.tls()->async_handshake(asio::ssl::stream_base::server, as_result);
        co_return error;
    }

    /// False: too many wait already, or we are told to end.
    asio::awaitable<bool> wait_for_turn() {
        const auto now = Clock::now();
        const auto begin = std::max(now, lane_.next_handshake);
        if (begin - now > longest_handshake_queue) {
            count(server_.counters.tls_busy);
            co_return false;
        }
        lane_.next_handshake = begin + server_.options.tls->handshake_gap;
        if (begin == now) co_return true;
        asio::steady_timer turn{lane_.shard.executor(), begin};
        auto [cancelled] = co_await turn.async_wait(as_result);
        co_return !cancelled;
    }

    /// After a handshake that failed.
    asio::awaitable<void> part(const error_code& error) {
        if (is_tls_reason(error, SSL_R_HTTP_REQUEST)) {
            count(server_.counters.tls_plain_http);
            stream_.drop_tls();
            HttpResponse told = problem(400, "this port speaks TLS: use https://", false);
            co_await respond(std::move(told), 11, false, false);
            co_await linger();
            co_return;
        }
        const bool certificate = is_tls_reason(error, SSL_R_CERTIFICATE_VERIFY_FAILED) ||
                                 is_tls_reason(error, SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE);
        count(certificate ? server_.counters.tls_bad_certificates : server_.counters.tls_failed);
        if (!certificate || !lane_.complaints.allow(Clock::now())) co_return;
        const auto* const verified =
            X509_verify_cert_error_string(SSL_get_verify_result(stream_.tls()->native_handle()));
        server_.log.warn(
            "a client's certificate is not accepted",
            log::kv("peer", plain_address(peer_.address()).to_string()),
            log::kv("error", error),
            log::kv("certificate", verified),
            log::kv("more", lane_.complaints.suppressed())
        );
    }

    std::optional<HttpResponse> ask_gate(const WebSocketRoute& route, const HttpRequest& request) {
        try {
            return route.gate(request);
        } catch (...) {
            server_.log_exception(std::current_exception(), request.path());
            return problem(500, "internal error", false);
        }
    }

    /// The handler's answer, or nothing when it failed. Its exceptions end here.
    asio::awaitable<std::optional<HttpResponse>> guarded(
        const HttpHandler& handler, HttpRequest request
    ) {
        const std::string path{request.path()};
        std::exception_ptr escaped;
        try {
            co_return co_await handler(lane_.shard, std::move(request));
        } catch (...) {
            escaped = std::current_exception();
        }
        const auto state = co_await asio::this_coro::cancellation_state;
        if (state.cancelled() == asio::cancellation_type::none)
            server_.log_exception(escaped, path);
        co_return std::nullopt;
    }

    asio::awaitable<HttpResponse> run_handler(
        const HttpHandler& handler, HttpRequest request, bool json
    ) {
        using namespace asio::experimental::awaitable_operators;
        asio::steady_timer timer{lane_.shard.executor(), server_.options.request_timeout};
        auto work = guarded(handler, std::move(request));
        auto outcome = co_await (std::move(work) || timer.async_wait(as_result));
        if (outcome.index() == 1) co_return problem(503, "the answer took too long", json);
        auto& answer = std::get<0>(outcome);
        if (!answer) co_return problem(500, "internal error", json);
        co_return std::move(*answer);
    }

    asio::awaitable<std::optional<HttpResponse>> run_long(
        const HttpRoute& route, HttpRequest request, LongAnswer& going
    ) {
        const std::string path{request.path()};
        std::exception_ptr escaped;
        try {
            co_return co_await route.long_handler(lane_.shard, std::move(request), going);
        } catch (...) {
            escaped = std::current_exception();
        }
        const auto state = co_await asio::this_coro::cancellation_state;
        if (state.cancelled() == asio::cancellation_type::none)
            server_.log_exception(escaped, path);
        co_return std::nullopt;
    }

    /// True: the connection may carry another request.
    asio::awaitable<bool> respond(
        HttpResponse answer, unsigned version, bool keep_alive, bool head
    ) {
        std::string text = head_of(answer, version, keep_alive);
        if (has_body(answer) && !head) text += answer.body;
        auto [error, size] = co_await asio::async_write(stream_, asio::buffer(text), as_result);
        co_return !error && keep_alive;
    }

    /// Closes so that the peer gets our answer although it has sent more than we read (RFC 9112
    /// §9.6).
    asio::awaitable<void> linger() {
        error_code ignored;
        stream_.next_layer().expires_after(milliseconds{500});
        if (auto* const tls = stream_.tls()) {
            // Says that this was all: an answer without a length is not whole without it.
            auto [error] = co_await tls->async_shutdown(as_result);
            if (error == beast::error::timeout) co_return;
            stream_.drop_tls();
        }
        stream_.next_layer().socket().shutdown(tcp::socket::shutdown_send, ignored);
        std::array<char, 4096> sink;
        for (std::size_t taken = 0; taken < (1u << 20);) {
            auto [error, size] = co_await stream_.async_read_some(asio::buffer(sink), as_result);
            if (error) break;
            taken += size;
        }
    }

    /// Takes the connection to the shard where its path belongs, before 101 is sent.
    void move_websocket(const WebSocketRoute& route, HttpRequest request) {
        const bool secure = stream_.tls() != nullptr;
        SslHandle tls = stream_.take_tls();
        if (secure && !tls) return;  // it talks on before our 101, against RFC 6455 §4.1
        auto moving = MovingSocket::leave(stream_.next_layer().release_socket(), peer_.protocol());
        if (!moving) return;
        auto& lane = *server_.lanes[*route.shard];
        lane.shard.post([&server = server_,
                         &lane,
                         &route,
                         peer = peer_,
                         r = std::move(request),
                         t = std::move(tls),
                         m = std::move(*moving),
                         p = std::move(place_)]() mutable {
            auto socket = m.arrive(lane.shard.context());
            if (!socket) return;
            beast::tcp_stream plain{std::move(*socket)};
            PlainOrTlsStream stream = t ? PlainOrTlsStream{TlsStream{std::move(plain), t.release()}}
                                        : PlainOrTlsStream{std::move(plain)};
            lane.tasks.spawn(go_on_as_websocket(
                server, lane, std::move(stream), peer, std::move(p), route, std::move(r)
            ));
        });
    }

    static asio::awaitable<void> go_on_as_websocket(
        HttpServing& server,
        HttpLane& lane,
        PlainOrTlsStream stream,
        tcp::endpoint peer,
        Place place,
        const WebSocketRoute& route,
        HttpRequest request
    ) {
        Connection connection{server, lane, std::move(stream), peer, std::move(place)};
        co_await connection.run_websocket(route, std::move(request));
    }

    /// The connection's bytes, for its WebSocket; null: it is gone.
    std::unique_ptr<WebSocketLink> take_link() {
        const bool secure = stream_.tls() != nullptr;
        SslHandle tls = stream_.take_tls();
        if (secure && !tls) return nullptr;
        error_code gone;
        const int socket = stream_.next_layer().release_socket().release(gone);
        if (gone) return nullptr;
        return tls ? link_tls(socket, std::move(tls), lane_.poller)
                   : link_socket(socket, lane_.poller);
    }

    HttpServing& server_;
    HttpLane& lane_;
    PlainOrTlsStream stream_;
    const tcp::endpoint peer_;
    Place place_;
};

}  // namespace

asio::awaitable<void> serve_http(
    HttpServing& server, HttpLane& lane, tcp::socket socket, tcp::endpoint peer, Place place
) {
    Connection connection{
        server,
        lane,
        PlainOrTlsStream{beast::tcp_stream{std::move(socket)}},
        peer,
        std::move(place)};
    co_await connection.serve();
}

asio::awaitable<void> serve_https(
    HttpServing& server, HttpLane& lane, tcp::socket socket, tcp::endpoint peer, Place place
) {
    Connection connection{
        server,
        lane,
        PlainOrTlsStream{TlsStream{beast::tcp_stream{std::move(socket)}, lane.tls->state().server}},
        peer,
        std::move(place)};
    const bool shaken = co_await connection.shake_hands();
    if (shaken) co_await connection.serve();
}

}  // namespace oavc::net::detail
