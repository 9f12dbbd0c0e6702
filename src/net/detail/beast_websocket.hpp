#pragma once

#include "async/awaitable.hpp"
#include "base/time.hpp"
#include "net/websocket.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/stream_traits.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/websocket/error.hpp>
#include <boost/beast/websocket/stream.hpp>

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace oavc::net::detail {

namespace beast = boost::beast;
namespace websocket = boost::beast::websocket;

/// What pending socket operations need after the WebSocket itself is gone. Operations are never
/// cancelled one by one (Beast's stream is unusable after that): a reader that is cancelled stops
/// waiting, the read goes on and its message is there for the next read().
template <class Stream>
class WebSocketState : public std::enable_shared_from_this<WebSocketState<Stream>> {
public:
    static constexpr auto close_limit = std::chrono::seconds{2};
    static constexpr std::size_t kept_capacity =
        64 * 1024;  ///< of the read buffer, between messages

    WebSocketState(Stream stream, const WsLimits& limits)
        : ws{std::move(stream)},
          limits_{limits},
          read_signal_{ws.get_executor(), asio::steady_timer::time_point::max()},
          close_signal_{ws.get_executor(), asio::steady_timer::time_point::max()},
          close_deadline_{ws.get_executor()} {
        websocket::stream_base::timeout timeout{};
        timeout.handshake_timeout = std::chrono::seconds{10};
        timeout.idle_timeout = std::chrono::seconds{60};
        timeout.keep_alive_pings = true;
        ws.set_option(timeout);
        ws.read_message_max(limits.max_message);
        ws.auto_fragment(false);  // one message, one frame: what peers expect of audio
    }

    websocket::stream<Stream> ws;

    asio::awaitable<Result<WsMessage>> read() {
        const auto self = this->shared_from_this();
        if (!read_error_ && !ready_ && !reading_) begin_read();
        while (!ready_) {
            if (read_error_) co_return read_error_;
            co_await read_signal_.async_wait(as_result);
            const auto state = co_await asio::this_coro::cancellation_state;
            if (state.cancelled() != asio::cancellation_type::none) {
                co_return error_code{asio::error::operation_aborted};
            }
        }
        ready_ = false;  // the bytes stay until the next begin_read
        WsMessage message;
        message.data = {static_cast<const char*>(buffer_.cdata().data()), buffer_.size()};
        message.binary = ws.got_binary();
        co_return message;
    }

    bool send(std::string_view data, bool binary) {
        if (closing_ || dead_ || data.size() > limits_.max_queued_bytes - queued_bytes_)
            return false;
        std::string text;
        if (!spare_.empty()) {
            text = std::move(spare_.back());
            spare_.pop_back();
        }
        text.assign(data);
        queued_bytes_ += text.size();
        queue_.push_back({std::move(text), binary});
        if (!writing_) write_next();
        return true;
    }

    asio::awaitable<void> close(std::uint16_t code, std::string reason) {
        const auto self = this->shared_from_this();
        begin_close(code, std::move(reason));
        while (!closed_) {
            co_await close_signal_.async_wait(as_result);
            const auto state = co_await asio::this_coro::cancellation_state;
            if (state.cancelled() != asio::cancellation_type::none) co_return;
        }
    }

    void begin_close(std::uint16_t code, std::string reason) {
        if (closing_) return;
        closing_ = true;
        if (dead_) return finish_close();
        constexpr std::size_t longest_reason = 123;  // RFC 6455 §5.5: control payload of 125
        if (reason.size() > longest_reason) reason.resize(longest_reason);
        close_reason_.code = code;
        close_reason_.reason.assign(reason.data(), reason.size());
        close_deadline_.expires_after(close_limit);
        close_deadline_.async_wait([self = this->shared_from_this()](error_code error) {
            if (!error) self->drop();
        });
        if (!writing_) send_close();
    }

    /// Ends every operation; nothing more is read or written.
    void drop() noexcept {
        dead_ = true;
        close_deadline_.cancel();
        beast::get_lowest_layer(ws).close();
    }

    std::uint16_t peer_close_code() const noexcept { return ws.reason().code; }

private:
    struct Outgoing {
        std::string data;
        bool binary;
    };

    /// End of file is said of a close handshake only: a peer that just vanishes is an error.
    /// How the layers below end after a close handshake does not matter.
    error_code meaning_of(const error_code& error) const noexcept {
        if (error == websocket::error::closed || ws.reason()) return asio::error::eof;
        if (error == asio::error::eof) return asio::error::connection_reset;
        return error;
    }

    void begin_read() {
        reading_ = true;
        buffer_.consume(buffer_.size());
        if (buffer_.capacity() > kept_capacity) buffer_.shrink_to_fit();
        ws.async_read(buffer_, [self = this->shared_from_this()](error_code error, std::size_t) {
            self->reading_ = false;
            if (error) {
                self->dead_ = true;
                self->read_error_ = self->meaning_of(error);
            } else {
                self->ready_ = true;
            }
            self->read_signal_.cancel();
        });
    }

    void write_next() {
        writing_ = true;
        const auto& next = queue_.front();
        ws.binary(next.binary);
        ws.async_write(
            asio::buffer(next.data),
            [self = this->shared_from_this()](error_code error, std::size_t) { self->wrote(error); }
        );
    }

    void wrote(const error_code& error) {
        writing_ = false;
        if (error) {
            queue_.clear();
            queued_bytes_ = 0;
            drop();
            if (closing_) finish_close();
            return;
        }
        auto& sent = queue_.front();
        queued_bytes_ -= sent.data.size();
        if (spare_.size() < 16) spare_.push_back(std::move(sent.data));
        queue_.pop_front();
        if (!queue_.empty()) {
            write_next();
        } else if (closing_) {
            send_close();
        }
    }

    void send_close() {
        ws.async_close(close_reason_, [self = this->shared_from_this()](error_code) {
            self->finish_close();
        });
    }

    void finish_close() {
        closed_ = true;
        drop();
        close_signal_.cancel();
    }

    const WsLimits limits_;
    beast::flat_buffer buffer_;
    asio::steady_timer read_signal_;   ///< cancelled when a read has ended
    asio::steady_timer close_signal_;  ///< cancelled when the close handshake has ended
    asio::steady_timer close_deadline_;
    error_code read_error_;
    bool reading_{false};
    bool ready_{false};
    std::deque<Outgoing> queue_;
    std::vector<std::string> spare_;  ///< buffers of sent messages, used again
    std::size_t queued_bytes_{0};
    bool writing_{false};
    websocket::close_reason close_reason_;
    bool closing_{false};
    bool closed_{false};
    bool dead_{false};
};

template <class Stream>
class BeastWebSocket final : public WebSocket {
public:
    explicit BeastWebSocket(std::shared_ptr<WebSocketState<Stream>> state)
        : state_{std::move(state)} {}
    BeastWebSocket(const BeastWebSocket&) = delete;
    BeastWebSocket& operator=(const BeastWebSocket&) = delete;
    ~BeastWebSocket() override { state_->drop(); }

    asio::awaitable<Result<WsMessage>> read() override { return state_->read(); }
    bool send_text(std::string_view text) override { return state_->send(text, false); }
    bool send_binary(std::string_view data) override { return state_->send(data, true); }
    asio::awaitable<void> close(std::uint16_t code, std::string reason) override {
        return state_->close(code, std::move(reason));
    }
    void begin_close(std::uint16_t code, std::string reason) override {
        state_->begin_close(code, std::move(reason));
    }
    std::uint16_t peer_close_code() const noexcept override { return state_->peer_close_code(); }

private:
    std::shared_ptr<WebSocketState<Stream>> state_;
};

}  // namespace oavc::net::detail
