#include "services/tts/flite_tts.hpp"

#include "services/errors.hpp"
#include "services/tts/detail/worker_reply.hpp"
#include "services/tts/flite_voice.hpp"

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
        auto reply = std::make_unique<WorkerReply>(shard_);
        auto job = [out = reply->output(), text = std::move(text), voice = voice_, speed = speed_] {
            const AudioSink sink = [&](media::Samples samples) { return out->add(samples); };
            const auto done = synthesize_flite_to(text, voice, speed, sink);
            out->finish(done ? error_code{} : done.error());
        };
        if (!workers_.try_submit(lane_, std::move(job))) {
            reply->fail(make_error_code(ServiceErrc::overloaded));
        }
        return reply;
    }

private:
    async::Shard& shard_;
    async::WorkerPool& workers_;
    async::WorkerPool::Lane lane_;
    std::string voice_;
    double speed_;
};

}  // namespace

FliteTts::FliteTts(const FliteConfig& config, async::WorkerPool& workers)
    : config_{config}, workers_{workers}, capabilities_{flite_rate(config.voice)} {
    if (is_flite_voice(config.voice)) return;
    std::string known;
    for (const auto voice : flite_voices())
        known += (known.empty() ? "" : ", ") + std::string{voice};
    throw std::runtime_error{
        "[tts.flite] unknown voice '" + config.voice + "' (known: " + known + ")"};
}

asio::awaitable<Result<std::unique_ptr<TtsSession>>> FliteTts::open(
    async::Shard& shard, TtsOptions options
) {
    std::string voice = config_.voice;
    if (!options.voice.empty()) {
        if (!is_flite_voice(options.voice) ||
            flite_rate(options.voice) != capabilities_.output_rate) {
            co_return make_error_code(ServiceErrc::configuration);
        }
        voice = std::move(options.voice);
    }
    std::unique_ptr<TtsSession> session =
        std::make_unique<FliteSession>(shard, workers_, std::move(voice), config_.speed);
    co_return session;
}

}  // namespace oavc::services
