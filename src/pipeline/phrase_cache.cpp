#include "pipeline/phrase_cache.hpp"

#include "async/deadline.hpp"
#include "pipeline/sentence_aggregator.hpp"
#include "services/errors.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace oavc::pipeline {

namespace {

constexpr Clock::duration longest_synthesis = 15s;
constexpr Clock::duration first_retry = 1s;
constexpr Clock::duration last_retry = 60s;

/// A fixed sentence is no audio book: what is longer is left to the voice.
constexpr std::size_t longest_phrase = 48'000 * 60;

struct Wanted {
    const AgentConfig* agent;
    std::string sentence;
    bool vital;  ///< said when everything is down
};

std::vector<Wanted> wanted_of(std::span<const AgentConfig> agents) {
    std::vector<Wanted> wanted;
    const auto want = [&](const AgentConfig& agent, std::string_view text, bool vital) {
        for (auto& sentence : sentences_of(text))
            wanted.push_back({&agent, std::move(sentence), vital});
    };
    // The greeting comes first: it is what the first caller waits for.
    for (const AgentConfig& agent : agents)
        want(agent, agent.greeting, false);
    for (const AgentConfig& agent : agents) {
        want(agent, agent.failure_sentence, true);
        want(agent, agent.goodbye, true);
        want(agent, agent.not_understood, false);
        want(agent, agent.idle_sentence, false);
        if (!agent.transfer_to.empty() || !agent.transfer_targets.empty()) {
            want(agent, agent.not_connected, false);
        }
        want(agent, agent.filler_sentence, false);
    }
    return wanted;
}

std::string key_of(const AgentConfig& agent, std::string_view sentence) {
    return services::sentence_key(agent.language, agent.voice, sentence);
}

struct Made {
    services::TtsChunk audio;
    bool lasting{true};
};

asio::awaitable<Result<Made>> synthesize(
    async::Shard& shard, services::TtsService& voice, services::TtsOptions options, std::string text
) {
    auto session = co_await voice.open(shard, std::move(options));
    if (!session) co_return session.error();
    Made made;
    // A new configuration's sentences are mostly the old one's.
    if (const auto kept = (*session)->kept(text, std::nullopt)) {
        made.audio = *kept;
        co_return made;
    }
    const auto reply = (*session)->speak(std::move(text));
    for (;;) {
        auto chunk = co_await reply->next();
        if (!chunk) {
            if (chunk.error() != services::ServiceErrc::end_of_stream) co_return chunk.error();
            break;
        }
        auto& samples = made.audio.samples;
        // One phrase has one rate: a voice that changes it in mid-sentence was another's fallback.
        if (samples.empty()) made.audio.rate = chunk->rate;
        if (chunk->rate != made.audio.rate || samples.size() > longest_phrase) {
            co_return make_error_code(services::ServiceErrc::protocol);
        }
        samples.insert(samples.end(), chunk->samples.begin(), chunk->samples.end());
    }
    if (made.audio.samples.empty()) co_return make_error_code(services::ServiceErrc::protocol);
    made.lasting = !reply->served().failed_over;
    co_return made;
}

asio::awaitable<Result<Made>> synthesize_in_time(
    async::Shard& shard, services::TtsService& voice, const Wanted& wanted
) {
    services::TtsOptions options;
    options.language = wanted.agent->language;
    options.voice = wanted.agent->voice;
    auto work = synthesize(shard, voice, std::move(options), wanted.sentence);
    auto made = co_await async::with_deadline(std::move(work), longest_synthesis);
    co_return made;
}

}  // namespace

std::shared_ptr<const services::TtsChunk> PhraseCache::find(
    const AgentConfig& agent, std::string_view sentence, SampleRate rate
) {
    return audio_.find(key_of(agent, sentence), rate);
}

bool PhraseCache::has(const AgentConfig& agent, std::string_view sentence) const {
    return audio_.has(key_of(agent, sentence));
}

void PhraseCache::put(
    const AgentConfig& agent, std::string_view sentence, services::TtsChunk audio, bool lasting
) {
    const auto key = key_of(agent, sentence);
    audio_.put(key, std::move(audio));
    if (!lasting) return;
    const std::lock_guard lock{mutex_};
    lasting_.insert(key);
}

bool PhraseCache::lasting(const AgentConfig& agent, std::string_view sentence) const {
    const std::lock_guard lock{mutex_};
    return lasting_.contains(key_of(agent, sentence));
}

asio::awaitable<void> make_phrases(
    async::Shard& shard,
    services::TtsService& voice,
    services::TtsService* emergency,
    std::span<const AgentConfig> agents,
    PhraseCache& cache,
    log::Logger log
) {
    const std::vector<Wanted> wanted = wanted_of(agents);
    Clock::duration wait = first_retry;
    bool complained = false;
    for (;;) {
        error_code last_error;
        for (const Wanted& one : wanted) {
            if (cache.lasting(*one.agent, one.sentence)) continue;
            // While the voice fails it is asked once per round, not once per sentence.
            auto made = last_error ? Result<Made>{last_error}
                                   : co_await synthesize_in_time(shard, voice, one);
            if (made) {
                cache.put(*one.agent, one.sentence, std::move(made->audio), made->lasting);
                if (!made->lasting) last_error = services::ServiceErrc::unavailable;
                continue;
            }
            last_error = made.error();
            if (!one.vital || emergency == nullptr) continue;
            if (cache.has(*one.agent, one.sentence)) continue;
            auto spare = co_await synthesize_in_time(shard, *emergency, one);
            if (spare) cache.put(*one.agent, one.sentence, std::move(spare->audio), false);
        }
        if (!last_error) {
            log.info("fixed sentences are ready", log::kv("sentences", cache.size()));
            co_return;
        }
        if (!std::exchange(complained, true)) {
            log.warn(
                "the voice cannot make the fixed sentences yet; it is asked again",
                log::kv("provider", voice.name()),
                log::kv("error", last_error)
            );
        }
        const bool go_on = co_await async::sleep_for(wait);
        if (!go_on) co_return;
        wait = std::min(wait * 2, last_retry);
    }
}

}  // namespace oavc::pipeline
