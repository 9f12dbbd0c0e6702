#pragma once

#include "services/config.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace oavc::services {

/// A remote service that calls use, and the section that describes it. Borrows the configuration.
struct UsedEndpoint {
    std::string_view section;  ///< "stt.vosk"
    const Endpoint& endpoint;

    /// Certificates matter: its URL is https://, wss:// or tls://.
    bool secure() const noexcept {
        const std::string& url = endpoint.url;
        return url.starts_with("https://") || url.starts_with("wss://") ||
               url.starts_with("tls://");
    }
};

/// Of the providers and their fallbacks; embedded ones have none. In the header, because config/
/// reads the rooms' plain structs without their libraries.
inline std::vector<UsedEndpoint> endpoints_in_use(const Config& config) {
    std::vector<UsedEndpoint> used;
    const auto add = [&used](
                         const std::string& provider,
                         const std::string& fallback,
                         std::string_view section,
                         const Endpoint& endpoint
                     ) {
        const auto name = section.substr(section.find('.') + 1);
        if (provider == name || fallback == name) used.push_back({section, endpoint});
    };
    const auto stt = [&](std::string_view section, const Endpoint& endpoint) {
        add(config.stt_provider, config.stt_fallback, section, endpoint);
    };
    const auto llm = [&](std::string_view section, const Endpoint& endpoint) {
        add(config.llm_provider, config.llm_fallback, section, endpoint);
    };
    const auto tts = [&](std::string_view section, const Endpoint& endpoint) {
        add(config.tts_provider, config.tts_fallback, section, endpoint);
    };
    stt("stt.vosk", config.vosk.endpoint);
    stt("stt.wyoming", config.wyoming_stt.endpoint);
    stt("stt.deepgram", config.deepgram_stt.endpoint);
    llm("llm.llama", config.llama.endpoint);
    llm("llm.ollama", config.ollama.endpoint);
    llm("llm.openai", config.openai.endpoint);
    tts("tts.piper", config.piper.endpoint);
    tts("tts.wyoming", config.wyoming_tts.endpoint);
    tts("tts.deepgram", config.deepgram_tts.endpoint);
    tts("tts.elevenlabs", config.elevenlabs.endpoint);
    return used;
}

}  // namespace oavc::services
