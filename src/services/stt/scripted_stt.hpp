#pragma once

#include "services/config.hpp"
#include "services/stt/stt.hpp"

#include <atomic>
#include <cstdint>
#include <memory>

namespace oavc::services {

/// Provider `scripted` of [stt]: hears nothing. Every finished utterance of a call gets the next of
/// the configured lines, from the first again after the last; one of which no audio came gets "".
/// For load tests and development: what it costs is what any recogniser costs the pipeline. Never
/// fails. Any shard.
class ScriptedStt final : public SttService {
public:
    /// Since start-up; any thread.
    struct Stats {
        std::atomic<std::uint64_t> utterances{0};
    };

    explicit ScriptedStt(ScriptedSttConfig config);

    std::string_view name() const noexcept override { return "scripted"; }
    const SttCapabilities& capabilities() const noexcept override { return capabilities_; }
    /// Lines are what they are in every language.
    asio::awaitable<Result<std::unique_ptr<SttStream>>> open(
        async::Shard& shard, SttOptions options
    ) override;
    std::vector<metrics::Count> counts() const override;

private:
    const std::shared_ptr<const ScriptedSttConfig> config_;  ///< shared with streams
    const std::shared_ptr<Stats> stats_;                     ///< likewise
    const SttCapabilities capabilities_{.input_rate = wideband};
};

}  // namespace oavc::services
