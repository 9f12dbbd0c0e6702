#pragma once

#include "services/detail/wyoming_protocol.hpp"
#include "services/tts/detail/pcm_stream.hpp"
#include "services/tts/detail/speech_exchange.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::services {

/// Which voice a Wyoming server shall take; empty: its own choice.
struct WyomingVoice {
    std::string name;
    std::string language;  ///< without a name: any voice of this language
    std::string speaker;   ///< of a voice with several
};

/// One sentence at a Wyoming text-to-speech server: synthesize, then audio-start, audio-chunk …,
/// audio-stop.
class WyomingExchange final : public SpeechExchange {
public:
    WyomingExchange(std::string text, WyomingVoice voice);

    std::vector<std::string> requests() override;
    error_code receive(std::string_view data, bool binary, std::vector<media::Sample>& audio)
        override;
    SampleRate rate() const override { return rate_.value_or(wideband); }
    std::string_view complaint() const override { return complaint_; }
    bool reusable() const override { return parser_.empty(); }

private:
    error_code on_event(const WyomingEvent& event, std::vector<media::Sample>& audio);
    bool take_format(const WyomingEvent& event, bool has_audio);

    const std::string text_;
    const WyomingVoice voice_;
    WyomingParser parser_;
    std::optional<SampleRate> rate_;
    PcmStream pcm_{wideband};
    bool heard_{false};
    std::string complaint_;
};

}  // namespace oavc::services
