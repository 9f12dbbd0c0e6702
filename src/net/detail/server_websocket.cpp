#include "net/detail/server_websocket.hpp"

#include "net/detail/websocket_frames.hpp"
#include "net/errors.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include <optional>
#include <string>
#include <utility>

namespace oavc::net::detail {

namespace {

constexpr auto close_limit = std::chrono::seconds{2};
constexpr auto quiet_limit = std::chrono::seconds{30};  ///< then a ping; as long again: lost
constexpr std::size_t kept_capacity = 4096;             ///< of an empty buffer

void release_memory(std::string& empty) {
    if (empty.capacity() > kept_capacity) empty.shrink_to_fit();
}

/// What pending operations need after the WebSocket itself is gone.
class State final : public std::enable_shared_from_this<State>, private WebSocketLink::Owner {
public:
    State(
        boost::asio::any_io_executor executor,
        std::unique_ptr<WebSocketLink> link,
        const WsLimits& limits
    )
        : link_{std::move(link)},
          limits_{limits},
          reader_{limits.max_message},
          changed_{executor, asio::steady_timer::time_point::max()},
          timer_{executor} {
        link_->belong_to(*this);
    }

    void start() { watch_for_quiet(); }

    asio::awaitable<Result<WsMessage>> read() {
        const auto self = shared_from_this();
        flush();  // the next message may be here already: nothing is gained by waiting
        for (;;) {
            if (const auto message = next_stored()) co_return *message;
            if (ended_) co_return why_;
            ask_for_bytes();
            const bool go_on = co_await change();
            if (!go_on) co_return error_code{asio::error::operation_aborted};
        }
    }

    asio::awaitable<Result<void>> receive(WsReceiver& receiver) {
        /// Messages are handed over as long as this coroutine lives.
        struct Receiving {
            Receiving(State& s, WsReceiver& r) : state{s} { state.receiver_ = &r; }
            Receiving(const Receiving&) = delete;
            Receiving& operator=(const Receiving&) = delete;
            ~Receiving() { state.receiver_ = nullptr; }
            State& state;
        };
        const auto self = shared_from_this();
        const Receiving receiving{*this, receiver};
        hand_over({});
        while (receiver_ != nullptr && !ended_) {
            const bool go_on = co_await change();
            if (!go_on) co_return error_code{asio::error::operation_aborted};
        }
        if (receiver_ == nullptr) co_return Result<void>{};
        co_return why_;
    }

    bool send(WsOpcode opcode, std::string_view data) {
        const bool fits = data.size() <= limits_.max_queued_bytes - queued_bytes_;
        if (phase_ != Phase::open || !fits) return false;
        queued_bytes_ += data.size();
        waiting_bytes_ += data.size();
        append_frame(waiting_, opcode, data);
        flush_soon();
        return true;
    }

    asio::awaitable<void> close(std::uint16_t code, std::string reason) {
        const auto self = shared_from_this();
        begin_close(code, std::move(reason));
        while (phase_ != Phase::over) {
            const bool go_on = co_await change();
            if (!go_on) co_return;
        }
    }

    void begin_close(std::uint16_t code, std::string_view reason) {
        if (phase_ != Phase::open) return;
        const auto self = shared_from_this();
        phase_ = Phase::closing;
        say_close(code, reason);
        ask_for_bytes();
        flush_soon();
    }

    /// Ends everything; nothing more is read or written.
    void drop() noexcept {
        if (phase_ == Phase::over) return;
        phase_ = Phase::over;
        timer_.cancel();
        link_->close();
        end(asio::error::operation_aborted);
    }

    std::uint16_t peer_close_code() const noexcept { return peer_code_; }

private:
    enum class Phase {
        open,
        closing,    ///< our close is on its way, the peer's is awaited
        answering,  ///< the peer closed: our answer is on its way
        breaking,   ///< our close says what the peer did wrong; its end is awaited
        over,
    };

    // --- in ---

    void on_bytes(std::span<char> bytes) override {
        const auto self = shared_from_this();
        reading_ = false;
        quiet_ = false;
        if (phase_ == Phase::open && receiver_ == nullptr) {
            stored_.append(bytes.data(), bytes.size());
            changed_.cancel();
        } else {
            hand_over(bytes);
        }
    }

    void on_input_over(const error_code& why) override {
        const auto self = shared_from_this();
        reading_ = false;
        // End of file is said of a close handshake only: a peer that just vanishes is an error.
        end(why == asio::error::eof ? error_code{asio::error::connection_reset} : why);
        drop();
    }

    void ask_for_bytes() {
        if (reading_ || handing_over_ || phase_ == Phase::over) return;
        reading_ = true;
        link_->read();
    }

    /// Takes what is stored, then `bytes`, and asks for more.
    void hand_over(std::span<char> bytes) {
        stored_.erase(0, std::exchange(taken_, 0));
        const bool joined = !stored_.empty();
        if (joined) {
            stored_.append(bytes.data(), bytes.size());
            bytes = stored_;
        }
        handing_over_ = true;  // the link may not write over them
        for (bool more = true; more;) {
            const auto message = take(bytes);
            more = message && (receiver_ == nullptr || receiver_->on_message(*message));
            if (message && !more) {
                receiver_ = nullptr;
                changed_.cancel();
            }
        }
        if (joined) {
            stored_.erase(0, stored_.size() - bytes.size());
        } else {
            stored_.assign(bytes.data(), bytes.size());
        }
        if (stored_.empty()) release_memory(stored_);
        handing_over_ = false;
        if (receiver_ != nullptr || phase_ != Phase::open) ask_for_bytes();
    }

    std::optional<WsMessage> next_stored() {
        std::span<char> rest = std::span{stored_}.subspan(taken_);
        const auto message = take(rest);
        taken_ = stored_.size() - rest.size();
        if (!message) stored_.erase(0, std::exchange(taken_, 0));
        return message;
    }

    /// The next message, if we still listen; what is between is dealt with.
    std::optional<WsMessage> take(std::span<char>& bytes) {
        while (phase_ == Phase::open || phase_ == Phase::closing) {
            const auto item = reader_.next(bytes);
            switch (item.kind) {
                case WsReader::Kind::need_more:
                    return std::nullopt;
                case WsReader::Kind::text:
                case WsReader::Kind::binary:
                    if (phase_ == Phase::closing) break;
                    return WsMessage{item.data, item.kind == WsReader::Kind::binary};
                case WsReader::Kind::ping:
                    // A peer that pings and does not read gets no more answers than fit, also of
                    // pings without payload: their frames take room all the same.
                    if (waiting_.size() <= limits_.max_queued_bytes) {
                        send(WsOpcode::pong, item.data);
                    }
                    break;
                case WsReader::Kind::pong:
                    break;
                case WsReader::Kind::close:
                    on_close(item.code);
                    break;
                case WsReader::Kind::broken:
                    on_broken(item.code);
                    break;
            }
        }
        bytes = {};
        return std::nullopt;
    }

    void on_close(std::uint16_t code) {
        peer_code_ = code;
        end(asio::error::eof);
        if (phase_ == Phase::closing) return drop();
        phase_ = Phase::answering;
        say_close(code, {});
    }

    void on_broken(std::uint16_t code) {
        end(NetErrc::websocket_broken);
        if (phase_ == Phase::closing) return drop();  // our close has been said
        phase_ = Phase::breaking;
        say_close(code, {});
    }

    /// Nothing more is read by our user.
    void end(const error_code& why) noexcept {
        if (!std::exchange(ended_, true)) why_ = why;
        changed_.cancel();
    }

    asio::awaitable<bool> change() {
        co_await changed_.async_wait(as_result);
        const auto state = co_await asio::this_coro::cancellation_state;
        co_return state.cancelled() == asio::cancellation_type::none;
    }

    // --- out ---

    void flush_soon() {
        if (std::exchange(flush_asked_, true)) return;
        link_->flush_soon();
    }

    void on_flush() override {
        flush_asked_ = false;
        flush();
        // The peer's close may lie there already.
        if (phase_ == Phase::closing && !stored_.empty()) hand_over({});
    }

    void flush() {
        if (writing_ || waiting_.empty() || phase_ == Phase::over) return;
        std::swap(waiting_, sending_);
        sending_bytes_ = std::exchange(waiting_bytes_, 0);
        writing_ = true;
        if (link_->write(sending_)) on_written({});
    }

    void on_written(const error_code& error) override {
        const auto self = shared_from_this();
        writing_ = false;
        queued_bytes_ -= std::exchange(sending_bytes_, 0);
        sending_.clear();
        release_memory(sending_);
        if (error) {
            end(error);
            return drop();
        }
        if (!waiting_.empty()) return flush();
        if (phase_ == Phase::answering) drop();
        // What the peer still sends is read and thrown away: else TCP would reset the connection
        // before our close frame is read.
        if (phase_ == Phase::breaking) link_->shutdown_send();
    }

    void say_close(std::uint16_t code, std::string_view reason) {
        append_close(waiting_, code, reason);
        timer_.expires_after(close_limit);
        timer_.async_wait([self = shared_from_this()](const error_code& error) {
            if (!error) self->drop();
        });
        flush();
    }

    void watch_for_quiet() {
        timer_.expires_after(quiet_limit);
        timer_.async_wait([weak = weak_from_this()](const error_code& error) {
            const auto self = weak.lock();
            if (error || !self || self->phase_ != Phase::open) return;
            self->on_quiet_limit();
        });
    }

    /// While nobody reads, the peer's silence is ours.
    void on_quiet_limit() {
        const bool quiet = std::exchange(quiet_, true) && reading_;
        if (quiet && std::exchange(pinged_, true)) {
            end(asio::error::timed_out);
            return drop();
        }
        if (quiet) {
            send(WsOpcode::ping, {});
        } else {
            pinged_ = false;
        }
        watch_for_quiet();
    }

    std::shared_ptr<void> alive() override { return shared_from_this(); }

    const std::unique_ptr<WebSocketLink> link_;
    const WsLimits limits_;
    WsReader reader_;
    asio::steady_timer changed_;  ///< cancelled when a message or the end has come
    asio::steady_timer timer_;    ///< silence; from a close frame on, its deadline
    Phase phase_{Phase::open};

    WsReceiver* receiver_{nullptr};
    std::string stored_;    ///< received, not yet used
    std::size_t taken_{0};  ///< of it, handed over: its reader may still look at it
    bool reading_{false};
    bool handing_over_{false};
    bool quiet_{false};  ///< nothing came since the timer last looked
    bool pinged_{false};
    bool ended_{false};
    error_code why_;
    std::uint16_t peer_code_{0};

    std::string waiting_;           ///< frames
    std::string sending_;           ///< frames, with the link
    std::size_t waiting_bytes_{0};  ///< of payload
    std::size_t sending_bytes_{0};  ///< of payload
    std::size_t queued_bytes_{0};   ///< both
    bool writing_{false};
    bool flush_asked_{false};
};

class ServerWebSocket final : public WebSocket {
public:
    explicit ServerWebSocket(std::shared_ptr<State> state) : state_{std::move(state)} {}
    ServerWebSocket(const ServerWebSocket&) = delete;
    ServerWebSocket& operator=(const ServerWebSocket&) = delete;
    ~ServerWebSocket() override { state_->drop(); }

    asio::awaitable<Result<WsMessage>> read() override { return state_->read(); }
    asio::awaitable<Result<void>> receive(WsReceiver& receiver) override {
        return state_->receive(receiver);
    }
    bool send_text(std::string_view text) override { return state_->send(WsOpcode::text, text); }
    bool send_binary(std::string_view data) override {
        return state_->send(WsOpcode::binary, data);
    }
    asio::awaitable<void> close(std::uint16_t code, std::string reason) override {
        return state_->close(code, std::move(reason));
    }
    void begin_close(std::uint16_t code, std::string reason) override {
        state_->begin_close(code, reason);
    }
    std::uint16_t peer_close_code() const noexcept override { return state_->peer_close_code(); }

private:
    std::shared_ptr<State> state_;
};

}  // namespace

std::unique_ptr<WebSocket> make_server_websocket(
    boost::asio::any_io_executor executor,
    std::unique_ptr<WebSocketLink> link,
    const WsLimits& limits
) {
    auto state = std::make_shared<State>(std::move(executor), std::move(link), limits);
    state->start();
    return std::make_unique<ServerWebSocket>(std::move(state));
}

}  // namespace oavc::net::detail
