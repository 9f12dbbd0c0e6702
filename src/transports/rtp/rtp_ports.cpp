#include "transports/rtp/rtp_ports.hpp"

#include "transports/rtp/errors.hpp"

#include <boost/asio/error.hpp>

#include <utility>

namespace oavc::transports::rtp {

RtpPorts::RtpPorts(boost::asio::ip::address address, std::uint16_t first, std::uint16_t last)
    : address_{std::move(address)} {
    for (unsigned port = (first + 1u) / 2 * 2; port + 1 <= last; port += 2) {
        free_.push_back({static_cast<std::uint16_t>(port), TimePoint{}});
    }
    capacity_ = free_.size();
}

Result<RtpPortPair> RtpPorts::allocate(TimePoint now) {
    for (auto left = free_.size(); left > 0; --left) {
        const auto candidate = free_.front();
        if (candidate.ready > now) break;  // the others came back later still
        free_.pop_front();
        auto rtp = net::MediaSocket::bind({address_, candidate.port});
        const auto odd = static_cast<std::uint16_t>(candidate.port + 1);
        auto rtcp =
            rtp ? net::MediaSocket::bind({address_, odd}) : Result<net::MediaSocket>{rtp.error()};
        if (rtcp) return RtpPortPair{std::move(*rtp), std::move(*rtcp)};
        if (rtcp.error() != boost::asio::error::address_in_use) {
            free_.push_front(candidate);
            return rtcp.error();
        }
        ++skipped_;
        free_.push_back({candidate.port, now});
    }
    return MediaErrc::no_ports;
}

void RtpPorts::release(std::uint16_t port, TimePoint now) { free_.push_back({port, now + rest}); }

}  // namespace oavc::transports::rtp
