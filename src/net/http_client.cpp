#include "net/http_client.hpp"

#include "net/detail/beast_websocket.hpp"
#include "net/detail/client_http.hpp"
#include "net/detail/client_tls.hpp"
#include "net/detail/connect_tcp.hpp"
#include "net/detail/read_http.hpp"
#include "net/detail/server_certificate.hpp"
#include "net/detail/tls_state.hpp"
#include "net/detail/websocket_teardown.hpp"
#include "net/url.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>

#include <algorithm>
#include <optional>
#include <vector>

namespace oavc::net {

namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace ssl = boost::asio::ssl;
namespace websocket = boost::beast::websocket;
using detail::PlainOrTlsStream;
using detail::TlsStream;

constexpr std::string_view user_agent = "oavc/" OAVC_VERSION;

Result<TlsStream> make_tls(
    async::Shard& shard,
    beast::tcp_stream stream,
    const std::string& host,
    const TlsIdentity& identity
) {
    const auto context = detail::client_context(shard, identity);
    if (context.has_error()) return context.error();
    TlsStream tls{std::move(stream), (*context)->state().client};
    const auto expected = detail::expect_host(tls.native_handle(), host);
    if (expected.has_error()) return expected.error();
    return tls;
}

asio::awaitable<Result<HttpResponse>> exchange(
    PlainOrTlsStream& stream, const Url& url, const HttpClientRequest& request, TimePoint deadline
) {
    HttpHeaders headers = request.headers;
    headers.try_emplace("Connection", "close");
    const std::string text =
        detail::request_text(request.method, url, url.target, std::move(headers), request.body);
    auto [write_error, written] = co_await asio::async_write(stream, asio::buffer(text), as_result);
    // A server may answer (413) and close before it has read everything: look for the answer.
    if (write_error && write_error != asio::error::broken_pipe &&
        write_error != asio::error::connection_reset) {
        co_return detail::plain(write_error);
    }

    beast::flat_buffer buffer;
    std::optional<http::response_parser<http::buffer_body>> parser;
    do {  // 1xx come before the answer (RFC 9110 §15.2)
        parser.emplace();
        parser->header_limit(64 * 1024);
        parser->body_limit(boost::none);
        parser->skip(request.method == "HEAD");
        const auto error = co_await detail::read_http(stream, buffer, *parser, false);
        if (error) co_return detail::plain(error);
    } while (parser->get().result_int() < 200);

    auto response = detail::head_of(parser->get());
    std::vector<char> chunk(16 * 1024);
    parser->eager(true);
    bool hungry = buffer.size() == 0;
    while (!parser->is_done()) {
        if (request.on_body) {
            stream.next_layer().expires_at(std::min(deadline, Clock::now() + request.stall_limit));
        }
        parser->get().body().data = chunk.data();
        parser->get().body().size = chunk.size();
        error_code error;
        if (hungry) {
            error = co_await detail::read_more(stream, buffer, *parser);
            hungry = false;
        } else {
            buffer.consume(parser->put(buffer.data(), error));
            hungry = error == http::error::need_more || buffer.size() == 0;
            if (error == http::error::need_more || error == http::error::need_buffer) error = {};
        }
        if (error) co_return detail::plain(error);
        const std::string_view piece{chunk.data(), chunk.size() - parser->get().body().size};
        if (request.on_body) {
            if (!piece.empty() && !request.on_body(response, piece)) {
                co_return error_code{NetErrc::stopped_by_sink};
            }
        } else {
            if (response.body.size() + piece.size() > request.max_body) {
                co_return error_code{http::error::body_limit};
            }
            response.body += piece;
        }
    }
    co_return response;
}

asio::awaitable<Result<std::unique_ptr<WebSocket>>> shake_hands(
    PlainOrTlsStream stream,
    const Url& url,
    const HttpHeaders& headers,
    TimePoint deadline,
    const WsLimits& limits
) {
    using State = detail::WebSocketState<PlainOrTlsStream>;
    // The handshake is read into a response that says why it was refused. The WebSocket's own
    // handshake timeout gives way to the caller's deadline.
    const auto state = std::make_shared<State>(std::move(stream), limits);
    websocket::stream_base::timeout timeout{};
    state->ws.get_option(timeout);
    const auto idle = timeout;
    timeout.handshake_timeout = std::max<Clock::duration>(deadline - Clock::now(), milliseconds{1});
    state->ws.set_option(timeout);
    state->ws.set_option(
        websocket::stream_base::decorator([&headers](websocket::request_type& request) {
            request.set(http::field::user_agent, user_agent);
            for (const auto& [name, value] : headers)
                request.set(name, value);
        })
    );
    websocket::response_type response;
    auto [error] =
        co_await state->ws.async_handshake(response, url.authority(), url.target, as_result);
    if (error == websocket::error::upgrade_declined) {
        co_return error_code{static_cast<int>(response.result_int()), http_status_category()};
    }
    if (error) co_return detail::plain(error);
    state->ws.set_option(idle);
    // The decorator borrows `headers`.
    state->ws.set_option(websocket::stream_base::decorator([](websocket::request_type&) {}));
    std::unique_ptr<WebSocket> socket =
        std::make_unique<detail::BeastWebSocket<PlainOrTlsStream>>(state);
    co_return std::move(socket);
}

}  // namespace

namespace detail {

error_code plain(const error_code& error) noexcept {
    return error == beast::error::timeout ? error_code{asio::error::timed_out} : error;
}

HttpResponse head_of(const http::response_header<>& header) {
    HttpResponse head;
    head.status = static_cast<int>(header.result_int());
    head.content_type.clear();
    for (const auto& field : header) {
        const std::string_view value{field.value().data(), field.value().size()};
        auto [entry, inserted] = head.headers.try_emplace(std::string{field.name_string()}, value);
        if (!inserted) entry->second.append(", ").append(value);
    }
    const auto type = header[http::field::content_type];
    head.content_type.assign(type.data(), type.size());
    return head;
}

asio::awaitable<Result<PlainOrTlsStream>> connect(
    async::Shard& shard, const Url& url, const TlsIdentity& identity, TimePoint deadline
) {
    auto socket = co_await detail::connect_tcp(shard.executor(), url.host, url.port, deadline);
    if (socket.has_error()) co_return socket.error();
    beast::tcp_stream stream{std::move(*socket)};
    stream.expires_at(deadline);
    if (!url.secure()) co_return PlainOrTlsStream{std::move(stream)};
    auto tls = make_tls(shard, std::move(stream), url.host, identity);
    if (tls.has_error()) co_return tls.error();
    auto [error] = co_await tls->async_handshake(ssl::stream_base::client, as_result);
    if (error) co_return detail::plain(detail::handshake_error(tls->native_handle(), error));
    co_return PlainOrTlsStream{std::move(*tls)};
}

std::string request_text(
    std::string_view method,
    const Url& url,
    std::string_view target,
    HttpHeaders headers,
    std::string_view body
) {
    headers.try_emplace("Host", url.authority());
    headers.try_emplace("User-Agent", user_agent);
    headers.try_emplace("Accept", "*/*");
    if (!body.empty() || (method != "GET" && method != "HEAD")) {
        headers.try_emplace("Content-Length", std::to_string(body.size()));
    }
    std::string text{method};
    text.append(" ").append(target).append(" HTTP/1.1\r\n");
    for (const auto& [name, value] : headers) {
        constexpr std::string_view line_ends{"\r\n\0", 3};
        if (name.find_first_of(line_ends) != std::string::npos) continue;
        if (value.find_first_of(line_ends) != std::string::npos) continue;
        text.append(name).append(": ").append(value).append("\r\n");
    }
    text += "\r\n";
    text += body;
    return text;
}

}  // namespace detail

asio::awaitable<Result<HttpResponse>> http_request(
    async::Shard& shard, HttpClientRequest request, Clock::duration limit
) {
    const TimePoint deadline = Clock::now() + limit;
    const auto url = parse_url(request.url);
    if (url.has_error()) co_return url.error();
    if (url->scheme != "http" && url->scheme != "https") co_return error_code{NetErrc::bad_url};
    auto stream = co_await detail::connect(shard, *url, request.tls, deadline);
    if (stream.has_error()) co_return stream.error();
    co_return co_await exchange(*stream, *url, request, deadline);
}

asio::awaitable<Result<std::unique_ptr<WebSocket>>> websocket_connect(
    async::Shard& shard,
    std::string url_text,
    HttpHeaders headers,
    Clock::duration limit,
    WsLimits limits,
    TlsIdentity tls
) {
    const TimePoint deadline = Clock::now() + limit;
    const auto url = parse_url(url_text);
    if (url.has_error()) co_return url.error();
    if (url->scheme != "ws" && url->scheme != "wss") co_return error_code{NetErrc::bad_url};
    auto stream = co_await detail::connect(shard, *url, tls, deadline);
    if (stream.has_error()) co_return stream.error();
    stream->next_layer().expires_never();  // the WebSocket has timeouts of its own
    co_return co_await shake_hands(std::move(*stream), *url, headers, deadline, limits);
}

}  // namespace oavc::net
