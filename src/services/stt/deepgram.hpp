#pragma once

#include "services/config.hpp"
#include "services/stt/stt.hpp"

#include <atomic>
#include <cstdint>
#include <memory>

namespace oavc::services {

/// Provider `deepgram`: hosted recognition over one WebSocket per call. Deepgram looks for ends of
/// utterances itself, which makes its interims settle early; the final of an utterance is asked for
/// at end(). A lost connection is replaced and hears again what was not settled (at most 30 s; five
/// times in a row). Errors of a stream: rejected (key, credit, model, language), unavailable,
/// protocol. Any shard.
class DeepgramStt final : public SttService {
public:
    /// Since start-up; any thread.
    struct Stats {
        std::atomic<std::uint64_t> connections{0};
        std::atomic<std::uint64_t> lost_connections{0};
        std::atomic<std::uint64_t> lost_samples{0};  ///< oldest audio beyond what is kept
    };

    /// Throws std::runtime_error with a sentence for the operator.
    explicit DeepgramStt(DeepgramSttConfig config);

    std::string_view name() const noexcept override { return "deepgram"; }
    const SttCapabilities& capabilities() const noexcept override { return capabilities_; }
    asio::awaitable<Result<std::unique_ptr<SttStream>>> open(
        async::Shard& shard, SttOptions options
    ) override;
    asio::awaitable<Result<void>> probe(async::Shard& shard) override;
    std::vector<metrics::Count> counts() const override;

    const Stats& stats() const noexcept { return *stats_; }

private:
    std::shared_ptr<const DeepgramSttConfig> config_;  ///< shared with streams that still end
    std::shared_ptr<Stats> stats_;                     ///< likewise
    SttCapabilities capabilities_;
};

}  // namespace oavc::services
