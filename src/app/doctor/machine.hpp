#pragma once

#include "app/doctor/checks.hpp"
#include "base/result.hpp"
#include "base/time.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// What the doctor sees of this machine. Everything here blocks, for a moment.
namespace oavc::app::doctor {

/// Binds and lets go again. Addresses are numeric. No error: it is free.
error_code try_bind_udp(const std::string& address, std::uint16_t port);
error_code try_bind_tcp(const std::string& address, std::uint16_t port);

/// A port that is free now, on 127.0.0.1.
std::uint16_t free_udp_port();
std::uint16_t free_tcp_port();

/// "opensips (pid 12)"; empty where /proc does not show it.
std::string holder_of(std::string_view protocol, std::uint16_t port);

/// Binds every pair of the range, one after another.
RtpRange look_at_rtp_range(const transports::rtp::Config& rtp);

/// Sends a datagram to `address` at a port of the range on which we listen meanwhile. Nothing: no
/// port of the range can be bound.
std::optional<bool> comes_back(const transports::rtp::Config& rtp, const std::string& address);

std::size_t hard_file_limit();
std::size_t granted_receive_buffer(std::size_t wanted);
std::optional<bool> clock_synchronised();
/// Of an HTTP Date (RFC 9110 §5.6.7): how far our clock is ahead of it.
std::optional<std::chrono::seconds> ahead_of(const std::string& http_date);

Surroundings look_around();
/// Our address towards the internet; empty: there is no route.
std::string default_route();

/// The addresses of a name, or why there are none.
Result<std::vector<std::string>, std::string> resolve_host(const std::string& host);

/// One datagram there, one back. The error of a closed port is "Connection refused".
class UdpPeer {
public:
    /// Throws std::runtime_error: `address` is none, or no socket.
    UdpPeer(const std::string& address, std::uint16_t port);
    UdpPeer(const UdpPeer&) = delete;
    UdpPeer& operator=(const UdpPeer&) = delete;
    ~UdpPeer();

    /// Repeats the request once when no answer comes within `limit`.
    Result<std::string> ask(std::string_view datagram, milliseconds limit);
    /// Our end: "127.0.0.1:40000".
    std::string local_endpoint() const;

private:
    int fd_{-1};
};

}  // namespace oavc::app::doctor
