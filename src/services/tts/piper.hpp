#pragma once

#include "services/config.hpp"
#include "services/tts/tts.hpp"

namespace oavc::services {

/// Provider `piper`: the predecessor's WebSocket server around Piper. It has no request ids and no
/// cancel: a cancelled sentence loses its connection, a spare one takes over. Any shard.
class PiperTts final : public TtsService {
public:
    /// Throws std::runtime_error, with a sentence for the operator, for an impossible sample_rate.
    explicit PiperTts(const PiperConfig& config);

    std::string_view name() const noexcept override { return "piper"; }
    const TtsCapabilities& capabilities() const noexcept override { return capabilities_; }
    asio::awaitable<Result<std::unique_ptr<TtsSession>>> open(
        async::Shard& shard, TtsOptions options
    ) override;
    asio::awaitable<Result<void>> probe(async::Shard& shard) override;

private:
    const PiperConfig config_;
    const TtsCapabilities capabilities_;
};

}  // namespace oavc::services
