#pragma once

#include "media/vad.hpp"

#include <memory>

namespace oavc::media {

/// WebRTC's voice detector at 8 kHz: no model, 0.8 KB and about 0.08 ms per second of audio,
/// decisions every 10 ms. `aggressiveness` 0 (lets most through) … 3; other values are clamped.
std::shared_ptr<const VadFactory> make_webrtc_vad(int aggressiveness);

}  // namespace oavc::media
