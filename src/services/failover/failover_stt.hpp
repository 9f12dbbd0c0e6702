#pragma once

#include "services/failover/provider.hpp"
#include "services/stt/stt.hpp"

#include <memory>
#include <vector>

namespace oavc::services {

/// Several recognisers behind one: the first of the list that is usable hears an utterance. Its
/// audio is kept (30 s at most) until the final is there, so that when the recogniser fails, or its
/// final is late, the next one hears all of it, faster than real time. The next utterance begins
/// with the first again once it is usable. Also with one candidate, for deadline and breaker.
///
/// When every candidate failed one utterance but not yet so often that their breakers opened, the
/// final is empty ("not understood"): the caller is asked again instead of being sent away. When
/// all breakers are open, next() fails.
///
/// Capabilities and name are the first one's, but audio may come at any rate: it is kept as it came
/// and resampled for each recogniser, so that a telephone's 8 kHz are not kept as 16.
class FailoverStt final : public SttService {
public:
    /// `candidates`: at least one.
    FailoverStt(std::vector<Candidate<SttService>> candidates, const FailoverConfig& config);
    ~FailoverStt() override;

    std::string_view name() const noexcept override;
    const SttCapabilities& capabilities() const noexcept override;
    asio::awaitable<Result<std::unique_ptr<SttStream>>> open(
        async::Shard& shard, SttOptions options
    ) override;
    /// The first candidate's; the health monitor asks each.
    asio::awaitable<Result<void>> probe(async::Shard& shard) override;

    struct Call;

private:
    std::vector<Candidate<SttService>> candidates_;
    const FailoverConfig config_;
    SttCapabilities capabilities_;
};

}  // namespace oavc::services
