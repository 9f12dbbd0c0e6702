#pragma once

#include "async/shard.hpp"
#include "async/tick.hpp"
#include "base/time.hpp"
#include "media/frame.hpp"
#include "media/rtcp.hpp"
#include "media/rtp_receiver.hpp"
#include "media/rtp_sender.hpp"
#include "net/udp.hpp"
#include "sip/offer_answer.hpp"
#include "transports/rtp/rtp_ports.hpp"
#include "transports/transport.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace oavc::transports::rtp {

/// The media of one call: RTP and RTCP over two sockets, driven by the shard's tick. One packet
/// leaves per packet time while the call is up, silence when nothing was supplied.
///
/// Symmetric RTP (RFC 4961): audio goes to the SDP's address until the first valid RTP packet
/// comes; where that came from is where audio goes from then on, which serves callers behind NAT.
/// It is learned once and pinned: packets from elsewhere are counted and ignored. A new address in
/// a re-INVITE opens it again.
///
/// Owner: the transport. Thread: the call's shard. Per packet and tick: no allocation.
class RtpLeg final : private async::TickClient, private media::RtpSink {
public:
    /// Told by plain calls within a tick. Must not destroy the leg.
    class Observer {
    public:
        /// Nothing came for the configured time while it should. Said once.
        virtual void on_media_timeout() noexcept = 0;
        /// Every tick while attached, before the sink's.
        virtual void on_leg_tick(TimePoint now) noexcept = 0;
        virtual void on_rtp_digit(char digit) noexcept = 0;

    protected:
        ~Observer() = default;
    };

    RtpLeg(
        async::Shard& shard,
        RtpPortPair ports,
        std::chrono::seconds media_timeout,
        Observer& observer
    );
    RtpLeg(const RtpLeg&) = delete;
    RtpLeg& operator=(const RtpLeg&) = delete;
    ~RtpLeg();  ///< says RTCP BYE and closes the sockets

    /// What was negotiated, now or anew. Needed before `attach`.
    void apply(const sip::NegotiatedAudio& audio);

    /// Begins to receive and to send. `sink` gets frames and ticks until `detach`.
    void attach(MediaSink& sink);
    void detach() noexcept;

    /// The caller does not hear us (hold): nothing is sent and what comes in is not passed on.
    bool is_held() const noexcept { return audio_ && !sip::sends(audio_->direction); }

    std::size_t send_room() const noexcept;
    bool send_audio(media::FrameView frame) noexcept;

    MediaStats stats() const noexcept;
    std::uint16_t port() const noexcept { return port_; }
    /// Where audio goes; nothing while unknown.
    const std::optional<net::UdpEndpoint>& remote() const noexcept { return remote_; }
    bool is_pinned() const noexcept { return pinned_; }

private:
    void on_tick(TimePoint now) noexcept override;
    void on_frame(media::FrameView frame, TimePoint arrived, bool concealed) noexcept override;
    void on_digit(char digit) noexcept override;
    void on_rtp(std::span<const std::byte> datagram, const net::UdpEndpoint& from) noexcept;
    void on_rtcp(std::span<const std::byte> datagram, const net::UdpEndpoint& from) noexcept;
    bool is_ours(const media::RtpPacketView& packet) const noexcept;
    void send_frame(TimePoint now) noexcept;
    void send_report(TimePoint now, bool bye) noexcept;
    void check_timeout(TimePoint now) noexcept;

    // Given to us.
    async::Shard& shard_;
    const std::chrono::seconds media_timeout_;
    Observer& observer_;
    // Owned.
    RtpPortPair ports_;
    const std::uint16_t port_;
    std::optional<media::RtpReceiver> receiver_;
    std::optional<media::RtpSender> sender_;
    std::optional<media::RtcpSession> rtcp_;
    // State.
    std::optional<sip::NegotiatedAudio> audio_;
    MediaSink* sink_{nullptr};
    bool receiving_{false};
    std::optional<net::UdpEndpoint> stated_;  ///< in the caller's SDP
    std::optional<net::UdpEndpoint> remote_;
    std::optional<net::UdpEndpoint> remote_rtcp_;
    bool pinned_{false};  ///< remote_ is where a valid packet came from
    TimePoint last_heard_{};
    bool timed_out_{false};
    std::array<media::Sample, samples_in(frame_time, narrowband)> frame_{};
    bool has_frame_{false};
    std::uint64_t foreign_{0};  ///< packets from somebody else, or no RTP while unpinned
    std::uint64_t dropped_{0};
    std::uint64_t sent_{0};
};

}  // namespace oavc::transports::rtp
