#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

namespace oavc::app {

/// A model that `oavc models pull` knows. What arrives is this very file or nothing.
struct Model {
    std::string_view name;    ///< "silero-vad"
    std::string file;         ///< its name in the models folder
    std::string url;          ///< where its maintainers publish it
    std::uint64_t size;       ///< bytes
    std::string_view sha256;  ///< lower-case hexadecimal
    std::string_view what;    ///< what it is for, in a line
};
std::span<const Model> known_models();

/// Why a model could not be fetched and what to do about it, in words for whoever typed the
/// command.
class PullError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Bytes there so far. Called often; the last call has all of them.
using PullProgress = std::function<void(std::uint64_t done)>;

/// Fetches `model` into `directory` and returns its path; at once when it is there already. `from`:
/// another URL (http, https; redirects are followed) or a file to copy; empty: the model's own URL.
/// What arrived of an interrupted download stays in FILE.part, and the next one goes on from there.
/// The file gets its name only when its sha256 is right. Throws PullError. Blocks.
std::filesystem::path pull_model(
    const Model& model,
    std::string_view from,
    const std::filesystem::path& directory,
    const PullProgress& progress
);

/// `oavc models list` and `oavc models pull NAME [--from URL|FILE]`.
int models_command(std::span<const std::string_view> arguments);

}  // namespace oavc::app
