#pragma once

#include "services/config.hpp"
#include "services/tts/tts.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace oavc::services {

class EspeakWorkers;

/// Provider `espeak-ng`: over a hundred languages, Turkish among them. Every sentence has a process
/// of its own, as the engine keeps global state and is GPL-3: it is never linked. At most
/// config.processes run at once, each fed by a thread of its own; one per thread is started ahead,
/// so that the first audio does not wait for it to load. Any shard.
class EspeakTts final : public TtsService {
public:
    /// Since start-up; any thread.
    struct Stats {
        std::atomic<std::uint64_t> started{0};  ///< processes, those started ahead included
        std::atomic<std::uint64_t> killed{0};   ///< because nobody listened any more, or it hung
        std::atomic<std::uint64_t> refused{0};  ///< sentences, as too many waited
    };

    /// Throws std::runtime_error, with a sentence for the operator, when the command is not there
    /// or does not know config.voice.
    explicit EspeakTts(const EspeakConfig& config);
    ~EspeakTts() override;

    std::string_view name() const noexcept override { return "espeak-ng"; }
    const TtsCapabilities& capabilities() const noexcept override { return capabilities_; }
    asio::awaitable<Result<std::unique_ptr<TtsSession>>> open(
        async::Shard& shard, TtsOptions options
    ) override;
    std::vector<metrics::Count> counts() const override;

    const Stats& stats() const noexcept;

private:
    const EspeakConfig config_;
    std::shared_ptr<EspeakWorkers> workers_;  ///< shared with sessions
    TtsCapabilities capabilities_{.output_rate = {22'050}};
};

/// The engine's voice for a BCP 47 tag: "tr-TR" → "tr", "en-US" → "en-us", "zh-CN" → "cmn".
std::string espeak_voice_for(std::string_view language);

}  // namespace oavc::services
