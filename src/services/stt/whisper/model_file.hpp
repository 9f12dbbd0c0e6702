#pragma once

#include "services/config.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace oavc::services::whisper {

/// File names that may serve `model_size` and `compute_type`, the preferred one first. whisper.cpp
/// cannot change a model's precision when it loads it: compute_type chooses among files. int8 takes
/// the -q8_0 file (of large models that have none: -q5_0), the floating-point types the f16 one,
/// "auto" whatever is there. Throws std::runtime_error for a name that faster-whisper does not
/// know.
std::vector<std::string> model_files(
    const std::string& model_size, const std::string& compute_type
);

/// The file to load: model_path, else the first of model_files() in `models`. Throws
/// std::runtime_error that names the expected path and the command that fetches it.
std::filesystem::path find_model(
    const FasterWhisperConfig& config, const std::filesystem::path& models
);

}  // namespace oavc::services::whisper
