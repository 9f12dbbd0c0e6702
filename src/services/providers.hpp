#pragma once

#include <array>
#include <string_view>

namespace oavc::services {

/// What [stt], [llm] and [tts] provider may be; ServiceFactory makes them. A new engine is one
/// name here, one line there, its keys (services/config.hpp, config/keys) and an adapter.
inline constexpr std::array<std::string_view, 6> known_stt_providers{
    "vosk", "faster-whisper", "wyoming", "deepgram", "pocketsphinx", "scripted"};
inline constexpr std::array<std::string_view, 4> known_llm_providers{
    "llama", "ollama", "openai", "scripted"};
inline constexpr std::array<std::string_view, 6> known_tts_providers{
    "piper", "wyoming", "deepgram", "elevenlabs", "flite", "espeak-ng"};

}  // namespace oavc::services
