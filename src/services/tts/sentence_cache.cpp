#include "services/tts/sentence_cache.hpp"

#include "media/resampler.hpp"

#include <algorithm>
#include <utility>

namespace oavc::services {

namespace {

std::size_t bytes_of(const TtsChunk& audio) {
    return audio.samples.size() * sizeof(media::Sample) + sizeof(TtsChunk);
}

TtsChunk at_rate(const TtsChunk& audio, SampleRate rate) {
    media::Resampler resampler{audio.rate, rate};
    TtsChunk made{{}, rate};
    made.samples.reserve(resampler.max_output(audio.samples.size()) + resampler.max_output(0));
    resampler.process(audio.samples, made.samples);
    resampler.flush(made.samples);
    made.samples.shrink_to_fit();
    return made;
}

}  // namespace

std::string sentence_key(std::string_view language, std::string_view voice, std::string_view text) {
    std::string key{language};
    key.append(1, '\0').append(voice).append(1, '\0').append(text);
    return key;
}

SentenceCache::SentenceCache(std::size_t max_bytes, metrics::Registry* metrics)
    : max_bytes_{max_bytes} {
    if (metrics == nullptr) return;
    const auto sentences = [&](const char* outcome) {
        return metrics->counter(
            "oavc_tts_cache_sentences_total",
            "Sentences that were looked for among those kept as audio: hit or miss.",
            {{"outcome", outcome}}
        );
    };
    hits_ = sentences("hit");
    misses_ = sentences("miss");
    held_ = metrics->gauge(
        "oavc_tts_cache_bytes", "Audio of sentences that is kept; [tts] cache_mb is the bound."
    );
}

SentenceCache::Audio SentenceCache::find(const std::string& key, std::optional<SampleRate> rate) {
    Audio original;
    {
        const std::lock_guard lock{mutex_};
        const auto found = index_.find(key);
        if (found == index_.end()) {
            misses_.add();
            return nullptr;
        }
        hits_.add();
        entries_.splice(entries_.begin(), entries_, found->second);
        const auto& versions = found->second->versions;
        original = versions.front();
        if (!rate) return original;
        const auto version =
            std::ranges::find(versions, *rate, [](const auto& v) { return v->rate; });
        if (version != versions.end()) return *version;
    }
    auto made = std::make_shared<const TtsChunk>(at_rate(*original, *rate));
    const std::lock_guard lock{mutex_};
    const auto found = index_.find(key);
    // Meanwhile it may be gone, or somebody else's, or have this rate already.
    if (found == index_.end()) return made;
    Entry& entry = *found->second;
    const bool there =
        std::ranges::any_of(entry.versions, [&](const auto& v) { return v->rate == *rate; });
    const bool fits = entry.bytes + bytes_of(*made) <= max_bytes_;
    if (entry.versions.front() != original || there || !fits) return made;
    entry.versions.push_back(made);
    entry.bytes += bytes_of(*made);
    bytes_ += bytes_of(*made);
    trim();
    return made;
}

void SentenceCache::put(std::string key, TtsChunk audio) {
    audio.samples.shrink_to_fit();
    Entry entry{std::move(key), {}, 0};
    entry.bytes = sizeof(Entry) + entry.key.size() + bytes_of(audio);
    entry.versions.push_back(std::make_shared<const TtsChunk>(std::move(audio)));
    const std::lock_guard lock{mutex_};
    if (const auto old = index_.find(entry.key); old != index_.end()) drop(old->second);
    if (entry.bytes <= max_bytes_) {  // else it would drive out all others first
        bytes_ += entry.bytes;
        entries_.push_front(std::move(entry));
        index_.emplace(entries_.front().key, entries_.begin());
    }
    trim();
}

bool SentenceCache::has(const std::string& key) const {
    const std::lock_guard lock{mutex_};
    return index_.contains(key);
}

std::size_t SentenceCache::bytes() const {
    const std::lock_guard lock{mutex_};
    return bytes_;
}

std::size_t SentenceCache::size() const {
    const std::lock_guard lock{mutex_};
    return entries_.size();
}

void SentenceCache::drop(Entries::iterator entry) {
    bytes_ -= entry->bytes;
    index_.erase(entry->key);
    entries_.erase(entry);
}

void SentenceCache::trim() {
    while (bytes_ > max_bytes_)
        drop(std::prev(entries_.end()));
    held_.set(static_cast<double>(bytes_));
}

}  // namespace oavc::services
