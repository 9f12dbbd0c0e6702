#pragma once

#include "services/config.hpp"
#include "services/tts/tts.hpp"

#include <atomic>
#include <cstdint>
#include <memory>

namespace oavc::services {

/// Provider `deepgram`: hosted voices over one WebSocket per call. Sentences are synthesised one
/// after another; a reply that is dropped is cleared at the server, and what was still on its way
/// is thrown away. Errors of a reply: rejected (key, credit, voice), unavailable, overloaded
/// (concurrency, flushes), protocol. Any shard.
class DeepgramTts final : public TtsService {
public:
    /// Since start-up; any thread.
    struct Stats {
        std::atomic<std::uint64_t> connections{0};
        std::atomic<std::uint64_t> lost_connections{0};
        std::atomic<std::uint64_t> cleared{0};        ///< replies dropped while they were spoken
        std::atomic<std::uint64_t> dropped_bytes{0};  ///< audio that nobody waited for any more
        std::atomic<std::uint64_t> flushes_spent{0};  ///< connections changed for the flush limit
        std::atomic<std::uint64_t> warnings{0};
    };

    /// Throws std::runtime_error with a sentence for the operator.
    explicit DeepgramTts(DeepgramTtsConfig config);

    std::string_view name() const noexcept override { return "deepgram"; }
    const TtsCapabilities& capabilities() const noexcept override { return capabilities_; }
    /// options.voice: one of Deepgram's models. Its name also decides the language.
    asio::awaitable<Result<std::unique_ptr<TtsSession>>> open(
        async::Shard& shard, TtsOptions options
    ) override;
    asio::awaitable<Result<void>> probe(async::Shard& shard) override;
    std::vector<metrics::Count> counts() const override;

    const Stats& stats() const noexcept { return *stats_; }

private:
    std::shared_ptr<const DeepgramTtsConfig> config_;  ///< shared with sessions that still end
    std::shared_ptr<Stats> stats_;                     ///< likewise
    TtsCapabilities capabilities_;
};

}  // namespace oavc::services
