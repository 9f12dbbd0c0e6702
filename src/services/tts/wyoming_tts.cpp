#include "services/tts/wyoming_tts.hpp"

#include "services/detail/warm_tcp.hpp"
#include "services/detail/wyoming_probe.hpp"
#include "services/tts/detail/remote_speech.hpp"
#include "services/tts/detail/wyoming_exchange.hpp"

#include <utility>

namespace oavc::services {

asio::awaitable<Result<std::unique_ptr<TtsSession>>> WyomingTts::open(
    async::Shard& shard, TtsOptions options
) {
    WyomingVoice voice;
    voice.name = options.voice.empty() ? config_.voice : std::move(options.voice);
    voice.language = std::move(options.language);
    voice.speaker = config_.speaker;
    auto make_exchange = [voice = std::move(voice)](const std::string& text) {
        return std::make_unique<WyomingExchange>(text, voice);
    };
    std::unique_ptr<TtsSession> session = std::make_unique<RemoteSpeech<WarmTcp>>(
        shard, name(), std::move(options.log), std::move(make_exchange), config_.endpoint
    );
    co_return session;
}

asio::awaitable<Result<void>> WyomingTts::probe(async::Shard& shard) {
    return probe_wyoming(shard, config_.endpoint);
}

}  // namespace oavc::services
