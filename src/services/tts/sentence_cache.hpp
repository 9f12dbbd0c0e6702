#pragma once

#include "base/units.hpp"
#include "observability/metrics.hpp"
#include "services/tts/tts.hpp"

#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace oavc::services {

/// What speaks a sentence, as far as it changes the sound: the same key, the same audio.
std::string sentence_key(std::string_view language, std::string_view voice, std::string_view text);

/// Sentences as audio, for what is said again and again. Each is kept as it was synthesised and at
/// every rate that it was asked for, so that a telephone's rate is made once and not in each call.
/// Bound: bytes; what nobody asked for longest goes first. Thread: any. Only pointers change hands
/// under the lock.
class SentenceCache {
public:
    using Audio = std::shared_ptr<const TtsChunk>;  ///< shared with whoever plays it

    /// `metrics`: null: nothing is counted there; else it outlives us.
    explicit SentenceCache(std::size_t max_bytes, metrics::Registry* metrics = nullptr);
    SentenceCache(const SentenceCache&) = delete;
    SentenceCache& operator=(const SentenceCache&) = delete;

    /// Null: not there. `rate`: none: as it was synthesised.
    Audio find(const std::string& key, std::optional<SampleRate> rate);

    /// Replaces what is there. What is larger than the bound is not kept.
    void put(std::string key, TtsChunk audio);

    bool has(const std::string& key) const;
    std::size_t bytes() const;
    std::size_t size() const;

private:
    struct Entry {
        std::string key;
        std::vector<Audio> versions;  ///< the first as it was synthesised; one per rate
        std::size_t bytes{0};
    };
    using Entries = std::list<Entry>;

    void drop(Entries::iterator entry);
    void trim();

    const std::size_t max_bytes_;
    mutable std::mutex mutex_;
    Entries entries_;                                                ///< asked for last comes first
    std::unordered_map<std::string_view, Entries::iterator> index_;  ///< by Entry::key
    std::size_t bytes_{0};
    metrics::Counter hits_;
    metrics::Counter misses_;
    metrics::Gauge held_;
};

}  // namespace oavc::services
