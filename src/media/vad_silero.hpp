#pragma once

#include "base/result.hpp"
#include "media/vad.hpp"

#include <filesystem>
#include <memory>
#include <string>

namespace oavc::media {

/// Silero VAD v6 at 16 kHz from the ggml file that whisper.cpp uses. One copy of the weights for
/// all engines of the factory. The error is a sentence that names the file.
Result<std::shared_ptr<const VadFactory>, std::string> make_silero_vad(
    const std::filesystem::path& model, double threshold
);

}  // namespace oavc::media
