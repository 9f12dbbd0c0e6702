#pragma once

#include "services/tts/sentence_cache.hpp"
#include "services/tts/tts.hpp"

#include <cstddef>
#include <memory>

namespace oavc::services {

/// A voice that remembers the sentences it has said, for all calls: TtsSession::kept() finds them.
/// What is kept: sentences that were synthesised to their end (an interrupted one was not), by the
/// voice that the agent should have (not by its fallback), of at most `longest`, and without
/// anything that privacy.hpp would hide, whatever an agent masks: nobody's number outlives its call
/// in here. Two calls that miss the same sentence at once both have it synthesised. Name and
/// capabilities are the voice's.
class CachedTts final : public TtsService {
public:
    /// Longer ones are no sentences.
    static constexpr milliseconds longest{30'000};

    CachedTts(
        std::unique_ptr<TtsService> voice,
        std::size_t max_bytes,
        metrics::Registry* metrics = nullptr
    );

    std::string_view name() const noexcept override { return voice_->name(); }
    const TtsCapabilities& capabilities() const noexcept override { return voice_->capabilities(); }
    asio::awaitable<Result<std::unique_ptr<TtsSession>>> open(
        async::Shard& shard, TtsOptions options
    ) override;
    asio::awaitable<Result<void>> probe(async::Shard& shard) override {
        return voice_->probe(shard);
    }
    std::vector<metrics::Count> counts() const override { return voice_->counts(); }

    const SentenceCache& cache() const noexcept { return *cache_; }

private:
    const std::unique_ptr<TtsService> voice_;
    const std::shared_ptr<SentenceCache> cache_;  ///< shared with sessions and replies
};

}  // namespace oavc::services
