#pragma once

#include "services/config.hpp"
#include "services/stt/stt.hpp"

#include <atomic>
#include <cstdint>
#include <memory>

namespace oavc::services {

/// Provider `wyoming` of [stt]: a faster-whisper server that speaks the Wyoming protocol over TCP
/// or TLS. Each utterance has a connection of its own, as the server closes it after the
/// transcript; the next one is open by then. No interim results. Any shard.
class WyomingStt final : public SttService {
public:
    /// Since start-up; any thread.
    struct Stats {
        std::atomic<std::uint64_t> utterances{0};
        std::atomic<std::uint64_t> repeated{0};  ///< on a second connection, as the first was dead
        std::atomic<std::uint64_t> dropped_samples{0};  ///< oldest audio while nothing is connected
    };

    explicit WyomingStt(const WyomingSttConfig& config);

    std::string_view name() const noexcept override { return "wyoming"; }
    const SttCapabilities& capabilities() const noexcept override { return capabilities_; }
    asio::awaitable<Result<std::unique_ptr<SttStream>>> open(
        async::Shard& shard, SttOptions options
    ) override;
    asio::awaitable<Result<void>> probe(async::Shard& shard) override;
    std::vector<metrics::Count> counts() const override;

    const Stats& stats() const noexcept { return *stats_; }

private:
    const WyomingSttConfig config_;
    const std::shared_ptr<Stats> stats_;  ///< shared with streams
    const SttCapabilities capabilities_{.input_rate = wideband};
};

}  // namespace oavc::services
