#pragma once

#include "caller/conformance/sockets.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace oavc::caller::conformance {

/// A packet that came, taken apart by hand (RFC 3550 §5.1).
struct RtpPacket {
    TimePoint at;
    Address from;
    int payload_type{0};
    bool marker{false};
    std::uint16_t sequence{0};
    std::uint32_t timestamp{0};
    std::uint32_t ssrc{0};
    std::size_t size{0};  ///< of the payload
    bool valid{false};    ///< version 2 and long enough
};

/// Our end of the media: a pair of ports; speaks silence and listens.
class RtpProbe {
public:
    /// Binds an even port and the next one at that address.
    explicit RtpProbe(const Address& local);

    std::uint16_t port() const noexcept { return rtp_->address().port(); }
    /// From now on each `collect` sends 20 ms of silence every 20 ms. Some only send where they
    /// receive from.
    void speak_to(const Address& remote, int payload_type = 0);
    void be_silent() { remote_.reset(); }
    std::optional<Address> remote() const { return remote_; }

    /// What comes until then, or until there are so many.
    std::vector<RtpPacket> collect(TimePoint until, std::size_t at_most = 100'000);
    /// What comes to the RTCP port until then, or until there is one.
    std::optional<std::string> collect_rtcp(TimePoint until);
    /// One packet, made by hand.
    void send(
        const Address& to,
        int payload_type,
        bool marker,
        std::uint32_t timestamp,
        std::string_view payload
    );
    void send_raw(const Address& to, std::string_view bytes) { rtp_->send(bytes, to); }
    std::uint32_t next_timestamp() const noexcept { return timestamp_; }

private:
    void speak_if_due();

    std::unique_ptr<UdpSocket> rtp_;
    std::unique_ptr<UdpSocket> rtcp_;
    std::optional<Address> remote_;
    int payload_type_{0};
    std::uint16_t sequence_{0};
    std::uint32_t timestamp_{0};
    std::uint32_t ssrc_{0};
    TimePoint next_{};
};

}  // namespace oavc::caller::conformance
