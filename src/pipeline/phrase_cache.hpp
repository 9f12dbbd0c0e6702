#pragma once

#include "async/awaitable.hpp"
#include "async/shard.hpp"
#include "observability/log.hpp"
#include "pipeline/config.hpp"
#include "services/tts/sentence_cache.hpp"
#include "services/tts/tts.hpp"

#include <cstddef>
#include <limits>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <string_view>

namespace oavc::pipeline {

/// The agents' fixed sentences (greeting, goodbye, apology …) as audio. Made before any call needs
/// them: a greeting plays with the first packet, and the apology can still be said when every voice
/// is down. Bound: the sentences of the configuration. Thread: any.
class PhraseCache {
public:
    /// At `rate`. Null: not made (yet).
    std::shared_ptr<const services::TtsChunk> find(
        const AgentConfig& agent, std::string_view sentence, SampleRate rate
    );
    bool has(const AgentConfig& agent, std::string_view sentence) const;

    /// `lasting`: by the voice that the agent should have; another's is replaced later.
    void put(
        const AgentConfig& agent, std::string_view sentence, services::TtsChunk audio, bool lasting
    );

    /// Made by the voice that it should have.
    bool lasting(const AgentConfig& agent, std::string_view sentence) const;

    std::size_t size() const { return audio_.size(); }

private:
    services::SentenceCache audio_{std::numeric_limits<std::size_t>::max()};
    mutable std::mutex mutex_;
    std::set<std::string> lasting_;  ///< keys
};

/// Synthesises what `cache` lacks of the agents' fixed sentences, and tries again until nothing is
/// lacking (first after a second, at last every minute). What the caller is told when all is down
/// is made by `emergency` (null: none) while `voice` fails. Returns when complete; cancellable.
asio::awaitable<void> make_phrases(
    async::Shard& shard,
    services::TtsService& voice,
    services::TtsService* emergency,
    std::span<const AgentConfig> agents,
    PhraseCache& cache,
    log::Logger log
);

}  // namespace oavc::pipeline
