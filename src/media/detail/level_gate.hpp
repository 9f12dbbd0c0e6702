#pragma once

#include "media/frame.hpp"

#include <array>
#include <cstddef>

namespace oavc::media::detail {

/// Tells frames that may hold anything but the line's own noise from those that surely do not: for
/// a few dozen nanoseconds, long before anybody asks what it is. Knows the level of the noise from
/// the quietest moments of the last seconds, in three bands so that hum hides no hiss and hiss no
/// hum. A frame of steady noise stays shut whatever its level; a voice may be 3 dB under the noise.
/// Sans-I/O; no allocation. Thread: its owner's.
class LevelGate {
public:
    /// One frame of 20 ms, of one rate for one gate. True: worth a second look.
    bool open(Samples frame) noexcept;

    void reset() noexcept { *this = {}; }

private:
    /// The signal less what it was half a millisecond ago, its first and its second difference:
    /// voices are around 1 kHz, in and above 2 kHz; below 200 Hz is what wheels and fans make,
    /// never steady from frame to frame. Mean squares, in units of one sample step squared.
    static constexpr std::size_t bands = 3;
    using Powers = std::array<float, bands>;

    /// The least mean level of the last 2.8 to 3.2 s.
    class Floor {
    public:
        bool above(float power) noexcept;

    private:
        static constexpr std::size_t slots = 8;
        static constexpr int frames_per_slot = 20;

        std::array<float, slots> least_{};  ///< of each full slot
        std::size_t full_{0};               ///< slots filled so far, at most `slots`
        std::size_t next_{0};
        int frames_{0};    ///< in the slot that is filling
        float current_{};  ///< its least
        float mean_{};     ///< of the last few frames
        bool begun_{false};
    };

    Powers measure(Samples frame) noexcept;

    std::array<Floor, bands> floors_;
    static constexpr std::size_t most_lag = samples_in(microseconds{500}, wideband);
    std::array<Sample, most_lag> before_{};  ///< the previous frame's last samples
};

}  // namespace oavc::media::detail
