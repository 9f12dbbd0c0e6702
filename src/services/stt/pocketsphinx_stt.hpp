#pragma once

#include "async/worker_pool.hpp"
#include "services/config.hpp"
#include "services/stt/detail/sphinx_decoder.hpp"
#include "services/stt/detail/sphinx_model.hpp"
#include "services/stt/stt.hpp"

#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

namespace oavc::services {

/// Decoders that wait for their next utterance: a call needs one only while its caller speaks.
/// Callable from any thread.
class SphinxDecoderPool {
public:
    /// More than this are destroyed instead of kept: 4 MB each.
    static constexpr std::size_t most_idle = 32;

    explicit SphinxDecoderPool(std::shared_ptr<const SphinxModel> model)
        : model_{std::move(model)} {}

    /// Takes an idle one, or makes one (10 ms; the general model: half a second).
    Result<std::unique_ptr<SphinxDecoder>, error_code> take();
    void give_back(std::unique_ptr<SphinxDecoder> decoder);

private:
    std::shared_ptr<const SphinxModel> model_;
    std::mutex mutex_;  ///< guards idle_; held for a few instructions
    std::vector<std::unique_ptr<SphinxDecoder>> idle_;
};

/// Provider `pocketsphinx`: streaming recognition of a small vocabulary, in process, on the worker
/// pool. Callable from any shard.
class PocketSphinxStt final : public SttService {
public:
    PocketSphinxStt(
        std::shared_ptr<const SphinxModel> model,
        const PocketSphinxConfig& config,
        async::WorkerPool& workers
    );

    std::string_view name() const noexcept override { return "pocketsphinx"; }
    const SttCapabilities& capabilities() const noexcept override { return capabilities_; }
    asio::awaitable<Result<std::unique_ptr<SttStream>>> open(
        async::Shard& shard, SttOptions options
    ) override;

private:
    SttCapabilities capabilities_{
        .input_rate = wideband,
        .interim_results = true,
        .endpointing = false,
    };
    std::size_t max_backlog_;  ///< samples
    async::WorkerPool& workers_;
    std::shared_ptr<SphinxDecoderPool> decoders_;  ///< shared with jobs that outlive a call
};

}  // namespace oavc::services
