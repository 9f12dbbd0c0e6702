#pragma once

#include "async/worker_pool.hpp"
#include "services/config.hpp"
#include "services/stt/stt.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace oavc::services {

class DecoderPool;
class SphinxModel;

/// Provider `pocketsphinx`: recognises, on this machine, English phrases that are known beforehand.
/// What is none of them often comes back as the nearest one, else as "". Decoding runs on the
/// worker pool: the shard never waits. One decoder (about 7 MB) per caller who is speaking at the
/// moment, not per call. Any shard.
class PocketSphinxStt final : public SttService {
public:
    /// Since start-up; any thread.
    struct Stats {
        std::atomic<std::uint64_t> utterances{0};
        std::atomic<std::uint64_t> dropped_samples{0};  ///< oldest audio beyond max_backlog_ms
        std::atomic<std::uint64_t> delayed_jobs{0};     ///< the worker pool was full: tried again
    };

    /// `max_decoders` 0: as many as this machine's cores can keep up with. `workers` must outlive
    /// the service and its streams.
    PocketSphinxStt(
        std::shared_ptr<const SphinxModel> model,
        const PocketSphinxConfig& config,
        async::WorkerPool& workers,
        std::size_t max_decoders = 0
    );
    ~PocketSphinxStt() override;

    std::string_view name() const noexcept override { return "pocketsphinx"; }
    const SttCapabilities& capabilities() const noexcept override { return capabilities_; }
    asio::awaitable<Result<std::unique_ptr<SttStream>>> open(
        async::Shard& shard, SttOptions options
    ) override;
    /// Makes the first decoder, on a worker, if there is none: start-up does not wait for it, and
    /// until then, or when the model is broken, nobody says that we are ready.
    asio::awaitable<Result<void>> probe(async::Shard& shard) override;
    std::vector<metrics::Count> counts() const override;

    const Stats& stats() const noexcept { return *stats_; }
    std::size_t decoders() const;  ///< made so far

private:
    async::WorkerPool& workers_;
    std::shared_ptr<DecoderPool> decoders_;  ///< shared with utterances still being decoded
    std::shared_ptr<Stats> stats_;           ///< likewise
    const std::string model_dir_;            ///< for who reads the log
    std::atomic<bool> told_{false};          ///< that the model is broken
    const std::size_t max_backlog_;          ///< samples
    SttCapabilities capabilities_;
};

}  // namespace oavc::services
