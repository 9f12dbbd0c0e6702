#pragma once

#include "async/tick.hpp"
#include "base/time.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace oavc::transports::rtp {

/// When in the 20 ms a leg's tick should run: shortly after its caller's packets arrive, so that
/// they do not wait to be read. Sans-I/O: says which phase of the wheel is better, rarely, and only
/// if much is gained; the leg moves. Follows a caller whose clock drifts. Owner: the leg.
class TickAlignment {
public:
    static constexpr std::size_t phases = async::TickWheel::phases;

    struct Move {
        std::size_t phases;  ///< later, 1 … 9
        /// The first tick in the new phase is left out, so that our packets come later by so much.
        /// Else they come earlier by the rest of the 20 ms. A peer can always use what comes early,
        /// so that is how a call begins; later the smaller step is taken, for a clock that drifts
        /// would otherwise push us ahead again and again.
        bool pause;

        Clock::duration time() const noexcept {
            return static_cast<Clock::rep>(phases) * async::TickWheel::phase_time;
        }
        /// Of all our packets from here on.
        Clock::duration shift() const noexcept { return pause ? time() : time() - frame; }
    };

    /// `deadline`: of the tick that read it, or any other.
    void on_packet(TimePoint arrived, TimePoint deadline) noexcept;

    /// Enough packets have come for a decision.
    bool is_due() const noexcept { return seen_ >= (began_ ? window : first_window); }

    /// Nothing: the tick is well where it is. `has_room[n]`: so many phases later another client
    /// fits; calls that come all at once are spread, whatever they wait. Begins a new window.
    std::optional<Move> decide(const std::array<bool, phases>& has_room) noexcept;

private:
    static constexpr Clock::duration frame = async::TickWheel::phase_time * phases;
    static constexpr std::uint32_t first_window = 10;
    static constexpr std::uint32_t window = 250;  ///< 5 s, which is how seldom a tick moves

    std::array<std::uint16_t, phases> waits_{};  ///< packets by how many phases they would wait
    std::uint32_t seen_{0};
    bool began_{false};  ///< the first window is over
};

}  // namespace oavc::transports::rtp
