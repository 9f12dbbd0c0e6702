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
#include "services/stt/vosk.hpp"
#include "services/stt/whisper/faster_whisper_stt.hpp"
#include "services/stt/wyoming_stt.hpp"
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

/// Where a remote provider is; empty: in this process.
std::string address_of(const Config& config, ServiceKind kind, std::string_view provider) {
    struct Remote {
        ServiceKind kind;
        std::string_view provider;
        const Endpoint& endpoint;
    };
    const Remote remotes[]{
        {ServiceKind::stt, "vosk", config.vosk.endpoint},
        {ServiceKind::stt, "wyoming", config.wyoming_stt.endpoint},
        {ServiceKind::stt, "deepgram", config.deepgram_stt.endpoint},
        {ServiceKind::llm, "llama", config.llama.endpoint},
        {ServiceKind::llm, "ollama", config.ollama.endpoint},
        {ServiceKind::llm, "openai", config.openai.endpoint},
        {ServiceKind::tts, "piper", config.piper.endpoint},
        {ServiceKind::tts, "wyoming", config.wyoming_tts.endpoint},
        {ServiceKind::tts, "deepgram", config.deepgram_tts.endpoint},
        {ServiceKind::tts, "elevenlabs", config.elevenlabs.endpoint},
    };
    for (const auto& remote : remotes) {
        if (remote.kind == kind && remote.provider == provider) {
            return without_secrets(remote.endpoint.url);
        }
    }
    return {};
}

}  // namespace

ServiceFactory::ServiceFactory(
    Config config, async::WorkerPool& workers, metrics::Registry* metrics
)
    : config_{std::move(config)}, workers_{workers}, metrics_{metrics} {}

template <class Service>
Candidate<Service> ServiceFactory::candidate(
    ServiceKind kind, const std::string& name, bool fallback, std::unique_ptr<Service> service
) {
    Provider::Identity identity{kind, name, fallback, address_of(config_, kind, name)};
    auto provider =
        std::make_shared<Provider>(std::move(identity), config_.failover.breaker, metrics_);
    auto probe = [asked = service.get()](async::Shard& shard) { return asked->probe(shard); };
    watched_.push_back({provider, std::move(probe)});
    return {std::move(service), std::move(provider)};
}

std::unique_ptr<SttService> ServiceFactory::make_stt() {
    const auto& first = config_.stt_provider;
    const auto& second = config_.stt_fallback;
    std::vector<Candidate<SttService>> chain;
    chain.push_back(candidate(ServiceKind::stt, first, false, make_stt(first)));
    if (!second.empty() && second != first) {
        chain.push_back(candidate(ServiceKind::stt, second, true, make_stt(second)));
    }
    return std::make_unique<FailoverStt>(std::move(chain), config_.failover);
}

std::unique_ptr<LlmService> ServiceFactory::make_llm() {
    const auto& first = config_.llm_provider;
    const auto& second = config_.llm_fallback;
    std::vector<Candidate<LlmService>> chain;
    chain.push_back(candidate(ServiceKind::llm, first, false, make_llm(first)));
    if (!second.empty() && second != first) {
        chain.push_back(candidate(ServiceKind::llm, second, true, make_llm(second)));
    }
    return std::make_unique<FailoverLlm>(std::move(chain), config_.failover);
}

std::unique_ptr<TtsService> ServiceFactory::make_tts() {
    const auto& first = config_.tts_provider;
    const auto& second = config_.tts_fallback;
    std::vector<Candidate<TtsService>> chain;
    chain.push_back(candidate(ServiceKind::tts, first, false, make_tts(first)));
    if (!second.empty() && second != first) {
        chain.push_back(candidate(ServiceKind::tts, second, true, make_tts(second)));
    }
    return std::make_unique<FailoverTts>(std::move(chain), config_.failover);
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

std::unique_ptr<SttService> ServiceFactory::make_stt(std::string_view provider) {
    if (provider == "pocketsphinx") {
        const auto& own = config_.pocketsphinx;
        auto model = own.general_model ? SphinxModel::general(own.model_dir)
                     : own.phrases_file.empty()
                         ? SphinxModel::from_phrases(dialogue()->phrases("en"), own.model_dir)
                         : SphinxModel::from_phrases(read_phrases(own.phrases_file), own.model_dir);
        if (!model) throw std::runtime_error{"[stt.pocketsphinx] " + model.error().what};
        return std::make_unique<PocketSphinxStt>(std::move(*model), own, workers_);
    }
    if (provider == "deepgram") return std::make_unique<DeepgramStt>(config_.deepgram_stt);
    if (provider == "vosk") return std::make_unique<VoskStt>(config_.vosk);
    if (provider == "faster-whisper") {
        auto engine = whisper::load_whisper_cpp(config_.whisper);
        return std::make_unique<whisper::FasterWhisperStt>(std::move(engine), config_.whisper);
    }
    if (provider == "wyoming") return std::make_unique<WyomingStt>(config_.wyoming_stt);
    throw std::runtime_error{unknown_provider(provider, "[stt] provider", known_stt_providers)};
}

std::unique_ptr<LlmService> ServiceFactory::make_llm(std::string_view provider) {
    if (provider == "llama") return std::make_unique<LlamaLlm>(config_.llama);
    if (provider == "scripted") return std::make_unique<ScriptedLlm>(dialogue());
    if (provider == "ollama") return std::make_unique<OllamaLlm>(config_.ollama);
    if (provider == "openai") return std::make_unique<OpenAiLlm>(config_.openai);
    throw std::runtime_error{unknown_provider(provider, "[llm] provider", known_llm_providers)};
}

std::unique_ptr<TtsService> ServiceFactory::make_tts(std::string_view provider) {
    if (provider == "piper") return std::make_unique<PiperTts>(config_.piper);
    if (provider == "wyoming") return std::make_unique<WyomingTts>(config_.wyoming_tts);
    if (provider == "elevenlabs") return std::make_unique<ElevenLabsTts>(config_.elevenlabs);
    if (provider == "flite") return std::make_unique<FliteTts>(config_.flite, workers_);
    if (provider == "espeak-ng") return std::make_unique<EspeakTts>(config_.espeak);
    if (provider == "deepgram") return std::make_unique<DeepgramTts>(config_.deepgram_tts);
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
