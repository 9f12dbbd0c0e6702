#pragma once

#include "base/time.hpp"

#include <algorithm>
#include <chrono>

namespace oavc::transports::rtp {

/// Times of arrival: the kernel stamps packets by the wall clock, which somebody may set at any
/// time, and media runs on the steady one. How far the two are apart is measured every second, and
/// where a stamp cannot be true. Owner: the leg.
class ArrivalClock {
public:
    using WallTime = std::chrono::system_clock::time_point;

    /// The two clocks at one instant.
    struct Reading {
        TimePoint steady;
        WallTime wall;
    };

    static Reading read_clocks() noexcept {
        return {Clock::now(), std::chrono::system_clock::now()};
    }

    explicit ArrivalClock(Reading (*read)() noexcept = read_clocks) noexcept : read_{read} {}

    /// When a packet of `stamp` arrived. `now`: about now, of whoever reads the packet; it came
    /// within the second before.
    TimePoint at(WallTime stamp, TimePoint now) noexcept {
        if (now - measured_ >= longest) measure();
        const auto arrived = steady(stamp);
        if (arrived <= now && now - arrived <= longest) return arrived;
        // It came after `now`, or lay for long, or the wall clock was set.
        measure();
        return std::clamp(steady(stamp), measured_ - longest, measured_);
    }

private:
    static constexpr Clock::duration longest = std::chrono::seconds{1};

    void measure() noexcept {
        const auto [steady, wall] = read_();
        measured_ = steady;
        apart_ = steady.time_since_epoch() - wall.time_since_epoch();
    }
    TimePoint steady(WallTime stamp) const noexcept {
        return TimePoint{stamp.time_since_epoch() + apart_};
    }

    Reading (*read_)() noexcept;
    TimePoint measured_{-2 * longest};  ///< never yet
    Clock::duration apart_{};
};

}  // namespace oavc::transports::rtp
