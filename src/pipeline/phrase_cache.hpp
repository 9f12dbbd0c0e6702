#pragma once

#include "async/awaitable.hpp"
#include "async/shard.hpp"
#include "media/frame.hpp"
#include "observability/log.hpp"
#include "pipeline/config.hpp"
#include "services/tts/tts.hpp"

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::pipeline {

/// A sentence as audio, s16 mono.
struct Phrase {
    std::vector<media::Sample> samples;
    SampleRate rate{wideband};
};

/// The agents' fixed sentences (greeting, goodbye, apology …) as audio. Made before any call needs
/// them: a greeting plays with the first packet, and the apology can still be said when every voice
/// is down. Bound: the sentences of the configuration. Thread: any.
class PhraseCache {
public:
    /// Null: not made (yet).
    std::shared_ptr<const Phrase> find(const AgentConfig& agent, std::string_view sentence) const;

    /// `lasting`: by the voice that the agent should have; another's is replaced later.
    void put(const AgentConfig& agent, std::string_view sentence, Phrase phrase, bool lasting);

    /// Made by the voice that it should have.
    bool lasting(const AgentConfig& agent, std::string_view sentence) const;

    std::size_t size() const;

private:
    struct Entry {
        std::shared_ptr<const Phrase> phrase;
        bool lasting{false};
    };
    static std::string key_of(const AgentConfig& agent, std::string_view sentence);

    mutable std::mutex mutex_;
    std::map<std::string, Entry> entries_;
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
