#pragma once

#include "services/tts/detail/pcm_stream.hpp"
#include "services/tts/detail/speech_exchange.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::services {

/// The audio formats of ElevenLabs that need no decoder.
struct ElevenLabsFormat {
    enum class Coding { ulaw, alaw, pcm };
    Coding coding{Coding::ulaw};
    SampleRate rate{narrowband};
};

/// "ulaw_8000", "alaw_8000", "pcm_16000" …; nothing for what we cannot play (mp3, opus).
std::optional<ElevenLabsFormat> parse_elevenlabs_format(std::string_view name) noexcept;

struct ElevenLabsVoiceSettings {
    double stability{0.5};
    double similarity_boost{0.8};
    double speed{1.0};
};

/// One sentence on a connection of its own to `stream-input`: a space that carries the settings,
/// the sentence, an empty text as its end. The audio comes as base64 in JSON.
class ElevenLabsExchange final : public SpeechExchange {
public:
    ElevenLabsExchange(std::string text, ElevenLabsVoiceSettings settings, ElevenLabsFormat format);

    std::vector<std::string> requests() override;
    error_code receive(std::string_view data, bool binary, std::vector<media::Sample>& audio)
        override;
    error_code on_close(std::uint16_t close_code) override;
    SampleRate rate() const override { return format_.rate; }
    std::string_view complaint() const override { return complaint_; }

private:
    error_code add_audio(std::string_view base64, std::vector<media::Sample>& audio);

    const std::string text_;
    const ElevenLabsVoiceSettings settings_;
    const ElevenLabsFormat format_;
    PcmStream pcm_;
    std::vector<std::byte> decoded_;
    bool heard_{false};
    std::string complaint_;
};

}  // namespace oavc::services
