#pragma once

#include "services/config.hpp"
#include "services/tts/detail/pcm_stream.hpp"
#include "services/tts/detail/speech_exchange.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace oavc::services {

/// One sentence at a Piper WebSocket server: JSON about it, binary messages of s16le mono. Knows
/// every spelling of start, end and error that clients of these servers had to know.
class PiperExchange final : public SpeechExchange {
public:
    PiperExchange(std::string text, std::string voice, SampleRate rate);

    std::vector<std::string> requests() override;
    error_code receive(std::string_view data, bool binary, std::vector<media::Sample>& audio)
        override;
    SampleRate rate() const override { return pcm_.rate(); }
    /// The protocol has no request ids: only the end of a sentence says that the rest is ours.
    bool reusable() const override { return true; }
    std::string_view complaint() const override { return complaint_; }

private:
    error_code on_text(std::string_view text);

    const std::string text_;
    const std::string voice_;
    PcmStream pcm_;
    std::string complaint_;
};

}  // namespace oavc::services
