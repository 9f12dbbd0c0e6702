#pragma once

#include "async/worker_pool.hpp"
#include "services/config.hpp"
#include "services/tts/tts.hpp"

namespace oavc::services {

/// Provider `flite`: English voices in process, on the worker pool; first audio in about 10 ms. One
/// call's sentences are synthesised in order, different calls' at once. Callable from any shard.
class FliteTts final : public TtsService {
public:
    /// Throws std::runtime_error for an unknown voice.
    FliteTts(const FliteConfig& config, async::WorkerPool& workers);

    std::string_view name() const noexcept override { return "flite"; }
    const TtsCapabilities& capabilities() const noexcept override { return capabilities_; }
    /// options.voice replaces the configured one if it has the same sample rate.
    asio::awaitable<Result<std::unique_ptr<TtsSession>>> open(
        async::Shard& shard, TtsOptions options
    ) override;

private:
    FliteConfig config_;
    async::WorkerPool& workers_;
    TtsCapabilities capabilities_;
};

}  // namespace oavc::services
