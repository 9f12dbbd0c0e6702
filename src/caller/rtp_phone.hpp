#pragma once

#include "async/shard.hpp"
#include "caller/line.hpp"
#include "caller/measure.hpp"
#include "media/audio_codec.hpp"
#include "media/codec.hpp"
#include "media/rtp.hpp"
#include "media/rtp_sender.hpp"
#include "media/telephone_event.hpp"
#include "net/udp.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace oavc::caller {

/// The RTP of the caller's phone: G.711, one socket. Thread: the line's shard.
class RtpPhone {
public:
    explicit RtpPhone(std::unique_ptr<net::UdpSocket> socket) : socket_{std::move(socket)} {}
    RtpPhone(const RtpPhone&) = delete;
    RtpPhone& operator=(const RtpPhone&) = delete;
    ~RtpPhone() { socket_->close(); }

    std::uint16_t port() const noexcept { return socket_->local_endpoint().port(); }

    /// `ear` hears from now on what comes, and outlives the phone. Call once.
    void listen(Ear& ear);

    /// What was agreed on: from now on frames are sent. Again: they go elsewhere.
    void begin(
        media::PayloadType payload_type,  ///< 0 or 8
        const net::UdpEndpoint& remote,
        std::optional<media::TelephoneEventType> keys = {}
    );
    /// "PCMU, RTP 127.0.0.1:4000 ↔ 127.0.0.1:35000"
    std::string description() const;

    /// One 20 ms frame at 8 kHz; nothing before `begin`.
    void send(TimePoint now, media::Samples frame) noexcept;
    /// Presses keys by RFC 4733. False: not agreed on.
    bool press(std::string_view keys) noexcept { return sender_ && sender_->send_digits(keys); }

    LineStats stats() const noexcept;

private:
    void on_packet(std::span<const std::byte> datagram, const net::UdpEndpoint& from);

    // Owned.
    std::unique_ptr<net::UdpSocket> socket_;
    // State.
    Ear* ear_{nullptr};
    net::UdpEndpoint remote_;
    std::optional<net::UdpEndpoint> heard_from_;  ///< the first packet's source
    media::Codec codec_{media::Codec::pcmu};
    media::AudioDecoder decoder_;
    std::optional<media::RtpSender> sender_;
    RtpMeter meter_;
};

/// A UDP socket on that address. Throws std::runtime_error with `advice` when there is none.
std::unique_ptr<net::UdpSocket> bind_or_throw(
    async::Shard& shard,
    const std::string& ip,
    std::uint16_t port,
    std::size_t max_datagram,
    std::string_view advice
);

}  // namespace oavc::caller
