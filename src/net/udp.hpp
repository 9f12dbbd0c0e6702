#pragma once

#include "base/result.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/udp.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace oavc::net {

using UdpEndpoint = boost::asio::ip::udp::endpoint;

/// A bound, non-blocking UDP socket. Receives by one readiness wait and then reading until empty;
/// no allocation per datagram. Thread: its executor's.
class UdpSocket {
public:
    /// `datagram` is valid during the call only. May call `close`, may not destroy the socket.
    using Handler =
        std::function<void(std::span<const std::byte> datagram, const UdpEndpoint& from)>;

    struct Stats {
        std::uint64_t received{0};
        std::uint64_t sent{0};
        std::uint64_t send_failures{0};  ///< full socket buffer, unreachable: dropped
    };

    /// Binds exclusively (no address sharing), so that a second process gets an error.
    /// `max_datagram` bounds what is read; longer datagrams are truncated.
    static Result<std::unique_ptr<UdpSocket>> bind(
        const boost::asio::any_io_executor& executor,
        const UdpEndpoint& local,
        std::size_t max_datagram = 2048
    );
    UdpSocket(const UdpSocket&) = delete;
    UdpSocket& operator=(const UdpSocket&) = delete;
    ~UdpSocket();

    UdpEndpoint local_endpoint() const noexcept { return local_; }

    /// Asks the kernel to queue this much while we are busy. It may grant less.
    void set_receive_buffer(std::size_t bytes) noexcept;

    /// Begins to hand every datagram to `handler`, until `close`. Call once.
    void start(Handler handler);

    /// Non-blocking. False: dropped, counted.
    bool send_to(std::span<const std::byte> datagram, const UdpEndpoint& to) noexcept;

    void close() noexcept;
    const Stats& stats() const noexcept { return stats_; }

private:
    struct State;
    UdpSocket(boost::asio::ip::udp::socket socket, std::size_t max_datagram);

    std::shared_ptr<State> state_;  ///< shared with the pending wait, which may outlive us
    UdpEndpoint local_;
    Stats stats_;
};

/// The local address that packets to `remote` leave from, as routing has it. Sends nothing.
Result<boost::asio::ip::address> source_address_towards(const UdpEndpoint& remote) noexcept;

/// An IPv6 socket's name of an IPv4 peer (::ffff:192.0.2.1) as IPv4; others as they are: one form
/// for comparing.
boost::asio::ip::address unmapped(const boost::asio::ip::address& address);
UdpEndpoint unmapped(const UdpEndpoint& endpoint);

/// "127.0.0.1:8090", "[::1]:8090". For logs and errors.
std::string to_string(const UdpEndpoint& endpoint);

/// Parses a numeric address; names are not resolved.
Result<UdpEndpoint> parse_endpoint(const std::string& address, std::uint16_t port) noexcept;

}  // namespace oavc::net
