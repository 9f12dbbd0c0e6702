#pragma once

#include "media/frame.hpp"

#include <array>
#include <cstddef>
#include <span>

namespace oavc::media::detail {

/// Invents audio of 8 or 16 kHz for what is missing: repeats the last pitch period, fading out, for
/// at most 100 ms after the last real sample, then silence (after ITU-T G.711 Appendix I, without
/// its delay). Any lengths. Never allocates.
class Concealer {
public:
    /// `rate`: 8 or 16 kHz (OAVC_ASSERT).
    explicit Concealer(SampleRate rate = narrowband) noexcept { reset(rate); }

    /// Forgets what it heard.
    void reset(SampleRate rate) noexcept;

    /// Real audio, in order. Its beginning is blended with what was invented before it.
    void on_real(std::span<Sample> samples) noexcept;

    /// Fills `out`. True if any of it was made from real audio; false: plain silence.
    bool fill(std::span<Sample> out) noexcept;

private:
    static constexpr std::size_t widest = 2;         ///< 16 kHz against 8
    static constexpr std::size_t shortest_lag = 40;  ///< at 8 kHz: a voice of 200 Hz …
    static constexpr std::size_t longest_lag = 120;  ///< … to 67 Hz
    static constexpr std::size_t compared = 160;     ///< 20 ms are compared for the pitch
    static constexpr std::size_t remembered = longest_lag + compared;

    std::span<Sample> history() noexcept { return std::span{history_}.first(remembered * scale_); }
    void begin() noexcept;
    float next() noexcept;

    std::size_t scale_{1};  ///< 8 kHz: 1, 16 kHz: 2
    std::size_t longest_{0};
    std::size_t run_{0};  ///< samples invented since the last real one; at first, no real one
    std::size_t lag_{0};  ///< the pitch period that is repeated
    std::size_t at_{0};   ///< in the cycle
    std::array<Sample, remembered * widest> history_{};  ///< the last real audio
    std::array<Sample, longest_lag * widest> cycle_{};
};

}  // namespace oavc::media::detail
