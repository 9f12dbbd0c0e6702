#pragma once

#include "base/time.hpp"

#include <array>
#include <string>
#include <string_view>

namespace oavc::media {

/// What [vad] engine may be.
inline constexpr std::array<std::string_view, 4> known_vad_engines{
    "auto", "webrtc", "silero", "gated"};

/// [vad]
struct VadConfig {
    std::string engine{"auto"};  ///< webrtc, silero, gated, or auto: gated where Silero's model is
    std::string model;           ///< Silero's ggml file; empty: the data directory's silero-vad.bin
    double threshold{0.5};       ///< Silero: speech probability that counts as speech
    int aggressiveness{2};       ///< WebRTC: 0 (lets most through) … 3
    milliseconds min_speech{60};    ///< voiced for this long before speech has started
    milliseconds min_silence{400};  ///< unvoiced for this long before speech has stopped
    milliseconds pre_roll{300};     ///< audio before the onset that the recogniser gets too
};

}  // namespace oavc::media
