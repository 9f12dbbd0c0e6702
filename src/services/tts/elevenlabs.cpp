#include "services/tts/elevenlabs.hpp"

#include "net/http_client.hpp"
#include "observability/log.hpp"
#include "services/detail/language.hpp"
#include "services/detail/trace_header.hpp"
#include "services/detail/warm_websocket.hpp"
#include "services/tts/detail/remote_speech.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace oavc::services {

namespace {

/// Base64 and timings of a long sentence may come as one message.
constexpr net::WsLimits limits{.max_message = 8u << 20};

ElevenLabsFormat checked_format(const ElevenLabsConfig& config) {
    if (config.api_key.empty()) {
        throw std::runtime_error{
            "[tts.elevenlabs] api_key is not set: give it as ${ELEVENLABS_API_KEY}"};
    }
    if (const auto format = parse_elevenlabs_format(config.output_format)) return *format;
    throw std::runtime_error{fmt::format(
        "[tts.elevenlabs] output_format: '{}' cannot be played; known: ulaw_8000, alaw_8000, "
        "pcm_8000, pcm_16000, pcm_22050, pcm_24000, pcm_44100 (mp3 and opus need a decoder)",
        config.output_format
    )};
}

bool is_plain(std::string_view id) noexcept {
    return !id.empty() && std::ranges::all_of(id, [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               c == '_' || c == '-' || c == '.';
    });
}

net::HttpHeaders headers_of(const ElevenLabsConfig& config) {
    net::HttpHeaders headers;
    headers.emplace("xi-api-key", config.api_key);
    return headers;
}

}  // namespace

std::string elevenlabs_url(
    const ElevenLabsConfig& config, std::string_view voice_id, std::string_view language
) {
    if (!is_plain(voice_id) || !is_plain(config.model)) return {};
    std::string_view base = config.endpoint.url;
    while (base.ends_with('/'))
        base.remove_suffix(1);
    // A spare waits as long as the server allows; whole sentences need no schedule of the server's.
    auto url = fmt::format(
        "{}/v1/text-to-speech/{}/stream-input?model_id={}&output_format={}&inactivity_timeout=180"
        "&auto_mode=true",
        base,
        voice_id,
        config.model,
        config.output_format
    );
    // The other models guess the language and refuse to be told.
    const auto code = primary_language(language);
    const bool may_be_told = config.model.find("_v2_5") != std::string::npos;
    if (may_be_told && is_plain(code)) url += fmt::format("&language_code={}", code);
    return url;
}

ElevenLabsTts::ElevenLabsTts(const ElevenLabsConfig& config)
    : config_{config},
      format_{checked_format(config)},
      capabilities_{.output_rate = format_.rate} {}

asio::awaitable<Result<std::unique_ptr<TtsSession>>> ElevenLabsTts::open(
    async::Shard& shard, TtsOptions options
) {
    const auto& voice = options.voice.empty() ? config_.voice_id : options.voice;
    WarmWebSocket::Options warm{
        config_.endpoint, with_trace(headers_of(config_), std::move(options.traceparent)), limits};
    warm.endpoint.url = elevenlabs_url(config_, voice, options.language);
    if (warm.endpoint.url.empty()) {
        options.log.warn(
            "elevenlabs needs a voice_id, in [tts.elevenlabs] or as the agent's voice",
            log::kv("voice", voice),
            log::kv("model", config_.model)
        );
        co_return make_error_code(ServiceErrc::configuration);
    }
    const ElevenLabsVoiceSettings settings{
        config_.stability, config_.similarity_boost, config_.speed};
    auto make_exchange = [settings, format = format_](const std::string& text) {
        return std::make_unique<ElevenLabsExchange>(text, settings, format);
    };
    std::unique_ptr<TtsSession> session = std::make_unique<RemoteSpeech<WarmWebSocket>>(
        shard, name(), std::move(options.log), std::move(make_exchange), std::move(warm)
    );
    co_return session;
}

asio::awaitable<Result<void>> ElevenLabsTts::probe(async::Shard& shard) {
    const auto url = elevenlabs_url(config_, config_.voice_id, {});
    if (url.empty()) co_return make_error_code(ServiceErrc::configuration);
    const auto socket = co_await net::websocket_connect(
        shard,
        url,
        headers_of(config_),
        config_.endpoint.connect_timeout,
        limits,
        config_.endpoint.tls
    );
    if (!socket) co_return service_error(socket.error());
    co_return Result<void>{};
}

}  // namespace oavc::services
