#pragma once

#include "services/config.hpp"
#include "services/tts/tts.hpp"

namespace oavc::services {

/// Provider `wyoming` of [tts]: a Piper server that speaks the Wyoming protocol over TCP or TLS. A
/// connection carries sentence after sentence; a cancelled one loses its connection, as there is no
/// cancel. Any shard.
class WyomingTts final : public TtsService {
public:
    explicit WyomingTts(const WyomingTtsConfig& config) : config_{config} {}

    std::string_view name() const noexcept override { return "wyoming"; }
    const TtsCapabilities& capabilities() const noexcept override { return capabilities_; }
    asio::awaitable<Result<std::unique_ptr<TtsSession>>> open(
        async::Shard& shard, TtsOptions options
    ) override;
    asio::awaitable<Result<void>> probe(async::Shard& shard) override;

private:
    const WyomingTtsConfig config_;
    const TtsCapabilities capabilities_{.output_rate = {22'050}};  ///< of Piper's medium voices
};

}  // namespace oavc::services
