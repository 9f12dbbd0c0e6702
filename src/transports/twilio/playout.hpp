#pragma once

#include "base/ring.hpp"
#include "base/time.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace oavc::transports::twilio {

/// What we know of the audio in Twilio's playback buffer, which nobody can ask. Twilio plays what
/// it gets at once and in real time; so the playhead runs with the clock from the moment audio
/// enters an empty buffer. Marks sent between frames come back when they are reached: their
/// shortest way there and back is the network's, and an echo later than that shows that playback
/// stalled meanwhile, so the playhead is put back. Without echoes the clock alone counts.
///
/// Marks are named `e<epoch>:<number>`. A clear begins a new epoch: echoes of older ones, which
/// Twilio sends for what it threw away, prove nothing. Sans-I/O. Thread: its owner's.
class Playout {
public:
    static constexpr milliseconds mark_interval{100};
    static constexpr std::size_t max_marks = 64;  ///< on their way; more are not sent

    struct Stats {
        std::uint64_t marks{0};
        std::uint64_t echoes{0};        ///< of the current epoch, in order
        std::uint64_t stale_echoes{0};  ///< of an older epoch, repeated, or never ours
        std::uint64_t clears{0};
        milliseconds deepest{0};  ///< most audio ever ahead of the playhead
    };

    explicit Playout(milliseconds max_buffered) noexcept : max_buffered_{max_buffered} {}

    /// How much more may be sent so that at most max_buffered lies ahead of the playhead.
    milliseconds room(TimePoint now) const noexcept;

    void on_sent(milliseconds audio, TimePoint now) noexcept;

    /// True: send a mark now, by the name mark_name(), and call on_marked(). `flush`: also behind
    /// the last audio when the interval is not full.
    bool mark_due(bool flush) const noexcept;
    std::string_view mark_name() noexcept;  ///< of the next mark; valid until the next call
    void on_marked(TimePoint now) noexcept;

    void on_echo(std::string_view name, TimePoint now) noexcept;

    /// Sent and, as far as we know, not heard by the caller yet. What echoes prove counts as heard;
    /// beyond it the playhead, less the time that sound takes to get there.
    milliseconds unheard(TimePoint now) const noexcept;

    /// Everything unheard is thrown away: how much that was. The caller sends `clear`.
    milliseconds clear(TimePoint now) noexcept;
    bool anything_sent() const noexcept { return sent_ > Clock::duration{}; }  ///< in this epoch

    const Stats& stats() const noexcept { return stats_; }

private:
    struct Mark {
        std::uint64_t number{0};
        Clock::duration position{};  ///< audio sent before it
        TimePoint due{};             ///< when the playhead gets there
    };

    Clock::duration playhead(TimePoint now) const noexcept;
    void shift(Clock::duration later) noexcept;

    const milliseconds max_buffered_;
    std::uint64_t epoch_{1};
    std::uint64_t next_number_{1};
    Clock::duration sent_{};    ///< in this epoch
    Clock::duration marked_{};  ///< of it, before the last mark
    Clock::duration proven_{};  ///< of it, before the last mark echoed
    Clock::duration anchor_{};  ///< position at which the playhead was …
    TimePoint anchor_time_{};   ///< … at this time, running since
    Clock::duration before_{};  ///< the anchor before the last pause …
    TimePoint before_time_{};   ///< … and its time
    Clock::duration way_{};     ///< shortest time from a mark's due to its echo
    bool way_known_{false};
    Clock::duration put_back_{};  ///< how much stalls have put the playhead back since it ran dry
    Ring<Mark, max_marks> marks_;
    char name_[48]{};
    Stats stats_;
};

}  // namespace oavc::transports::twilio
