#pragma once

#include "base/time.hpp"
#include "media/codec.hpp"
#include "media/comfort_noise.hpp"
#include "media/frame.hpp"
#include "media/rtcp.hpp"
#include "media/rtp.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace oavc::media {

/// Where a stream's numbers begin. RFC 3550 §5.1 wants them unpredictable.
struct RtpStart {
    std::uint16_t sequence_number{0};
    RtpTimestamp timestamp;
    Ssrc ssrc;

    /// From the kernel's random numbers.
    static RtpStart random() noexcept;
    /// The same numbers for the same seed, for tests.
    static RtpStart from_seed(std::uint64_t seed) noexcept;
};

struct RtpSenderConfig {
    Codec codec{Codec::pcmu};
    PayloadType payload_type{static_payload_type(Codec::pcmu)};
    milliseconds ptime{frame_time};  ///< of SDP; rounded to 10 ms, 10 … 60 ms
    RtpStart start;
    std::optional<double> comfort_noise_dbfs;  ///< in build_silence; none: digital silence
};

/// The sending side of one RTP leg, sans-I/O: one 20 ms frame per tick in, datagrams out. Call
/// build or build_silence at every tick while the call is up, so that RTP never stops.
///
/// Timestamps follow the ticks' deadlines, not the number of frames: after skipped ticks the next
/// packet carries the time it is sent at, and the peer hears a gap instead of a drift.
///
/// Owner: the transport. Thread: the call's shard. Never allocates, under 1 KiB.
class RtpSender {
public:
    static constexpr SampleRate rate = narrowband;
    static constexpr milliseconds max_ptime{60};
    /// Of one datagram: 60 ms of G.711.
    static constexpr std::size_t max_datagram = rtp_header_size + samples_in(max_ptime, rate);

    struct Stats {
        std::uint64_t packets{0};
        std::uint64_t octets{0};         ///< of payload
        std::uint64_t skipped_ticks{0};  ///< 20 ms each, not sent
    };

    explicit RtpSender(const RtpSenderConfig& config) noexcept;

    /// Encodes one frame of 160 samples (a shorter one is filled up with silence, a longer one cut)
    /// and returns the datagram to send, which lies in `buffer` (max_datagram bytes). Empty while
    /// a ptime over 20 ms is being gathered; for a ptime under 20 ms call `next` for the rest.
    /// `deadline`: of the tick. The first packet of a talkspurt carries the marker.
    std::span<const std::byte> build(
        FrameView frame, TimePoint deadline, std::span<std::byte> buffer
    ) noexcept;

    /// The same with silence or comfort noise; ends the talkspurt.
    std::span<const std::byte> build_silence(
        TimePoint deadline, std::span<std::byte> buffer
    ) noexcept;

    /// A further datagram of the same tick, or empty.
    std::span<const std::byte> next(std::span<std::byte> buffer) noexcept;

    /// After a re-INVITE: another codec, payload type or ptime; SSRC and numbers go on.
    void set_format(Codec codec, PayloadType type, milliseconds ptime) noexcept;

    Ssrc ssrc() const noexcept { return config_.start.ssrc; }
    milliseconds ptime() const noexcept { return config_.ptime; }
    const Stats& stats() const noexcept { return stats_; }

    /// What the next RTCP SR says; nothing before the first packet. `wall`: the same instant as
    /// `now`.
    std::optional<SenderInfo> info(TimePoint now, NtpTime wall) const noexcept;

private:
    static constexpr std::size_t frame_samples = samples_in(frame_time, rate);

    std::span<std::byte> gather(TimePoint deadline) noexcept;

    // Given to us.
    RtpSenderConfig config_;
    // State.
    std::size_t packet_samples_{frame_samples};
    std::optional<TimePoint> epoch_;  ///< deadline of the first frame: timestamp = start
    std::int64_t index_{0};           ///< of the latest frame, in 20 ms since the epoch
    std::uint16_t sequence_;
    bool talking_{false};
    bool marker_{false};
    RtpTimestamp gathered_timestamp_;
    std::size_t gathered_size_{0};
    std::array<std::byte, samples_in(max_ptime, rate) + frame_samples> gathered_{};
    ComfortNoise noise_;
    Stats stats_;
};

}  // namespace oavc::media
