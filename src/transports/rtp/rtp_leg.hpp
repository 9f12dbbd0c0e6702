#pragma once

#include "async/shard.hpp"
#include "async/tick.hpp"
#include "base/time.hpp"
#include "media/frame.hpp"
#include "media/inband_digits.hpp"
#include "media/rtcp.hpp"
#include "media/rtp_receiver.hpp"
#include "media/rtp_sender.hpp"
#include "net/media_socket.hpp"
#include "sip/offer_answer.hpp"
#include "transports/rtp/arrival_clock.hpp"
#include "transports/rtp/frame_converter.hpp"
#include "transports/rtp/rtp_ports.hpp"
#include "transports/rtp/srtp_session.hpp"
#include "transports/rtp/tick_alignment.hpp"
#include "transports/transport.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace oavc::transports::rtp {

/// The media of one call: RTP and RTCP over two sockets, driven by the shard's tick, which takes in
/// what has come and then sends. One packet leaves per packet time while the call is up, silence
/// when nothing was supplied. Packets count from when the kernel got them, not from the tick.
///
/// The rate of its frames is the codec's of the first answer and stays what it is: where a later
/// answer switches to a codec of another rate, the leg resamples.
///
/// Symmetric RTP (RFC 4961): audio goes to the SDP's address until the first valid RTP packet
/// comes; where that came from is where audio goes from then on, which serves callers behind NAT.
/// It is learned once and pinned: the socket is connected, so that packets from elsewhere do not
/// reach us, or on hosts with several addresses are counted and ignored. A new address in a
/// re-INVITE opens it again; what was still on its way from the old one is heard, but pins
/// nothing. With SRTP a packet counts once it is authenticated.
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

    /// Before the first `apply`: hears keys in the audio itself while telephone-event is not
    /// negotiated.
    void hear_tones() noexcept { hears_tones_ = true; }

    /// What was negotiated, now or anew. Needed before `attach`. The first time is the answer: RTP
    /// that came before it (early media, which we do not support) is forgotten. Throws
    /// std::bad_alloc, and std::runtime_error when libsrtp refuses.
    void apply(const sip::NegotiatedAudio& audio);

    /// Begins to receive and to send. `sink` gets frames and ticks until `detach`.
    void attach(MediaSink& sink);
    void detach() noexcept;

    /// Of the frames both ways: settled by the first `apply`.
    const media::AudioFormat& format() const noexcept { return format_; }

    /// The caller does not hear us (hold): nothing is sent and what comes in is not passed on.
    bool is_held() const noexcept { return audio_ && !sip::sends(audio_->direction); }

    std::size_t send_room() const noexcept;
    bool send_audio(media::FrameView frame) noexcept;

    /// Presses keys by RFC 4733, from the next tick on, in place of audio: '0'–'9', '*', '#',
    /// 'A'–'D'. False, and none is pressed: a character that is no key, too many (32), held, or not
    /// negotiated.
    bool send_digits(std::string_view digits) noexcept;
    bool is_sending_digits() const noexcept { return sender_ && sender_->is_sending_digits(); }
    /// The other side takes keys in RTP. Else they go by INFO.
    bool takes_digits() const noexcept { return audio_ && audio_->event_payload_type; }

    MediaStats stats() const noexcept;
    /// Packets that SRTP did not let through; nothing without SRTP.
    std::optional<SrtpSession::Stats> srtp_stats() const noexcept;
    std::uint16_t port() const noexcept { return port_; }
    /// Where audio goes; nothing while unknown.
    const std::optional<net::UdpEndpoint>& remote() const noexcept { return remote_; }
    bool is_pinned() const noexcept { return pinned_; }

private:
    void on_tick(TimePoint now) noexcept override;
    void on_frame(media::FrameView frame, TimePoint arrived, bool concealed) noexcept override;
    void on_digit(char digit) noexcept override;
    void receive(TimePoint now) noexcept;
    void receive_reports(TimePoint now) noexcept;
    void align() noexcept;
    bool on_rtp(const net::MediaSocket::Datagram& datagram, TimePoint arrived) noexcept;
    void on_rtcp(const net::MediaSocket::Datagram& datagram, TimePoint arrived) noexcept;
    void pin(const net::MediaSocket::Datagram& datagram, TimePoint arrived) noexcept;
    bool is_ours(const media::RtpPacketView& packet) const noexcept;
    void forget_waiting() noexcept;
    void apply_address(const sip::NegotiatedAudio& audio);
    void apply_keys(const sip::NegotiatedAudio& audio);
    void apply_codecs(const sip::NegotiatedAudio& audio);
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
    std::optional<SrtpSession> srtp_;
    std::optional<media::InbandDigits> inband_;
    std::optional<FrameConverter> to_sink_;    ///< for frames of another rate than ours
    std::optional<FrameConverter> to_sender_;  ///< while the codec's rate is another than ours
    // State.
    std::optional<sip::NegotiatedAudio> audio_;
    media::AudioFormat format_;
    bool hears_tones_{false};
    bool converting_{false};  ///< the latest frame went through to_sink_
    MediaSink* sink_{nullptr};
    bool attached_before_{false};
    ArrivalClock arrivals_;
    TickAlignment alignment_;
    bool pause_{false};                       ///< the next tick is left out
    int ticks_to_reports_{0};                 ///< until RTCP is looked for again
    std::optional<net::UdpEndpoint> stated_;  ///< in the caller's SDP
    std::optional<net::UdpEndpoint> remote_;
    std::optional<net::UdpEndpoint> remote_rtcp_;
    bool pinned_{false};                    ///< remote_ is where a valid packet came from
    std::optional<net::UdpEndpoint> left_;  ///< pinned until the caller named another address
    TimePoint left_until_{};                ///< what still comes from there pins nothing
    TimePoint last_heard_{};
    bool timed_out_{false};
    std::array<media::Sample, samples_in(frame_time, wideband)> frame_{};  ///< format_ of it
    bool has_frame_{false};
    std::uint64_t foreign_{0};  ///< packets from somebody else, or no RTP while unpinned
    std::uint64_t dropped_{0};
    std::uint64_t sent_{0};
};

}  // namespace oavc::transports::rtp
