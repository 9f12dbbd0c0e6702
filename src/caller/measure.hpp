#pragma once

#include "base/time.hpp"
#include "media/frame.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace oavc::caller {

/// A stretch in which every 5 ms window was voiced.
struct VoicedSpan {
    TimePoint begin;  ///< first voiced window's first sample
    TimePoint end;    ///< one past the last
};

/// When one direction of a call was voiced (media::is_voiced), on the wire's clock, in windows of
/// 5 ms. Holes up to `bridge` (closures inside words) do not split a span.
class Activity {
public:
    static constexpr int voiced_rms =
        260;  ///< −42 dBFS: far above comfort noise, below soft speech
    static constexpr std::size_t window_samples = 40;  ///< 5 ms at 8 kHz
    static constexpr milliseconds bridge{30};

    /// Audio at 8 kHz whose first sample was on the wire at `at`. `at` never goes back.
    void add(TimePoint at, media::Samples samples);

    std::span<const VoicedSpan> spans() const noexcept { return spans_; }

    /// End of the last voiced window so far.
    std::optional<TimePoint> last_voiced() const noexcept;

    /// First voiced moment at or after `from` and before `until`; inside a span that began earlier
    /// that is `from` itself.
    std::optional<TimePoint> first_voiced(TimePoint from, TimePoint until) const noexcept;

    /// Beginning of the first span that begins in [from, until).
    std::optional<TimePoint> first_onset(TimePoint from, TimePoint until) const noexcept;

    /// End of the last voiced window in [from, until].
    std::optional<TimePoint> last_voiced(TimePoint from, TimePoint until) const noexcept;

    /// Voiced time within [from, until).
    Clock::duration voiced_within(TimePoint from, TimePoint until) const noexcept;

    /// Starting from speech that was heard at most `pause` before `from`: when it fell silent for
    /// longer than `pause`. What begins at `until` or later is other speech. Nothing when nobody
    /// spoke at `from`.
    std::optional<TimePoint> stops_after(TimePoint from, Clock::duration pause, TimePoint until)
        const noexcept;

private:
    std::vector<VoicedSpan> spans_;
};

/// One thing the caller said, as it went out.
struct SpokenUtterance {
    TimePoint begin;         ///< first frame sent
    TimePoint end;           ///< one past the last frame
    bool interrupts{false};  ///< sent while the connector spoke
};

/// What the wire shows of one utterance and the reply to it.
struct MeasuredTurn {
    std::optional<TimePoint> first_sent;   ///< caller's first voiced sample
    std::optional<TimePoint> last_sent;    ///< caller's last voiced sample
    std::optional<TimePoint> reply_begin;  ///< first voiced sample of the reply
    std::optional<TimePoint> reply_end;    ///< its last, before the next utterance or the end
    std::optional<Clock::duration> heard_latency;  ///< last_sent → reply_begin

    // Of the reply to this utterance (or of the greeting), when the next utterance cut it off:
    bool interrupted{false};
    std::optional<Clock::duration> barge_in;  ///< onset of the interruption → last voiced sample
    Clock::duration leaked{0};  ///< voiced after that while the caller still spoke: must be nothing
};

/// Pauses up to this long belong to a reply: between sentences, inside them.
inline constexpr milliseconds reply_pause{400};

/// Puts both directions together. Element 0 is the greeting (it has no utterance), element i the
/// i-th utterance and its reply. `end`: when the call ended.
std::vector<MeasuredTurn> measure_turns(
    std::span<const SpokenUtterance> utterances,
    const Activity& sent,
    const Activity& heard,
    TimePoint end
);

/// Reception of one RTP stream, from sequence numbers and arrival times.
class RtpMeter {
public:
    /// `timestamp` counts 8 kHz samples.
    void on_packet(
        std::uint16_t sequence_number, std::uint32_t timestamp, TimePoint arrived
    ) noexcept;

    std::uint64_t received() const noexcept { return received_; }
    std::uint64_t lost() const noexcept;                         ///< RFC 3550 §A.3
    double jitter_ms() const noexcept { return jitter_ / 8.0; }  ///< RFC 3550 §6.4.1
    double max_gap_ms() const noexcept {
        return max_gap_ms_;
    }  ///< longest time between two packets

private:
    std::uint64_t received_{0};
    std::uint32_t first_{0};
    std::uint32_t highest_{0};  ///< extended sequence number
    TimePoint last_arrival_{};
    std::uint32_t last_timestamp_{0};
    double jitter_{0};  ///< in samples
    double max_gap_ms_{0};
};

/// `percent` of the values are at or below the result (nearest rank). 0 for no values.
double percentile(std::vector<double> values, double percent);

}  // namespace oavc::caller
