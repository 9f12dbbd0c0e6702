#pragma once

#include "base/result.hpp"
#include "net/udp.hpp"

#include <boost/asio/ip/address.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <utility>

namespace oavc::net {

/// A bound UDP socket that is read when its owner has time, not when something comes: media acts
/// every 20 ms anyway, so nobody waits for readiness and an arrival wakes nobody. The kernel notes
/// when each datagram came. No allocation after `bind`, no buffer of its own.
///
/// Endpoints are plain: an IPv4 peer of an IPv6 socket is an IPv4 endpoint.
/// Thread: one at a time.
class MediaSocket {
public:
    struct Datagram {
        std::span<std::byte> bytes;  ///< in the buffer that was given; cut off where that ends
        UdpEndpoint from;
        boost::asio::ip::address to;               ///< the address of ours that it came to
        std::chrono::system_clock::time_point at;  ///< when the kernel got it, by the wall clock
    };

    /// Binds exclusively, to a port that the caller names.
    static Result<MediaSocket> bind(const UdpEndpoint& local);

    MediaSocket() noexcept = default;  ///< closed
    MediaSocket(MediaSocket&& other) noexcept { swap(other); }
    MediaSocket& operator=(MediaSocket&& other) noexcept {
        MediaSocket{std::move(other)}.swap(*this);
        return *this;
    }
    ~MediaSocket() { close(); }

    bool is_open() const noexcept { return fd_ >= 0; }
    const UdpEndpoint& local_endpoint() const noexcept { return local_; }

    /// The oldest datagram that waits; nothing if none does. One system call.
    std::optional<Datagram> receive(std::span<std::byte> buffer) noexcept;

    /// Non-blocking. False: dropped. While connected only the peer can be sent to.
    bool send_to(std::span<const std::byte> datagram, const UdpEndpoint& to) noexcept;

    /// Narrows the socket to a peer: what others send does not reach us, and each datagram that we
    /// send costs a quarter less, because its route is known. `to`: where its datagrams come to.
    /// False, and nothing changes: the route to the peer begins at another address of ours, which
    /// connecting would bind us to.
    bool connect(const UdpEndpoint& peer, const boost::asio::ip::address& to) noexcept;
    /// Open to everybody again. What waits is kept, here and above.
    void disconnect() noexcept;
    bool is_connected() const noexcept { return connected_; }

    void close() noexcept;

private:
    void swap(MediaSocket& other) noexcept;
    void tell_destinations(bool on) noexcept;

    int fd_{-1};
    UdpEndpoint local_;
    bool connected_{false};
};

}  // namespace oavc::net
