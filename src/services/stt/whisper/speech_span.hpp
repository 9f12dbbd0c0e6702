#pragma once

#include "base/time.hpp"
#include "media/frame.hpp"

#include <cstddef>

namespace oavc::services::whisper {

/// The rate that Whisper hears: 16 kHz.
inline constexpr SampleRate rate = wideband;

/// What one decode takes: the model's window is 30 s.
inline constexpr std::size_t longest_piece = samples_in(std::chrono::seconds{30}, rate);

/// What of an utterance is speech rather than the pauses around it.
struct SpeechSpan {
    milliseconds length{0};     ///< from the first to the last block of 20 ms above the threshold
    double level_dbfs{-100.0};  ///< RMS of that stretch
};
SpeechSpan measure_speech(media::Samples audio, double threshold_dbfs) noexcept;

/// Where to cut audio that became too long: the middle of the quietest 100 ms of its last 2 s.
std::size_t quietest_cut(media::Samples audio) noexcept;

}  // namespace oavc::services::whisper
