#include "net/http_stream.hpp"

#include "async/deadline.hpp"
#include "async/signal.hpp"
#include "base/random.hpp"
#include "net/detail/client_http.hpp"
#include "net/url.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>

#include <netinet/tcp.h>

#include <algorithm>
#include <array>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

namespace oavc::net {

namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;

constexpr std::size_t longest_head = 64 * 1024;
constexpr std::size_t read_step = 4 * 1024;
constexpr std::size_t most_idle = 4;  ///< connections kept; more are closed
constexpr Clock::duration first_wait = 250ms;
constexpr Clock::duration longest_wait = 10s;

/// Finds out within a minute that an idle peer has vanished without a word (a NAT that forgot).
void watch_peer(asio::ip::tcp::socket& socket) {
    using Idle = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPIDLE>;
    using Interval = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPINTVL>;
    using Count = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPCNT>;
    error_code ignored;
    socket.set_option(asio::socket_base::keep_alive{true}, ignored);
    socket.set_option(Idle{30}, ignored);
    socket.set_option(Interval{10}, ignored);
    socket.set_option(Count{3}, ignored);
}

/// One connection. A read is pending whenever nothing is asked of it, so that its end is noticed;
/// operations are never cancelled one by one (TLS is unusable after that): who waits may leave, the
/// read goes on.
class Connection : public std::enable_shared_from_this<Connection> {
public:
    Connection(async::Shard& shard, detail::PlainOrTlsStream stream)
        : stream_{std::move(stream)}, arrived_{shard.executor()}, written_{shard.executor()} {
        stream_.next_layer().expires_never();
        watch_peer(stream_.next_layer().socket());
    }

    beast::flat_buffer input;  ///< read and not yet parsed; untouched while a read is pending

    /// Until the next request: whatever comes now, its end or bytes nobody asked for, closes it.
    void rest(std::function<void()> on_end) {
        on_idle_end_ = std::move(on_end);
        begin_read();
    }
    void wake() noexcept { on_idle_end_ = nullptr; }
    bool dead() const noexcept { return dead_ || read_error_; }

    asio::awaitable<error_code> write(std::string text) {
        const auto self = shared_from_this();
        output_ = std::move(text);
        writing_ = true;
        asio::async_write(
            stream_,
            asio::buffer(output_),
            [self](const error_code& error, std::size_t) {
                self->writing_ = false;
                self->write_error_ = error;
                self->written_.notify();
            }
        );
        while (writing_) {
            const bool go_on = co_await written_.wait();
            if (!go_on) co_return error_code{asio::error::operation_aborted};
        }
        co_return write_error_;
    }

    /// Waits until there is more in `input`, or the end of it.
    asio::awaitable<error_code> more() {
        const auto self = shared_from_this();
        if (!reading_ && !read_error_) begin_read();
        while (reading_) {
            const bool go_on = co_await arrived_.wait();
            if (!go_on) co_return error_code{asio::error::operation_aborted};
        }
        co_return read_error_;
    }

    void drop() noexcept {
        dead_ = true;
        on_idle_end_ = nullptr;
        stream_.next_layer().close();
    }

private:
    void begin_read() {
        if (reading_ || dead()) return;
        reading_ = true;
        stream_.async_read_some(
            input.prepare(read_step),
            [self = shared_from_this()](const error_code& error, std::size_t size) {
                self->reading_ = false;
                if (error) {
                    self->read_error_ = detail::plain(error);
                } else {
                    self->input.commit(size);
                }
                self->arrived_.notify();
                if (const auto on_end = std::exchange(self->on_idle_end_, nullptr)) {
                    self->drop();
                    on_end();
                }
            }
        );
    }

    detail::PlainOrTlsStream stream_;
    async::Signal arrived_;
    async::Signal written_;
    std::string output_;
    std::function<void()> on_idle_end_;
    bool reading_{false};
    bool writing_{false};
    bool dead_{false};
    error_code read_error_;
    error_code write_error_;
};

}  // namespace

struct HttpConnections::State : std::enable_shared_from_this<State> {
    State(async::Shard& on, Options with)
        : shard{on}, options{std::move(with)}, url{parse_url(options.url)}, changed{on.executor()} {
        if (url && url->scheme != "http" && url->scheme != "https") {
            url = error_code{NetErrc::bad_url};
        }
        if (!url) return;
        prefix = url->target.substr(0, url->target.find('?'));
        while (prefix.ends_with('/'))
            prefix.pop_back();
    }

    async::Shard& shard;
    const Options options;
    Result<Url> url;
    std::string prefix;     ///< of every target, without its last slash
    async::Signal changed;  ///< one of the following
    std::vector<std::shared_ptr<Connection>> idle;
    std::size_t in_use{0};
    bool connecting{false};  ///< the keeper is at it
    error_code connect_error;
    std::size_t answers{0};  ///< connections that served a request
    bool closed{false};
    Stats stats;

    asio::awaitable<Result<std::shared_ptr<Connection>>> connect();
    /// An open connection. `kept`: it was there already, and may have died unnoticed.
    asio::awaitable<Result<std::shared_ptr<Connection>>> take(bool fresh, bool& kept);
    void keep(std::shared_ptr<Connection> connection);
    void drop_idle() noexcept {
        for (const auto& connection : idle)
            connection->drop();
        idle.clear();
    }
    void forget_dead() {
        std::erase_if(idle, [](const auto& connection) { return connection->dead(); });
    }

    /// Holds a connection ready whenever none is in use.
    static asio::awaitable<void> keep_warm(std::shared_ptr<State> self);
};

class HttpConnections::Stream final : public HttpStream {
public:
    Stream(std::shared_ptr<State> state, std::shared_ptr<Connection> connection)
        : state_{std::move(state)}, connection_{std::move(connection)} {
        ++state_->in_use;
    }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    ~Stream() override { leave(false); }

    const HttpResponse& head() const noexcept override { return head_; }
    bool got_some() const noexcept { return parser_ && parser_->got_some(); }

    asio::awaitable<error_code> read_head() {
        do {  // 1xx come before the answer (RFC 9110 §15.2)
            parser_.emplace();
            parser_->header_limit(longest_head);
            parser_->body_limit(boost::none);
            parser_->eager(false);
            hungry_ = false;
            while (!parser_->is_header_done()) {
                const auto error = co_await advance();
                if (error) co_return error;
            }
        } while (parser_->get().result_int() < 200);
        ++state_->answers;
        head_ = detail::head_of(parser_->get());
        parser_->eager(true);
        if (parser_->is_done()) leave(true);
        co_return error_code{};
    }

    asio::awaitable<Result<std::string_view>> read() override {
        while (connection_ != nullptr && !parser_->is_done()) {
            auto& body = parser_->get().body();
            body.data = piece_.data();
            body.size = piece_.size();
            const auto error = co_await advance();
            if (error == asio::error::operation_aborted) co_return error;
            if (error) {
                end_ = error;
                leave(false);
            } else if (parser_->is_done()) {
                leave(true);
            }
            const std::string_view piece{piece_.data(), piece_.size() - body.size};
            if (!piece.empty()) co_return piece;
        }
        co_return end_;
    }

private:
    /// Parses what is there, or waits for more when that was not enough.
    asio::awaitable<error_code> advance() {
        if (hungry_ || connection_->input.size() == 0) {
            const auto error = co_await refill();
            if (!error) hungry_ = false;
            co_return error;
        }
        error_code error;
        connection_->input.consume(parser_->put(connection_->input.data(), error));
        hungry_ = error == http::error::need_more;
        if (hungry_ || error == http::error::need_buffer) error = {};
        co_return error;
    }

    /// More input, or what its end means to the parser.
    asio::awaitable<error_code> refill() {
        // Beast waits for the end of a chunk's header however long it is.
        if (connection_->input.size() > longest_head) {
            co_return error_code{http::error::header_limit};
        }
        const auto error = co_await connection_->more();
        if (error != asio::error::eof) co_return error;
        if (!parser_->got_some()) co_return error_code{http::error::end_of_stream};
        error_code at_end;
        parser_->put_eof(at_end);
        co_return at_end;
    }

    /// Gives the connection back (`whole`: the answer was read to its end), or drops it.
    void leave(bool whole) {
        if (!connection_) return;
        --state_->in_use;
        if (whole && parser_->keep_alive() && connection_->input.size() == 0) {
            state_->keep(std::move(connection_));
        } else {
            connection_->drop();
        }
        connection_ = nullptr;
        state_->changed.notify();
    }

    std::shared_ptr<State> state_;
    std::shared_ptr<Connection> connection_;
    std::optional<http::response_parser<http::buffer_body>> parser_;
    HttpResponse head_;
    std::array<char, read_step> piece_;
    bool hungry_{false};
    error_code end_{asio::error::eof};
};

asio::awaitable<Result<std::shared_ptr<Connection>>> HttpConnections::State::connect() {
    const auto self = shared_from_this();
    auto stream =
        co_await detail::connect(shard, *url, options.tls, Clock::now() + options.connect_timeout);
    if (stream.has_error()) co_return stream.error();
    ++stats.opened;
    co_return std::make_shared<Connection>(shard, std::move(*stream));
}

asio::awaitable<Result<std::shared_ptr<Connection>>> HttpConnections::State::take(
    bool fresh, bool& kept
) {
    kept = false;
    if (fresh) drop_idle();
    while (!fresh) {
        forget_dead();
        if (!idle.empty()) {
            auto connection = std::move(idle.back());
            idle.pop_back();
            connection->wake();
            kept = true;
            ++stats.reused;
            co_return connection;
        }
        if (!connecting) break;
        const bool go_on = co_await changed.wait();
        if (!go_on) co_return error_code{asio::error::operation_aborted};
        if (!connecting && connect_error) co_return connect_error;
    }
    co_return co_await connect();
}

void HttpConnections::State::keep(std::shared_ptr<Connection> connection) {
    if (closed || idle.size() >= most_idle) return connection->drop();
    connection->rest([weak = weak_from_this()] {
        const auto self = weak.lock();
        if (!self) return;
        self->forget_dead();
        self->changed.notify();
    });
    idle.push_back(std::move(connection));
    changed.notify();
}

asio::awaitable<void> HttpConnections::State::keep_warm(std::shared_ptr<State> self) {
    Clock::duration wait{};  // none for the first, and when the last one was of use
    auto answers = self->answers;
    auto opened = Clock::now();
    for (;;) {
        while (!self->idle.empty() || self->in_use > 0) {
            const bool go_on = co_await self->changed.wait();
            if (!go_on) co_return;
        }
        if (self->answers != answers || Clock::now() - opened > longest_wait) wait = {};
        answers = self->answers;
        if (wait > Clock::duration::zero()) {
            const bool go_on = co_await async::sleep_for(with_jitter(wait));
            if (!go_on) co_return;
            if (!self->idle.empty() || self->in_use > 0) continue;
        }
        wait = std::clamp(wait * 2, first_wait, longest_wait);
        self->connecting = true;
        auto connection = co_await self->connect();
        self->connecting = false;
        self->connect_error = connection ? error_code{} : connection.error();
        const auto cancelled = co_await asio::this_coro::cancellation_state;
        if (cancelled.cancelled() != asio::cancellation_type::none) co_return;
        opened = Clock::now();
        if (connection) self->keep(std::move(*connection));
        self->changed.notify();
    }
}

HttpConnections::HttpConnections(async::Shard& shard, Options options)
    : state_{std::make_shared<State>(shard, std::move(options))},
      // An exception here is a bug or memory running out: the call goes on without a spare.
      background_{shard.executor(), [](std::exception_ptr) {}} {
    if (state_->url && state_->options.keep_warm) background_.spawn(State::keep_warm(state_));
}

HttpConnections::~HttpConnections() {
    state_->closed = true;
    state_->drop_idle();
}

bool HttpConnections::warm() const noexcept {
    return std::ranges::any_of(state_->idle, [](const auto& each) { return !each->dead(); });
}

const HttpConnections::Stats& HttpConnections::stats() const noexcept { return state_->stats; }

asio::awaitable<Result<std::unique_ptr<HttpStream>>> HttpConnections::request(Request request) {
    const auto state = state_;  // outlives us while we wait
    if (!state->url) co_return state->url.error();
    HttpHeaders headers = state->options.headers;
    for (const auto& [name, value] : request.headers)
        headers.insert_or_assign(name, value);
    if (!request.body.empty()) headers.try_emplace("Content-Type", request.content_type);
    const std::string text = detail::request_text(
        request.method,
        *state->url,
        state->prefix + request.target,
        std::move(headers),
        request.body
    );
    for (bool fresh = false;; fresh = true) {
        bool kept = false;
        auto connection = co_await state->take(fresh, kept);
        if (connection.has_error()) co_return connection.error();
        auto stream = std::make_unique<Stream>(state, *connection);
        auto error = co_await (*connection)->write(text);
        // A server may answer (413) and close before it has read everything: look for the answer.
        if (!error || error == asio::error::broken_pipe || error == asio::error::connection_reset) {
            error = co_await stream->read_head();
        }
        if (!error) co_return std::unique_ptr<HttpStream>{std::move(stream)};
        if (error == asio::error::operation_aborted || !kept || stream->got_some()) {
            co_return error;
        }
        ++state->stats.retried;
    }
}

namespace {

asio::awaitable<void> drain(std::unique_ptr<HttpStream> stream) {
    const auto rest = co_await async::with_deadline(read_rest(*stream, longest_head), 1s);
    static_cast<void>(rest);
}

}  // namespace

void HttpConnections::finish(std::unique_ptr<HttpStream> stream) {
    background_.spawn(drain(std::move(stream)));
}

asio::awaitable<Result<std::string>> read_rest(HttpStream& stream, std::size_t max_size) {
    std::string rest;
    for (;;) {
        const auto piece = co_await stream.read();
        if (piece.has_error()) {
            if (piece.error() == asio::error::eof) co_return rest;
            co_return piece.error();
        }
        if (piece->size() > max_size - rest.size()) co_return error_code{http::error::body_limit};
        rest += *piece;
    }
}

}  // namespace oavc::net
