#include "services/stt/whisper/model_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string_view>

namespace oavc::services::whisper {

namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 12> sizes{
    "tiny",
    "tiny.en",
    "base",
    "base.en",
    "small",
    "small.en",
    "medium",
    "medium.en",
    "large-v1",
    "large-v2",
    "large-v3",
    "large-v3-turbo"};

/// faster-whisper's other names for the same weights.
std::string_view canonical(std::string_view size) noexcept {
    if (size == "large") return "large-v3";
    if (size == "turbo") return "large-v3-turbo";
    return size;
}

/// What upstream publishes in 5 bits: q5_1 of the small models, q5_0 of the others.
std::string_view five_bits(std::string_view size) noexcept {
    const bool small =
        size.starts_with("tiny") || size.starts_with("base") || size.starts_with("small");
    return small ? "-q5_1" : "-q5_0";
}

}  // namespace

std::vector<std::string> model_files(
    const std::string& model_size, const std::string& compute_type
) {
    const auto size = canonical(model_size);
    if (std::ranges::find(sizes, size) == sizes.end() && !size.starts_with("distil-")) {
        throw std::runtime_error{fmt::format(
            "[stt.faster-whisper] model_size: '{}' is unknown (known: {}, large, turbo, distil-…)",
            model_size,
            fmt::join(sizes, ", ")
        )};
    }
    const auto file = [&](std::string_view suffix) {
        return fmt::format("ggml-{}{}.bin", size, suffix);
    };
    const auto five = five_bits(size);
    if (compute_type.empty() || compute_type == "auto" || compute_type == "default") {
        return {file(""), file("-q8_0"), file(five)};
    }
    if (compute_type == "float32" || compute_type == "float16" || compute_type == "bfloat16" ||
        compute_type == "int16") {
        return {file("")};
    }
    if (compute_type == "int8" || compute_type == "int8_float32" ||
        compute_type == "int8_float16" || compute_type == "int8_bfloat16") {
        const bool has_q8 = size != "large-v1" && size != "large-v3";
        return has_q8 ? std::vector{file("-q8_0"), file(five)} : std::vector{file(five)};
    }
    throw std::runtime_error{fmt::format(
        "[stt.faster-whisper] compute_type: '{}' is unknown (known: auto, default, float32, "
        "float16, bfloat16, int16, int8, int8_float32, int8_float16, int8_bfloat16)",
        compute_type
    )};
}

fs::path find_model(const FasterWhisperConfig& config, const fs::path& models) {
    std::error_code error;
    if (!config.model_path.empty()) {
        if (fs::is_regular_file(config.model_path, error)) return config.model_path;
        throw std::runtime_error{fmt::format(
            "[stt.faster-whisper] model_path: there is no file '{}'", config.model_path
        )};
    }
    const auto names = model_files(config.model_size, config.compute_type);
    for (const auto& name : names) {
        if (fs::is_regular_file(models / name, error)) return models / name;
    }
    const auto& first = names.front();
    constexpr std::string_view prefix{"ggml-"};
    constexpr std::string_view suffix{".bin"};
    const auto published =
        first.substr(prefix.size(), first.size() - prefix.size() - suffix.size());
    throw std::runtime_error{fmt::format(
        "[stt.faster-whisper] the model is not here: expected {}\n  fetch it: oavc models pull {}",
        (models / first).string(),
        published
    )};
}

}  // namespace oavc::services::whisper
