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

struct Made {
    Phrase phrase;
    bool lasting{true};
};

asio::awaitable<Result<Made>> synthesize(
    async::Shard& shard, services::TtsService& voice, services::TtsOptions options, std::string text
) {
    auto session = co_await voice.open(shard, std::move(options));
    if (!session) co_return session.error();
    const auto reply = (*session)->speak(std::move(text));
    Made made;
    for (;;) {
        auto chunk = co_await reply->next();
        if (!chunk) {
            if (chunk.error() != services::ServiceErrc::end_of_stream) co_return chunk.error();
            break;
        }
        auto& samples = made.phrase.samples;
        // One phrase has one rate: a voice that changes it in mid-sentence was another's fallback.
        if (samples.empty()) made.phrase.rate = chunk->rate;
        if (chunk->rate != made.phrase.rate || samples.size() > longest_phrase) {
            co_return make_error_code(services::ServiceErrc::protocol);
        }
        samples.insert(samples.end(), chunk->samples.begin(), chunk->samples.end());
    }
    if (made.phrase.samples.empty()) co_return make_error_code(services::ServiceErrc::protocol);
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

std::string PhraseCache::key_of(const AgentConfig& agent, std::string_view sentence) {
    std::string key = agent.language;
    key.append(1, '\0').append(agent.voice).append(1, '\0').append(sentence);
    return key;
}

std::shared_ptr<const Phrase> PhraseCache::find(const AgentConfig& agent, std::string_view sentence)
    const {
    const auto key = key_of(agent, sentence);
    const std::lock_guard lock{mutex_};
    const auto found = entries_.find(key);
    return found == entries_.end() ? nullptr : found->second.phrase;
}

void PhraseCache::put(
    const AgentConfig& agent, std::string_view sentence, Phrase phrase, bool lasting
) {
    Entry entry{std::make_shared<const Phrase>(std::move(phrase)), lasting};
    const std::lock_guard lock{mutex_};
    entries_.insert_or_assign(key_of(agent, sentence), std::move(entry));
}

bool PhraseCache::lasting(const AgentConfig& agent, std::string_view sentence) const {
    const auto key = key_of(agent, sentence);
    const std::lock_guard lock{mutex_};
    const auto found = entries_.find(key);
    return found != entries_.end() && found->second.lasting;
}

std::size_t PhraseCache::size() const {
    const std::lock_guard lock{mutex_};
    return entries_.size();
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
                cache.put(*one.agent, one.sentence, std::move(made->phrase), made->lasting);
                if (!made->lasting) last_error = services::ServiceErrc::unavailable;
                continue;
            }
            last_error = made.error();
            if (!one.vital || emergency == nullptr) continue;
            if (cache.find(*one.agent, one.sentence) != nullptr) continue;
            auto spare = co_await synthesize_in_time(shard, *emergency, one);
            if (spare) cache.put(*one.agent, one.sentence, std::move(spare->phrase), false);
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
