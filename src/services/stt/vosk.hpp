#pragma once

#include "services/config.hpp"
#include "services/stt/stt.hpp"

#include <atomic>
#include <cstdint>
#include <memory>

namespace oavc::services {

/// Provider `vosk`: alphacep's vosk-server over a WebSocket. Audio goes out from the first frame
/// of an utterance on, in pieces of VoskConfig::chunk; interims come back while the caller speaks.
/// A connection that is lost in the middle is replaced and hears the utterance again (at most the
/// last 30 s of what it did not finish; five times). Errors of a stream: unavailable when that did
/// not help, protocol when the server answers nothing but nonsense or closes (1011) at once. Any
/// shard.
class VoskStt final : public SttService {
public:
    /// Since start-up; any thread.
    struct Stats {
        std::atomic<std::uint64_t> utterances{0};
        std::atomic<std::uint64_t> reconnects{0};    ///< connections lost within an utterance
        std::atomic<std::uint64_t> lost_samples{0};  ///< oldest audio beyond what is kept
    };

    /// Throws std::runtime_error with a sentence for the operator.
    explicit VoskStt(VoskConfig config);

    std::string_view name() const noexcept override { return "vosk"; }
    const SttCapabilities& capabilities() const noexcept override { return capabilities_; }
    /// The language is the server's model's: options.language changes nothing.
    asio::awaitable<Result<std::unique_ptr<SttStream>>> open(
        async::Shard& shard, SttOptions options
    ) override;
    asio::awaitable<Result<void>> probe(async::Shard& shard) override;
    std::vector<metrics::Count> counts() const override;

    const Stats& stats() const noexcept { return *stats_; }

private:
    std::shared_ptr<const VoskConfig> config_;  ///< shared with streams that are still ending
    std::shared_ptr<Stats> stats_;              ///< likewise
    SttCapabilities capabilities_;
};

}  // namespace oavc::services
