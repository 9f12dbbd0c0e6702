#include "net/udp.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>

#include <sys/socket.h>

#include <string>

namespace oavc::net {

namespace asio = boost::asio;

/// What a pending wait needs after the UdpSocket itself is gone.
struct UdpSocket::State : std::enable_shared_from_this<UdpSocket::State> {
    State(asio::ip::udp::socket s, std::size_t max_datagram)
        : socket{std::move(s)}, buffer(max_datagram) {}

    asio::ip::udp::socket socket;
    std::vector<std::byte> buffer;
    Handler handler;
    Stats* stats{nullptr};  ///< null once the owner is gone
    bool closed{false};

    void wait() {
        socket.async_wait(
            asio::ip::udp::socket::wait_read,
            [self = shared_from_this()](const error_code& error) {
                if (error || self->closed) return;
                self->drain();
                if (!self->closed) self->wait();
            }
        );
    }

    /// Reads until empty, with a bound so that one busy socket cannot starve the shard's tick.
    void drain() {
        constexpr int most = 64;
        for (int i = 0; i < most && !closed; ++i) {
            UdpEndpoint from;
            error_code error;
            const auto size = socket.receive_from(asio::buffer(buffer), from, 0, error);
            if (error == asio::error::would_block || error == asio::error::try_again) return;
            if (error) continue;  // an ICMP answer to something we sent; the socket is fine
            if (stats != nullptr) ++stats->received;
            handler(std::span{buffer}.first(size), from);
        }
    }
};

Result<std::unique_ptr<UdpSocket>> UdpSocket::bind(
    const asio::any_io_executor& executor, const UdpEndpoint& local, std::size_t max_datagram
) {
    error_code error;
    asio::ip::udp::socket socket{executor};
    socket.open(local.protocol(), error);
    if (error) return error;
    socket.non_blocking(true, error);
    if (error) return error;
    socket.bind(local, error);
    if (error) return error;
    return std::unique_ptr<UdpSocket>{new UdpSocket{std::move(socket), max_datagram}};
}

UdpSocket::UdpSocket(asio::ip::udp::socket socket, std::size_t max_datagram)
    : state_{std::make_shared<State>(std::move(socket), max_datagram)} {
    error_code ignored;
    local_ = state_->socket.local_endpoint(ignored);
    state_->stats = &stats_;
}

UdpSocket::~UdpSocket() {
    close();
    state_->stats = nullptr;
}

void UdpSocket::set_receive_buffer(std::size_t bytes) noexcept {
    error_code ignored;
    state_->socket.set_option(
        asio::socket_base::receive_buffer_size{static_cast<int>(bytes)}, ignored
    );
}

void UdpSocket::start(Handler handler) {
    state_->handler = std::move(handler);
    state_->wait();
}

bool UdpSocket::send_to(std::span<const std::byte> datagram, const UdpEndpoint& to) noexcept {
    if (state_->closed) return false;
    const auto sent = ::sendto(
        state_->socket.native_handle(),
        datagram.data(),
        datagram.size(),
        MSG_DONTWAIT | MSG_NOSIGNAL,
        to.data(),
        static_cast<socklen_t>(to.size())
    );
    if (sent != static_cast<ssize_t>(datagram.size())) {
        ++stats_.send_failures;
        return false;
    }
    ++stats_.sent;
    return true;
}

void UdpSocket::close() noexcept {
    if (state_->closed) return;
    state_->closed = true;
    error_code ignored;
    state_->socket.close(ignored);
}

Result<asio::ip::address> source_address_towards(const UdpEndpoint& remote) noexcept {
    // A connected UDP socket is bound to the address that its route begins with.
    asio::io_context unused{1};
    asio::ip::udp::socket socket{unused};
    error_code error;
    socket.open(remote.protocol(), error);
    if (error) return error;
    socket.connect(remote, error);
    if (error) return error;
    const auto local = socket.local_endpoint(error);
    if (error) return error;
    return local.address();
}

asio::ip::address unmapped(const asio::ip::address& address) {
    if (!address.is_v6() || !address.to_v6().is_v4_mapped()) return address;
    return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
}

UdpEndpoint unmapped(const UdpEndpoint& endpoint) {
    return {unmapped(endpoint.address()), endpoint.port()};
}

std::string to_string(const UdpEndpoint& endpoint) {
    const auto address = endpoint.address().to_string();
    const auto port = std::to_string(endpoint.port());
    return endpoint.address().is_v6() ? "[" + address + "]:" + port : address + ":" + port;
}

Result<UdpEndpoint> parse_endpoint(const std::string& address, std::uint16_t port) noexcept {
    error_code error;
    const auto parsed = asio::ip::make_address(address, error);
    if (error) return error;
    return UdpEndpoint{parsed, port};
}

}  // namespace oavc::net
