#pragma once

#include <array>
#include <string_view>

namespace oavc::services {

/// What [stt], [llm] and [tts] provider may be; ServiceFactory makes them. A new engine is one
/// name here, one line there and one folder of its own.
inline constexpr std::array<std::string_view, 1> known_stt_providers{"pocketsphinx"};
inline constexpr std::array<std::string_view, 1> known_llm_providers{"scripted"};
inline constexpr std::array<std::string_view, 2> known_tts_providers{"flite", "espeak-ng"};

}  // namespace oavc::services
