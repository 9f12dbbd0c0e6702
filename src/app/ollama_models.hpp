#pragma once

#include <span>
#include <string_view>

namespace oavc::app {

/// `oavc models ollama list | pull | show | rm [NAME…] [--url URL | -c FILE]`: the models of an
/// Ollama server. Throws std::runtime_error with what to do when the server does not do it.
int ollama_models_command(std::span<const std::string_view> arguments);

}  // namespace oavc::app
