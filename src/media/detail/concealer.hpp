#pragma once

#include "media/frame.hpp"

#include <array>
#include <cstddef>
#include <span>

namespace oavc::media::detail {

/// Invents 8 kHz audio for what is missing: repeats the last pitch period, fading out, for at most
/// 100 ms after the last real sample, then silence. Any lengths. Never allocates.
class Concealer {
public:
    static constexpr std::size_t longest = samples_in(milliseconds{100}, narrowband);

    Concealer() noexcept;

    /// Real audio, in order. Its beginning is blended with what was invented before it.
    void on_real(std::span<Sample> samples) noexcept;

    /// Fills `out`. True if any of it was made from real audio; false: plain silence.
    bool fill(std::span<Sample> out) noexcept;

private:
    static constexpr std::size_t state_size = 1'072;
    static constexpr std::size_t history_size = 280;

    std::array<Sample, history_size> history_{};  ///< the last real audio
    std::size_t run_{longest};  ///< samples invented since the last real one; at first, no real one
    alignas(8) std::array<std::byte, state_size> state_;  ///< the library's, used within a gap
    std::array<Sample, 40> stash_{};
    std::size_t stashed_{0};  ///< at the end of stash_, not used yet
};

}  // namespace oavc::media::detail
