#pragma once

#include "base/error.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <unistd.h>

#include <optional>
#include <utility>

namespace oavc::net::detail {

/// A connection on its way from one shard to another. Closed if it does not arrive.
class MovingSocket {
public:
    /// Nothing may be pending. Nothing: the system refused.
    static std::optional<MovingSocket> leave(
        boost::asio::ip::tcp::socket socket, boost::asio::ip::tcp protocol
    ) {
        error_code failed;
        const int descriptor = socket.release(failed);
        if (failed) return std::nullopt;
        return MovingSocket{descriptor, protocol};
    }
    MovingSocket(MovingSocket&& other) noexcept
        : descriptor_{std::exchange(other.descriptor_, -1)}, protocol_{other.protocol_} {}
    MovingSocket& operator=(MovingSocket&&) = delete;
    ~MovingSocket() {
        if (descriptor_ >= 0) ::close(descriptor_);
    }

    /// Once. Thread: the context's.
    std::optional<boost::asio::ip::tcp::socket> arrive(boost::asio::io_context& context) {
        boost::asio::ip::tcp::socket own{context};
        error_code failed;
        own.assign(protocol_, descriptor_, failed);
        if (failed) return std::nullopt;
        descriptor_ = -1;
        return own;
    }

private:
    MovingSocket(int descriptor, boost::asio::ip::tcp protocol) noexcept
        : descriptor_{descriptor}, protocol_{protocol} {}

    int descriptor_;
    boost::asio::ip::tcp protocol_;
};

}  // namespace oavc::net::detail
