#pragma once

#include "net/detail/byte_stream.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include <cstddef>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace oavc::net::detail {

/// A TLS connection's bytes. Operations are never cancelled, as Asio promises nothing of a TLS
/// stream after that (a read may also have to write, and half a record is none): a reader that is
/// cancelled stops waiting, and what then comes is there for the next one.
class TlsBytes : public ByteStream<boost::asio::ssl::stream<boost::asio::ip::tcp::socket>> {
public:
    using Tls = boost::asio::ssl::stream<boost::asio::ip::tcp::socket>;

    TlsBytes(Tls tls, std::size_t max_queued_bytes)
        : ByteStream{std::move(tls), max_queued_bytes},
          ended_{stream().get_executor(), asio::steady_timer::time_point::max()} {}

    static asio::awaitable<Result<std::string_view>> read(std::shared_ptr<TlsBytes> self) {
        if (self->state_ == State::idle) begin_read(self);
        while (self->state_ == State::reading) {
            co_await self->ended_.async_wait(as_result);
            const auto reader = co_await asio::this_coro::cancellation_state;
            if (reader.cancelled() != asio::cancellation_type::none) {
                co_return error_code{asio::error::operation_aborted};
            }
        }
        self->state_ = State::idle;
        if (self->error_) co_return self->error_;
        co_return std::string_view{self->input_.data(), self->size_};
    }

private:
    enum class State { idle, reading, done };

    static void begin_read(const std::shared_ptr<TlsBytes>& self) {
        self->state_ = State::reading;
        self->input_.resize(16 * 1024);
        self->stream().async_read_some(
            asio::buffer(self->input_),
            [self](const error_code& error, std::size_t size) {
                self->state_ = State::done;
                self->error_ = error;
                self->size_ = size;
                self->ended_.cancel();
            }
        );
    }

    asio::steady_timer ended_;  ///< never expires: cancelled when a read ends
    State state_{State::idle};
    std::vector<char> input_;
    error_code error_;  ///< of the latest read
    std::size_t size_{0};
};

}  // namespace oavc::net::detail
