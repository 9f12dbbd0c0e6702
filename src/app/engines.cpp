#include "app/engines.hpp"

#include <stdexcept>

namespace oavc::app {

namespace {

std::shared_ptr<const media::VadFactory> make_vad(const media::VadConfig& config) {
    auto made = media::make_vad_factory(config);
    if (!made) throw std::runtime_error{"[vad] " + made.error()};
    return *made;
}

}  // namespace

Engines::Engines(
    const config::Config& config,
    async::WorkerPool& workers,
    metrics::Registry& metrics,
    async::Shard& home,
    const log::Logger& log
)
    : vad{make_vad(config.pipeline.vad)},
      factory{config.services, workers, &metrics},
      stt{factory.make_stt()},
      llm{factory.make_llm()},
      tts{factory.make_tts()},
      health{factory.watched(), config.services.failover.probe_interval, home, log},
      emergency_tts{factory.make_emergency_tts()} {}

}  // namespace oavc::app
