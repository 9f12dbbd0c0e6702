#pragma once

#include "media/detail/silero_model.hpp"
#include "media/vad.hpp"

#include <memory>

namespace oavc::media::detail {

/// Silero for the moments that need it. A level gate hears whether there is more than the line's
/// own noise, WebRTC's detector whether that may be a voice, and only then Silero listens: first
/// to the last 320 ms, which were kept for that, then until it has heard no voice for 160 ms.
/// So it knows a word's beginning as if it had listened all the time, and decisions come when it
/// would have made them. A line that is never quiet costs what Silero and both gates cost.
std::unique_ptr<VadEngine> make_gated_vad(
    std::shared_ptr<const SileroModel> model, SampleRate line, float threshold
);

}  // namespace oavc::media::detail
