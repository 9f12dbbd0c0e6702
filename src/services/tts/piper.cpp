#include "services/tts/piper.hpp"

#include "net/http_client.hpp"
#include "services/detail/trace_header.hpp"
#include "services/detail/warm_websocket.hpp"
#include "services/tts/detail/piper_exchange.hpp"
#include "services/tts/detail/remote_speech.hpp"

#include <fmt/format.h>

#include <stdexcept>
#include <utility>

namespace oavc::services {

namespace {

/// A server may send a whole answer as one message: three minutes at 22050 Hz.
constexpr net::WsLimits limits{.max_message = 8u << 20};

SampleRate checked_rate(int hz) {
    if (is_speech_rate(hz)) return {static_cast<std::uint32_t>(hz)};
    throw std::runtime_error{fmt::format(
        "[tts.piper] sample_rate: {} is no rate of a voice (usual: 16000 or 22050)", hz
    )};
}

}  // namespace

PiperTts::PiperTts(const PiperConfig& config)
    : config_{config}, capabilities_{.output_rate = checked_rate(config.sample_rate)} {}

asio::awaitable<Result<std::unique_ptr<TtsSession>>> PiperTts::open(
    async::Shard& shard, TtsOptions options
) {
    auto voice = options.voice.empty() ? config_.voice : std::move(options.voice);
    auto make_exchange = [voice = std::move(voice),
                          rate = capabilities_.output_rate](const std::string& text) {
        return std::make_unique<PiperExchange>(text, voice, rate);
    };
    WarmWebSocket::Options warm{
        config_.endpoint, with_trace({}, std::move(options.traceparent)), limits};
    std::unique_ptr<TtsSession> session = std::make_unique<RemoteSpeech<WarmWebSocket>>(
        shard, name(), std::move(options.log), std::move(make_exchange), std::move(warm)
    );
    co_return session;
}

asio::awaitable<Result<void>> PiperTts::probe(async::Shard& shard) {
    const auto& endpoint = config_.endpoint;
    const auto socket = co_await net::websocket_connect(
        shard, endpoint.url, {}, endpoint.connect_timeout, limits, endpoint.tls
    );
    if (!socket) co_return service_error(socket.error());
    co_return Result<void>{};
}

}  // namespace oavc::services
