#pragma once

#include "async/awaitable.hpp"
#include "base/result.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/write.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace oavc::net::detail {

/// A connection's reading and its bounded queue of bytes to send, over a TCP socket or TLS: what
/// pending operations need after the TcpStream itself is gone.
template <class Stream>
class ByteStream : public std::enable_shared_from_this<ByteStream<Stream>> {
public:
    ByteStream(Stream stream, std::size_t max_queued_bytes)
        : stream_{std::move(stream)}, max_queued_bytes_{max_queued_bytes} {}

    Stream& stream() noexcept { return stream_; }

    static asio::awaitable<Result<std::string_view>> read(std::shared_ptr<ByteStream> self) {
        self->input_.resize(16 * 1024);
        auto [error, size] =
            co_await self->stream_.async_read_some(asio::buffer(self->input_), as_result);
        if (error) co_return error;
        co_return std::string_view{self->input_.data(), size};
    }

    bool send(std::string_view bytes) {
        if (dead_ || bytes.size() > max_queued_bytes_ - queued_.size() - sending_.size()) {
            return false;
        }
        queued_ += bytes;
        if (open_ && sending_.empty()) write();
        return true;
    }

    /// What is queued waits until then: a TLS handshake.
    void hold_back() noexcept { open_ = false; }
    void release() {
        open_ = true;
        if (!queued_.empty() && sending_.empty()) write();
    }

    void drop() noexcept {
        dead_ = true;
        error_code ignored;
        stream_.lowest_layer().close(ignored);
    }

private:
    void write() {
        std::swap(queued_, sending_);
        asio::async_write(
            stream_,
            asio::buffer(sending_),
            [self = this->shared_from_this()](const error_code& error, std::size_t) {
                self->sending_.clear();
                if (error) {
                    self->dead_ = true;  // reading tells why
                    self->queued_.clear();
                } else if (!self->queued_.empty()) {
                    self->write();
                }
            }
        );
    }

    Stream stream_;
    const std::size_t max_queued_bytes_;
    std::vector<char> input_;
    std::string queued_;
    std::string sending_;
    bool open_{true};
    bool dead_{false};
};

}  // namespace oavc::net::detail
