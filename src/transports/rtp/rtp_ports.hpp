#pragma once

#include "base/result.hpp"
#include "base/time.hpp"
#include "net/media_socket.hpp"

#include <boost/asio/ip/address.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>

namespace oavc::transports::rtp {

/// Two bound sockets: RTP on an even port, RTCP on the next (RFC 3550 §11).
struct RtpPortPair {
    net::MediaSocket rtp;
    net::MediaSocket rtcp;

    std::uint16_t port() const noexcept { return rtp.local_endpoint().port(); }
};

/// Hands out the port pairs of a range. A pair is bound when it is given, with the very sockets
/// that the call uses: never probed and bound again. Pairs that others use are skipped and tried
/// again later. A pair that came back rests first, so that a new call does not get the last packets
/// of an old one; the one that rested longest goes out first. Thread: one.
class RtpPorts {
public:
    static constexpr milliseconds rest{1000};

    /// `last` is inclusive.
    RtpPorts(boost::asio::ip::address address, std::uint16_t first, std::uint16_t last);

    /// Errors: MediaErrc::no_ports, or what bind said (no such address, out of file descriptors).
    Result<RtpPortPair> allocate(TimePoint now);

    /// The pair's sockets have been closed.
    void release(std::uint16_t port, TimePoint now);

    std::size_t capacity() const noexcept { return capacity_; }
    std::size_t in_use() const noexcept { return capacity_ - free_.size(); }
    std::uint64_t skipped() const noexcept { return skipped_; }  ///< found in use by others

private:
    struct Free {
        std::uint16_t port;  ///< the even one
        TimePoint ready;     ///< not to be given before
    };

    const boost::asio::ip::address address_;
    std::deque<Free> free_;  ///< longest rest first
    std::size_t capacity_{0};
    std::uint64_t skipped_{0};
};

}  // namespace oavc::transports::rtp
