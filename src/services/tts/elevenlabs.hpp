#pragma once

#include "services/config.hpp"
#include "services/tts/detail/elevenlabs_exchange.hpp"
#include "services/tts/tts.hpp"

#include <string>

namespace oavc::services {

/// Provider `elevenlabs`: ElevenLabs' streaming WebSocket. Each sentence has a connection of its
/// own (`stream-input`), opened beforehand: there a sentence has an explicit end, and dropping the
/// connection cancels it. On the endpoint for several sentences (`multi-stream-input`) a cancelled
/// one goes on sending, and at most five may be open. Any shard.
class ElevenLabsTts final : public TtsService {
public:
    /// Throws std::runtime_error, with a sentence for the operator: no key, or a format that needs
    /// a decoder.
    explicit ElevenLabsTts(const ElevenLabsConfig& config);

    std::string_view name() const noexcept override { return "elevenlabs"; }
    const TtsCapabilities& capabilities() const noexcept override { return capabilities_; }
    asio::awaitable<Result<std::unique_ptr<TtsSession>>> open(
        async::Shard& shard, TtsOptions options
    ) override;
    asio::awaitable<Result<void>> probe(async::Shard& shard) override;

private:
    const ElevenLabsConfig config_;
    const ElevenLabsFormat format_;
    const TtsCapabilities capabilities_;
};

/// Where a voice speaks. Empty: the voice's id is none. `language`: BCP 47 or empty.
std::string elevenlabs_url(
    const ElevenLabsConfig& config, std::string_view voice_id, std::string_view language
);

}  // namespace oavc::services
