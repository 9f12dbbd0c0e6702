#pragma once

#include "net/detail/websocket_link.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <utility>

namespace oavc::net::detail {

/// A WebSocket's bytes over any stream of Asio: TLS. `close` ends the transport beneath it.
template <class Stream, class Close>
class StreamLink final : public WebSocketLink {
public:
    StreamLink(Stream stream, Close close) : stream_{std::move(stream)}, close_{std::move(close)} {}

    void belong_to(Owner& owner) override { owner_ = &owner; }

    void read() override {
        stream_.async_read_some(
            boost::asio::buffer(input_),
            [this, alive = owner_->alive()](const error_code& error, std::size_t size) {
                if (closed_) return;
                if (error) return owner_->on_input_over(error);
                owner_->on_bytes(std::span{input_}.first(size));
            }
        );
    }

    bool write(std::string_view bytes) override {
        boost::asio::async_write(
            stream_,
            boost::asio::buffer(bytes.data(), bytes.size()),
            [this, alive = owner_->alive()](const error_code& error, std::size_t) {
                if (!closed_) owner_->on_written(error);
            }
        );
        return false;
    }

    void flush_soon() override {
        boost::asio::post(stream_.get_executor(), [this, alive = owner_->alive()] {
            if (!closed_) owner_->on_flush();
        });
    }

    void shutdown_send() noexcept override { close_(stream_, false); }

    void close() noexcept override {
        if (!std::exchange(closed_, true)) close_(stream_, true);
    }

private:
    Stream stream_;
    Close close_;  ///< (Stream&, bool wholly) noexcept: sending only, or both directions
    Owner* owner_{nullptr};
    std::array<char, 4096> input_;
    bool closed_{false};
};

template <class Stream, class Close>
std::unique_ptr<WebSocketLink> link_stream(Stream stream, Close close) {
    return std::make_unique<StreamLink<Stream, Close>>(std::move(stream), std::move(close));
}

}  // namespace oavc::net::detail
