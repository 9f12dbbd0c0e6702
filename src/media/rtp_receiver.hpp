#pragma once

#include "base/time.hpp"
#include "media/audio_codec.hpp"
#include "media/codec.hpp"
#include "media/comfort_noise.hpp"
#include "media/frame.hpp"
#include "media/quality.hpp"
#include "media/rtcp.hpp"
#include "media/rtp.hpp"
#include "media/telephone_event.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

namespace oavc::media {

/// What an RtpReceiver makes of its packets. Implemented by the owner of the leg. Must not call
/// back into the receiver.
class RtpSink {
public:
    /// Exactly 20 ms, in order. `concealed`: nothing of it arrived and it was invented to keep
    /// time. `arrived`: when its last packet came in; if concealed, when it was found missing.
    /// `arrived` never goes back from frame to frame.
    virtual void on_frame(FrameView frame, TimePoint arrived, bool concealed) noexcept = 0;

    /// One key press, once: '0'–'9', '*', '#', 'A'–'D'.
    virtual void on_digit(char digit) noexcept = 0;

protected:
    ~RtpSink() = default;
};

/// Which payload types carry which codec, as the SDP answer says.
class PayloadMap {
public:
    static constexpr std::size_t max_entries = 8;

    struct Entry {
        PayloadType type;
        Encoding encoding;
    };

    /// A later entry for the same type replaces the earlier one. False: no room, type > 127, or an
    /// encoding that we do not speak.
    constexpr bool add(PayloadType type, Encoding encoding) noexcept {
        if (type.value > 127 || !is_supported(encoding)) return false;
        for (std::size_t i = 0; i < size_; ++i) {
            if (entries_[i].type == type) {
                entries_[i].encoding = encoding;
                return true;
            }
        }
        if (size_ == max_entries) return false;
        entries_[size_++] = {type, encoding};
        return true;
    }

    constexpr std::optional<Encoding> find(PayloadType type) const noexcept {
        for (const Entry& entry : entries()) {
            if (entry.type == type) return entry.encoding;
        }
        return std::nullopt;
    }

    constexpr std::span<const Entry> entries() const noexcept {
        return std::span{entries_}.first(size_);
    }
    constexpr bool empty() const noexcept { return size_ == 0; }

    /// PCMU and PCMA on their static types.
    static constexpr PayloadMap g711() noexcept {
        PayloadMap map;
        map.add({0}, Codec::pcmu);
        map.add({8}, Codec::pcma);
        return map;
    }

private:
    std::array<Entry, max_entries> entries_{};
    std::size_t size_{0};
};

struct RtpReceiverConfig {
    PayloadMap payloads{PayloadMap::g711()};
    std::optional<TelephoneEventType> telephone_event;  ///< RFC 4733, if negotiated
    /// RFC 3389, if negotiated on a type of its own; the static 13 is taken always.
    std::optional<PayloadType> comfort_noise;

    /// A missing packet is given up as soon as this many later ones have come (0 and 1: at once; at
    /// most 8), or `reorder_wait` after the first of them.
    std::size_t reorder_packets{3};
    milliseconds reorder_wait{60};

    /// When no audio came for this long, time is made to pass without it: silence, 20 ms per 20 ms.
    milliseconds stall_after{100};
};

/// The receiving side of one RTP leg, sans-I/O: datagrams and time in, 20 ms frames of PCM at the
/// codec's rate and digits out. There is no playout delay: an in-order packet is delivered within
/// the call that brings it, and only what lies behind a gap waits
/// (RtpReceiverConfig::reorder_packets).
///
/// The frames form one timeline that neither drifts from the sender's clock nor stops: a loss is
/// recovered from the packet behind it (Opus FEC) or concealed (100 ms at most, then silence),
/// silence that was not sent (DTX, a muted caller) is filled in by on_tick, with noise as loud as
/// the sender's comfort noise packets say (RFC 3389; their spectrum is not used), and audio that
/// comes after its time was filled is dropped and counted late. A sender whose clock jumps or stood
/// still is followed within 200 ms.
///
/// Any packet time is accepted and cut or joined into 20 ms frames. Another SSRC is taken as a new
/// sender of the same leg (the first packet counts, RFC 3550 §A.1 without probation, because the
/// transport has already pinned the address). Another codec, by a new answer or from packet to
/// packet, continues the timeline; the frames' rate follows the codec. Not supported: redundancy
/// (RFC 2198), mixers' CSRCs.
///
/// Owner: the transport. Thread: the call's shard. Allocates in the constructor and reconfigure
/// (G.722, Opus: 30 KiB), and once, 11 KiB, when a packet comes out of order for the first time.
class RtpReceiver {
public:
    struct Stats {
        std::uint64_t received{0};    ///< valid packets, late ones included, duplicates not
        std::uint64_t lost{0};        ///< expected by sequence number and never seen
        std::uint64_t duplicates{0};  ///< same packet again: dropped
        std::uint64_t late{0};        ///< audio packets after their place was filled: dropped
        std::uint64_t rejected{0};    ///< not RTP, unknown or broken payload, or a wild jump
        std::uint64_t reordered{0};   ///< came out of order but in time
        std::uint64_t frames{0};      ///< delivered, all kinds
        std::uint64_t concealed{0};   ///< of these: made from what came before, for a gap
        std::uint64_t silent{0};      ///< of these: plain silence, to let time pass
        std::uint64_t noise{0};       ///< of these: comfort noise that the sender described
        std::uint64_t recovered{0};   ///< lost packets whose audio the next one carried (Opus)
        std::uint64_t gaps{0};        ///< stretches of lost or late packets
        std::uint64_t resyncs{0};     ///< the sender's timestamps jumped and were followed
        std::uint64_t sources{0};     ///< SSRCs, restarts included
        std::uint64_t digits{0};
        microseconds jitter{0};   ///< RFC 3550 §A.8, of the current source
        microseconds max_gap{0};  ///< longest time between two packets
    };

    /// Throws std::bad_alloc.
    explicit RtpReceiver(const RtpReceiverConfig& config);
    RtpReceiver(const RtpReceiver&) = delete;
    RtpReceiver& operator=(const RtpReceiver&) = delete;

    /// Optional: time passes from `now` on, with silence until the first packet. Otherwise the
    /// timeline begins with the first packet.
    void start(TimePoint now) noexcept;

    /// New answer to a re-INVITE: other payload types, the same timeline. Throws std::bad_alloc.
    void reconfigure(const RtpReceiverConfig& config);

    /// Of the frames delivered now: the codec's of the latest audio, before it the first
    /// configured one's.
    SampleRate rate() const noexcept { return decoder_.rate(); }
    Codec codec() const noexcept { return decoder_.encoding().codec; }

    /// One datagram from the pinned peer.
    void on_packet(std::span<const std::byte> datagram, TimePoint now, RtpSink& sink) noexcept;

    /// To be called about every 20 ms: gives up on gaps and lets time pass.
    void on_tick(TimePoint now, RtpSink& sink) noexcept;

    Stats stats() const noexcept;

    /// What the peer's speech has suffered so far, for estimate_mos(). `round_trip`: of RTCP, where
    /// known; without it the network counts as without delay.
    Impairment impairment(std::optional<microseconds> round_trip) const noexcept;

    /// When the latest valid packet came, for the media timeout.
    std::optional<TimePoint> last_packet() const noexcept { return last_packet_; }

    /// The current source, once there is one.
    std::optional<Ssrc> ssrc() const noexcept;

    /// The block about the current source for an RTCP report (RFC 3550 §6.4.1, §A.3); its last_sr
    /// and delay_since_last_sr are left to RtcpSession. Each call begins a new interval.
    std::optional<ReportBlock> report_block() noexcept;

private:
    // Time is counted in 125 µs, a sample at 8 kHz: one or two samples of PCM and a whole number of
    // units of every RTP clock.
    static constexpr std::int64_t frame_units = samples_in(frame_time, narrowband);
    static constexpr std::size_t max_held = 8;
    /// 40 ms of L16 at 16 kHz, a frame of Opus, 60 ms of the others; longer packets do not wait.
    static constexpr std::size_t max_held_payload = 1'280;

    enum class Kind : std::uint8_t { audio, noise, event, foreign };
    struct Packet {
        std::int64_t sequence{0};  ///< unwrapped
        RtpTimestamp timestamp;
        TimePoint arrived;
        Kind kind{Kind::foreign};
        Encoding encoding;
        std::span<const std::byte> payload;
    };
    struct Held {
        bool used{false};
        Packet packet;  ///< its payload points into `bytes`
        std::array<std::byte, max_held_payload> bytes;
    };

    bool accepts_source(const RtpPacketView& packet, Kind kind, TimePoint now) const noexcept;
    void begin_source(const RtpPacketView& packet, TimePoint now, RtpSink& sink) noexcept;
    void note_passed(const Packet& packet, RtpSink& sink) noexcept;
    std::span<Held> held() const noexcept { return {held_.get(), held_ ? max_held : 0}; }
    bool is_held(std::int64_t sequence) const noexcept;
    bool hold(const Packet& packet) noexcept;
    Held* lowest_held() noexcept;
    void release(TimePoint now, RtpSink& sink) noexcept;
    void release_one(Held& held, RtpSink& sink) noexcept;
    void release_all(RtpSink& sink) noexcept;
    void deliver(const Packet& packet, RtpSink& sink) noexcept;
    void deliver_event(const Packet& packet, RtpSink& sink) noexcept;
    void deliver_audio(const Packet& packet, std::int64_t lost, RtpSink& sink) noexcept;
    void begin_noise(const Packet& packet) noexcept;
    void switch_to(Encoding encoding) noexcept;
    std::size_t pcm_per_unit() const noexcept { return rate().hz / narrowband.hz; }
    std::int64_t clock_per_unit() const noexcept {
        return decoder_.encoding().clock.hz / narrowband.hz;
    }
    std::span<Sample> room(std::size_t most) noexcept;
    void filled(std::size_t samples, TimePoint when, RtpSink& sink) noexcept;
    void append(const Packet& packet, std::size_t skipped, RtpSink& sink) noexcept;
    void append_opus(const Packet& packet, std::size_t skipped, RtpSink& sink) noexcept;
    void copy_in(Samples samples, TimePoint when, RtpSink& sink) noexcept;
    std::int64_t recover(const Packet& packet, std::int64_t gap, RtpSink& sink) noexcept;
    void invent(std::int64_t units, TimePoint when, RtpSink& sink) noexcept;
    void emit(TimePoint when, RtpSink& sink) noexcept;
    void measure_jitter(const Packet& packet) noexcept;
    std::int64_t expected() const noexcept { return highest_sequence_ - base_sequence_ + 1; }

    // Given to us.
    RtpReceiverConfig config_;

    // The current source, by sequence number. Sequence numbers are unwrapped to 64 bits.
    bool has_source_{false};
    Ssrc ssrc_;
    std::optional<Ssrc> previous_ssrc_;
    TimePoint source_began_{};
    std::int64_t base_sequence_{0};
    std::int64_t highest_sequence_{0};
    std::int64_t next_sequence_{0};  ///< the next to deliver
    std::uint64_t passed_{0};        ///< bit n: next_sequence_ - 1 - n has been received
    std::optional<std::uint16_t> bad_sequence_;  ///< RFC 3550 §A.1
    std::int64_t source_received_{0};
    std::int64_t source_duplicates_{0};
    std::int64_t expected_prior_{0};
    std::int64_t received_prior_{0};
    std::optional<std::uint32_t> transit_;
    std::uint32_t jitter_{0};  ///< timestamp units times 16
    RtpClockRate jitter_clock_{8'000};
    std::optional<TimePoint> last_packet_;
    std::unique_ptr<Held[]> held_;  ///< max_held of them; null: none was ever needed
    std::size_t held_count_{0};

    // The timeline, by timestamp.
    bool running_{false};
    bool synchronised_{false};        ///< next_timestamp_ belongs to the current source
    std::int64_t next_timestamp_{0};  ///< of the next sample to deliver, RTP clock, unwrapped
    TimePoint media_time_{};          ///< audio has been delivered up to here
    std::int64_t ahead_{0};           ///< units filled in beyond what the sender has confirmed
    std::optional<TimePoint> late_since_;
    TimePoint last_late_{};
    std::int64_t packet_units_{frame_units};
    bool in_noise_{false};  ///< the latest in order was a comfort noise packet
    ComfortNoise noise_{-90, 1};

    // The frame being put together, at rate().
    std::array<Sample, samples_in(frame_time, wideband)> frame_{};
    std::size_t filled_{0};
    bool any_real_{false};
    bool any_concealed_{false};
    bool any_noise_{false};
    TimePoint last_emitted_{};
    AudioDecoder decoder_;

    DigitDetector digits_;
    std::int64_t lost_before_{0};  ///< of earlier sources
    Stats stats_;
};

}  // namespace oavc::media
