#include "services/tts/flite_tts.hpp"

#include "observability/log.hpp"
#include "services/errors.hpp"
#include "services/tts/detail/audio_relay.hpp"
#include "services/tts/flite_voice.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace oavc::services {

namespace {

class FliteSession final : public TtsSession {
public:
    FliteSession(async::Shard& shard, async::WorkerPool& workers, std::string voice, double speed)
        : shard_{shard},
          workers_{workers},
          lane_{workers.make_lane()},
          voice_{std::move(voice)},
          speed_{speed} {}

    std::unique_ptr<TtsReply> speak(std::string text) override {
        auto reply = std::make_unique<RelayReply>(shard_);
        auto job =
            [relay = reply->relay(), text = std::move(text), voice = voice_, speed = speed_] {
                if (relay->cancelled()) return;
                const auto rate = flite_rate(voice);
                const auto done =
                    synthesize_flite_to(text, voice, speed, [&](media::Samples samples) {
                        return relay->send(samples, rate);
                    });
                relay->finish(done ? make_error_code(ServiceErrc::end_of_stream) : done.error());
            };
        if (!workers_.try_submit(lane_, std::move(job))) {
            reply->fail(make_error_code(ServiceErrc::overloaded));
        }
        return reply;
    }

private:
    async::Shard& shard_;
    async::WorkerPool& workers_;
    const async::WorkerPool::Lane lane_;  ///< sentences are synthesised in order
    const std::string voice_;
    const double speed_;
};

}  // namespace

FliteTts::FliteTts(const FliteConfig& config, async::WorkerPool& workers)
    : config_{config}, workers_{workers}, capabilities_{.output_rate = flite_rate(config.voice)} {
    // Loads the voice: the first caller does not wait for it.
    if (synthesize_flite("a", config.voice)) return;
    throw std::runtime_error{fmt::format(
        "[tts.flite] unknown voice '{}' (known: {})", config.voice, fmt::join(flite_voices(), ", ")
    )};
}

asio::awaitable<Result<std::unique_ptr<TtsSession>>> FliteTts::open(
    async::Shard& shard, TtsOptions options
) {
    const auto& language = options.language;
    const bool english = language.empty() || language == "en" || language.starts_with("en-") ||
                         language.starts_with("en_");
    const auto& voice = options.voice.empty() ? config_.voice : options.voice;
    if (!english || !is_flite_voice(voice)) {
        options.log.warn(
            "flite has no such voice: it speaks English with slt, rms, awb and kal",
            log::kv("language", language),
            log::kv("voice", voice)
        );
        co_return make_error_code(ServiceErrc::configuration);
    }
    std::unique_ptr<TtsSession> session =
        std::make_unique<FliteSession>(shard, workers_, voice, config_.speed);
    co_return session;
}

}  // namespace oavc::services
