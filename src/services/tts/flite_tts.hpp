#pragma once

#include "async/worker_pool.hpp"
#include "services/config.hpp"
#include "services/tts/tts.hpp"

#include <memory>

namespace oavc::services {

/// Provider `flite`: English voices in this process, shared by all calls. Synthesis runs on the
/// worker pool; the first audio is there after about 10 ms. A language other than English is
/// refused. Any shard.
class FliteTts final : public TtsService {
public:
    /// Loads the configured voice; throws std::runtime_error when there is no such one. `workers`
    /// must outlive the service and its sessions.
    FliteTts(const FliteConfig& config, async::WorkerPool& workers);

    std::string_view name() const noexcept override { return "flite"; }
    const TtsCapabilities& capabilities() const noexcept override { return capabilities_; }
    asio::awaitable<Result<std::unique_ptr<TtsSession>>> open(
        async::Shard& shard, TtsOptions options
    ) override;

private:
    const FliteConfig config_;
    async::WorkerPool& workers_;
    TtsCapabilities capabilities_;
};

}  // namespace oavc::services
