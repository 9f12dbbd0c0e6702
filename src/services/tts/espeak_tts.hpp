#pragma once

#include "async/worker_pool.hpp"
#include "services/config.hpp"
#include "services/tts/tts.hpp"

#include <atomic>
#include <cstddef>
#include <vector>

namespace oavc::services {

/// Provider `espeak-ng`: more than a hundred languages, Turkish included, by the espeak-ng command.
/// A process per sentence (3 ms to start): the library has global state and is GPL-3, so it is
/// never linked. The text goes in by standard input, never through a shell. Callable from any
/// shard; at most [tts.espeak-ng] processes run at once.
class EspeakTts final : public TtsService {
public:
    /// Throws std::runtime_error when the command cannot be found.
    EspeakTts(const EspeakConfig& config, async::WorkerPool& workers);

    std::string_view name() const noexcept override { return "espeak-ng"; }
    const TtsCapabilities& capabilities() const noexcept override { return capabilities_; }
    asio::awaitable<Result<std::unique_ptr<TtsSession>>> open(
        async::Shard& shard, TtsOptions options
    ) override;

private:
    EspeakConfig config_;
    async::WorkerPool& workers_;
    TtsCapabilities capabilities_{SampleRate{22'050}};  ///< espeak-ng's own
    /// One job at a time on each: that bounds the processes.
    std::vector<async::WorkerPool::Lane> lanes_;
    std::atomic<std::size_t> next_lane_{0};
};

}  // namespace oavc::services
