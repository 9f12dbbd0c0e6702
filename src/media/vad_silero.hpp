#pragma once

#include "base/result.hpp"
#include "media/vad.hpp"

#include <filesystem>
#include <memory>
#include <string>

namespace oavc::media {

/// When Silero listens: all the time, or when a gate before it heard what may be a voice.
enum class SileroDuty { always, gated };

/// Silero VAD v6 at 8 or 16 kHz from the ggml file that whisper.cpp uses. One copy of the weights
/// for all engines of the factory. The error is a sentence that names the file.
Result<std::shared_ptr<const VadFactory>, std::string> make_silero_vad(
    const std::filesystem::path& model, double threshold, SileroDuty duty = SileroDuty::always
);

}  // namespace oavc::media
