#pragma once

#include "base/time.hpp"
#include "media/audio_codec.hpp"
#include "media/codec.hpp"
#include "media/comfort_noise.hpp"
#include "media/frame.hpp"
#include "media/rtcp.hpp"
#include "media/rtp.hpp"
#include "media/telephone_event.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

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
    Encoding encoding;
    PayloadType payload_type{0};
    /// Of SDP; rounded to 10 ms, 10 … 60 ms, and for Opus down to one it has: 10, 20, 40 or 60 ms.
    milliseconds ptime{frame_time};
    RtpStart start;
    std::optional<double> comfort_noise_dbfs;           ///< in build_silence; none: digital silence
    std::optional<TelephoneEventType> telephone_event;  ///< RFC 4733, if negotiated
    milliseconds digit_time{100};  ///< how long a key is pressed; whole ticks, 40 … 1000 ms
    milliseconds digit_gap{100};   ///< and not pressed before the next; 60 ms at least
};

/// The sending side of one RTP leg, sans-I/O: one 20 ms frame per tick in, datagrams out. Call
/// build or build_silence at every tick while the call is up, so that RTP never stops.
///
/// Timestamps follow the ticks' deadlines, not the number of frames: after skipped ticks the next
/// packet carries the time it is sent at, and the peer hears a gap instead of a drift. Another
/// codec's clock goes on from the timestamp that is reached (RFC 7160 §4.1).
///
/// Digits take the place of audio (RFC 4733 §2.5.1): each is a packet per tick with the timestamp
/// of its begin and a duration that grows, the first with the marker, the last three times.
///
/// Owner: the transport. Thread: the call's shard. Allocates in the constructor and set_format only
/// (G.722, Opus); about 3 KiB, 25 more for Opus.
class RtpSender {
public:
    static constexpr milliseconds max_ptime{60};
    static constexpr std::size_t max_datagram = rtp_header_size + AudioEncoder::max_payload;
    static constexpr std::size_t max_digits = 32;  ///< that wait to be sent

    struct Stats {
        std::uint64_t packets{0};
        std::uint64_t octets{0};         ///< of payload
        std::uint64_t skipped_ticks{0};  ///< 20 ms each, not sent
        std::uint64_t digits{0};         ///< pressed and released
    };

    /// Throws std::bad_alloc.
    explicit RtpSender(const RtpSenderConfig& config);

    /// Of the frames that build() takes now.
    SampleRate rate() const noexcept { return encoder_.rate(); }

    /// Encodes one frame of 20 ms at rate() (a shorter one is filled up with silence, a longer one
    /// cut) and returns the datagram to send, which lies in `buffer` (max_datagram bytes). Empty
    /// while a ptime over 20 ms is being gathered; for a ptime under 20 ms call `next` for the
    /// rest. `deadline`: of the tick. The first packet of a talkspurt carries the marker.
    std::span<const std::byte> build(
        FrameView frame, TimePoint deadline, std::span<std::byte> buffer
    ) noexcept;

    /// The same with silence or comfort noise; ends the talkspurt.
    std::span<const std::byte> build_silence(
        TimePoint deadline, std::span<std::byte> buffer
    ) noexcept;

    /// A further datagram of the same tick, or empty.
    std::span<const std::byte> next(std::span<std::byte> buffer) noexcept;

    /// After a re-INVITE: another codec, payload type or ptime; SSRC and numbers go on. Throws
    /// std::bad_alloc.
    void set_format(Encoding encoding, PayloadType type, milliseconds ptime);

    /// After a re-INVITE. Without a type the digits that wait are dropped.
    void set_telephone_event(std::optional<TelephoneEventType> type) noexcept;

    /// Presses these keys from the next tick on, after those that still wait. False, and none is
    /// pressed: a character that is no key, no room for all, or no telephone-event negotiated.
    bool send_digits(std::string_view digits) noexcept;
    bool is_sending_digits() const noexcept { return event_ || digit_count_ > 0; }

    Ssrc ssrc() const noexcept { return config_.start.ssrc; }
    milliseconds ptime() const noexcept { return config_.ptime; }
    /// Deadlines come later by `by` from the next one on, or earlier: the frames stay contiguous.
    void shift(Clock::duration by) noexcept {
        if (epoch_) *epoch_ += by;
    }

    const Stats& stats() const noexcept { return stats_; }

    /// What the next RTCP SR says; nothing before the first packet. `wall`: the same instant as
    /// `now`.
    std::optional<SenderInfo> info(TimePoint now, NtpTime wall) const noexcept;

private:
    static constexpr std::size_t max_frame = samples_in(frame_time, wideband);

    struct Event {
        std::uint8_t key;
        std::int64_t began;  ///< index_ of its first packet
        int ends;            ///< sent so far
    };

    std::size_t frame_samples() const noexcept { return samples_in(frame_time, rate()); }
    RtpTimestamp timestamp_of(std::int64_t index) const noexcept;
    void advance(TimePoint deadline) noexcept;
    std::span<const std::byte> send(
        Samples frame, bool silent, std::span<std::byte> buffer
    ) noexcept;
    std::span<const std::byte> pack(
        Samples samples, bool silent, RtpTimestamp timestamp, std::span<std::byte> buffer
    ) noexcept;
    std::span<const std::byte> send_event(std::span<std::byte> buffer) noexcept;
    std::span<const std::byte> count(std::span<std::byte> buffer, std::size_t payload) noexcept;

    // Given to us.
    RtpSenderConfig config_;
    // State.
    AudioEncoder encoder_;
    std::size_t packet_samples_{0};
    std::optional<TimePoint> epoch_;  ///< deadline of the first frame
    std::int64_t index_{0};           ///< of the latest frame, in 20 ms since the epoch
    std::int64_t clock_since_{0};     ///< the index at which the codec's clock began …
    RtpTimestamp clock_start_;        ///< … with this timestamp
    std::uint16_t sequence_;
    bool talking_{false};
    bool marker_{false};
    ComfortNoise noise_;
    // PCM of a packet that is not a frame long.
    RtpTimestamp gathered_timestamp_;
    std::size_t gathered_size_{0};
    std::array<Sample, samples_in(max_ptime, wideband) + max_frame> gathered_{};
    // Digits.
    std::array<std::uint8_t, max_digits> digits_{};  ///< a ring
    std::size_t first_digit_{0};
    std::size_t digit_count_{0};
    std::optional<Event> event_;
    std::int64_t next_event_{0};  ///< not before this index
    Stats stats_;
};

}  // namespace oavc::media
