#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace oavc::test {

/// A blocking TCP client that says exactly what a test tells it to. Reads give up after 10 s.
class RawClient {
public:
    explicit RawClient(std::uint16_t port) {
        socket_.connect({boost::asio::ip::address_v4::loopback(), port});
        const timeval limit{10, 0};
        ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    }

    void send(std::string_view bytes) {
        boost::system::error_code ignored;  // the server may have closed already
        boost::asio::write(socket_, boost::asio::buffer(bytes), ignored);
    }

    /// What comes until `marker` has come `times` times, or the connection ends.
    std::string read_until(std::string_view marker, std::size_t times = 1) {
        for (;;) {
            std::size_t count = 0;
            std::size_t at = 0;
            while (count < times && (at = received_.find(marker, at)) != std::string::npos) {
                ++count;
                at += marker.size();
            }
            if (count >= times || !read_some()) return received_;
        }
    }

    /// What comes until the connection ends.
    std::string read_all() {
        while (read_some()) {
        }
        return received_;
    }

    /// Sends RST instead of FIN.
    void abort() {
        socket_.set_option(boost::asio::socket_base::linger{true, 0});
        socket_.close();
    }
    void shutdown_send() { socket_.shutdown(boost::asio::ip::tcp::socket::shutdown_send); }

private:
    bool read_some() {
        char buffer[4096];
        const auto size = ::recv(socket_.native_handle(), buffer, sizeof buffer, 0);
        if (size <= 0) return false;
        received_.append(buffer, static_cast<std::size_t>(size));
        return true;
    }

    boost::asio::io_context context_;
    boost::asio::ip::tcp::socket socket_{context_};
    std::string received_;
};

}  // namespace oavc::test
