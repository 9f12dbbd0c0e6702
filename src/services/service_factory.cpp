#include "services/service_factory.hpp"

#include "base/providers.hpp"
#include "services/failover/failover_llm.hpp"
#include "services/failover/failover_stt.hpp"
#include "services/failover/failover_tts.hpp"
#include "services/llm/llama.hpp"
#include "services/llm/ollama.hpp"
#include "services/llm/openai.hpp"
#include "services/llm/scripted_llm.hpp"
#include "services/providers.hpp"
#include "services/stt/deepgram.hpp"
#include "services/stt/detail/sphinx_model.hpp"
#include "services/stt/pocketsphinx_stt.hpp"
#include "services/stt/scripted_stt.hpp"
#include "services/stt/vosk.hpp"
#include "services/stt/whisper/faster_whisper_stt.hpp"
#include "services/stt/wyoming_stt.hpp"
#include "services/tts/cached_tts.hpp"
#include "services/tts/deepgram_tts.hpp"
#include "services/tts/elevenlabs.hpp"
#include "services/tts/embedded_tts.hpp"
#include "services/tts/espeak_tts.hpp"
#include "services/tts/flite_tts.hpp"
#include "services/tts/piper.hpp"
#include "services/tts/wyoming_tts.hpp"

#include <fstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace oavc::services {

namespace {

/// One phrase per line; empty lines and `#` comments are skipped.
std::vector<std::string> read_phrases(const std::string& path) {
    std::ifstream in{path};
    if (!in) throw std::runtime_error{"[stt.pocketsphinx] phrases_file: cannot read " + path};
    std::vector<std::string> phrases;
    for (std::string line; std::getline(in, line) && phrases.size() < Dialogue::max_phrases;) {
        if (!line.empty() && line.back() == '\r') line.pop_back();
        if (line.find_first_not_of(" \t") == std::string::npos || line.front() == '#') continue;
        phrases.push_back(std::move(line));
    }
    if (phrases.empty()) throw std::runtime_error{"[stt.pocketsphinx] no phrases in " + path};
    return phrases;
}

/// For people: without user names, keys and queries.
std::string without_secrets(std::string url) {
    url = url.substr(0, url.find_first_of("?#"));
    const auto host = url.find("://");
    const auto at = url.find('@');
    if (host != std::string::npos && at != std::string::npos) url.erase(host + 3, at - host - 2);
    return url;
}

}  // namespace

ServiceFactory::ServiceFactory(
    Config config, async::WorkerPool& workers, metrics::Registry* metrics
)
    : config_{std::move(config)}, workers_{workers}, metrics_{metrics} {}

template <class Engine, class Own, class... More>
ServiceFactory::Made<Engine> ServiceFactory::made(const Own& config, More&&... more) {
    std::string where;
    if constexpr (requires { config.endpoint; }) where = without_secrets(config.endpoint.url);
    return {std::make_unique<Engine>(config, std::forward<More>(more)...), std::move(where)};
}

/// The provider, and the fallback if there is one, ready to be asked in this order.
template <class Service>
std::vector<Candidate<Service>> ServiceFactory::chain(
    ServiceKind kind,
    const std::string& first,
    const std::string& fallback,
    Made<Service> (ServiceFactory::*make)(std::string_view)
) {
    std::vector<Candidate<Service>> candidates;
    for (const auto* name : {&first, &fallback}) {
        const bool is_fallback = name == &fallback;
        if (is_fallback && (fallback.empty() || fallback == first)) break;
        auto [service, where] = (this->*make)(*name);
        auto provider = std::make_shared<Provider>(
            Provider::Identity{kind, *name, is_fallback, std::move(where)},
            config_.failover.breaker,
            metrics_
        );
        provider->publish(service->counts());
        watched_.push_back(
            {provider,
             [asked = service.get()](async::Shard& shard) { return asked->probe(shard); },
             [asked = service.get()] { return asked->counts(); }}
        );
        candidates.push_back({std::move(service), std::move(provider)});
    }
    return candidates;
}

std::unique_ptr<SttService> ServiceFactory::make_stt() {
    auto candidates = chain<SttService>(
        ServiceKind::stt, config_.stt_provider, config_.stt_fallback, &ServiceFactory::stt
    );
    return std::make_unique<FailoverStt>(std::move(candidates), config_.failover);
}

std::unique_ptr<LlmService> ServiceFactory::make_llm() {
    auto candidates = chain<LlmService>(
        ServiceKind::llm, config_.llm_provider, config_.llm_fallback, &ServiceFactory::llm
    );
    return std::make_unique<FailoverLlm>(std::move(candidates), config_.failover);
}

std::unique_ptr<TtsService> ServiceFactory::make_tts() {
    auto candidates = chain<TtsService>(
        ServiceKind::tts, config_.tts_provider, config_.tts_fallback, &ServiceFactory::tts
    );
    auto voice = std::make_unique<FailoverTts>(std::move(candidates), config_.failover);
    if (config_.tts_cache_mb == 0) return voice;
    return std::make_unique<CachedTts>(std::move(voice), config_.tts_cache_mb << 20, metrics_);
}

std::unique_ptr<SttService> ServiceFactory::make_stt(std::string_view provider) {
    return stt(provider).service;
}

std::unique_ptr<LlmService> ServiceFactory::make_llm(std::string_view provider) {
    return llm(provider).service;
}

std::unique_ptr<TtsService> ServiceFactory::make_tts(std::string_view provider) {
    return tts(provider).service;
}

std::shared_ptr<const Dialogue> ServiceFactory::dialogue() {
    if (dialogue_) return dialogue_;
    if (config_.scripted.dialogue_file.empty()) {
        throw std::runtime_error{
            "[llm.scripted] dialogue_file is not set: name a dialogue file (docs/dialogue.md)"};
    }
    auto loaded = load_dialogue(config_.scripted.dialogue_file);
    if (!loaded) throw std::runtime_error{loaded.error().what};
    dialogue_ = std::make_shared<const Dialogue>(std::move(*loaded));
    return dialogue_;
}

ServiceFactory::Made<SttService> ServiceFactory::stt(std::string_view provider) {
    if (provider == "pocketsphinx") {
        const auto& own = config_.pocketsphinx;
        auto model = own.general_model ? SphinxModel::general(own.model_dir)
                     : own.phrases_file.empty()
                         ? SphinxModel::from_phrases(dialogue()->phrases("en"), own.model_dir)
                         : SphinxModel::from_phrases(read_phrases(own.phrases_file), own.model_dir);
        if (!model) throw std::runtime_error{"[stt.pocketsphinx] " + model.error().what};
        return {std::make_unique<PocketSphinxStt>(std::move(*model), own, workers_), {}};
    }
    if (provider == "deepgram") return made<DeepgramStt>(config_.deepgram_stt);
    if (provider == "scripted") return made<ScriptedStt>(config_.scripted_stt);
    if (provider == "vosk") return made<VoskStt>(config_.vosk);
    if (provider == "faster-whisper") {
        auto engine = whisper::load_whisper_cpp(config_.whisper);
        return {
            std::make_unique<whisper::FasterWhisperStt>(std::move(engine), config_.whisper), {}};
    }
    if (provider == "wyoming") return made<WyomingStt>(config_.wyoming_stt);
    throw std::runtime_error{unknown_provider(provider, "[stt] provider", known_stt_providers)};
}

ServiceFactory::Made<LlmService> ServiceFactory::llm(std::string_view provider) {
    if (provider == "llama") return made<LlamaLlm>(config_.llama);
    if (provider == "scripted") return {std::make_unique<ScriptedLlm>(dialogue()), {}};
    if (provider == "ollama") return made<OllamaLlm>(config_.ollama);
    if (provider == "openai") return made<OpenAiLlm>(config_.openai);
    throw std::runtime_error{unknown_provider(provider, "[llm] provider", known_llm_providers)};
}

ServiceFactory::Made<TtsService> ServiceFactory::tts(std::string_view provider) {
    if (provider == "piper") return made<PiperTts>(config_.piper);
    if (provider == "wyoming") return made<WyomingTts>(config_.wyoming_tts);
    if (provider == "elevenlabs") return made<ElevenLabsTts>(config_.elevenlabs);
    if (provider == "flite") return made<FliteTts>(config_.flite, workers_);
    if (provider == "espeak-ng") return made<EspeakTts>(config_.espeak);
    if (provider == "deepgram") return made<DeepgramTts>(config_.deepgram_tts);
    throw std::runtime_error{unknown_provider(provider, "[tts] provider", known_tts_providers)};
}

std::unique_ptr<TtsService> ServiceFactory::make_emergency_tts() {
    auto english = std::make_unique<FliteTts>(FliteConfig{}, workers_);
    EspeakConfig espeak;
    espeak.command = config_.espeak.command;
    try {
        auto others = std::make_unique<EspeakTts>(espeak);
        return std::make_unique<EmbeddedTts>(std::move(english), std::move(others));
    } catch (const std::runtime_error&) {
        return english;  // without eSpeak NG there is English only
    }
}

}  // namespace oavc::services
