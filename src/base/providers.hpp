#pragma once

#include <span>
#include <string>
#include <string_view>

namespace oavc {

/// "Unknown provider: 'x' for [stt] provider (known: pocketsphinx)": the one wording of factories
/// and configuration.
std::string unknown_provider(
    std::string_view value, std::string_view where, std::span<const std::string_view> known
);

}  // namespace oavc
