#pragma once

#include "services/failover/provider.hpp"
#include "services/tts/tts.hpp"

#include <memory>
#include <vector>

namespace oavc::services {

struct TtsKind;
template <class Kind>
struct Chain;

/// Several voices behind one: the first of the list that is usable speaks. One that fails, is
/// silent longer than its deadline or ends without a sound is left for the next, which speaks the
/// same sentence from its beginning. Fallbacks speak with their own default voice: names of voices
/// mean nothing to another engine. Also with one candidate, for deadlines and breaker. Capabilities
/// and name are the first one's; chunks say their own rate. Errors: the last candidate's;
/// unavailable when every breaker is open.
class FailoverTts final : public TtsService {
public:
    /// `candidates`: at least one.
    FailoverTts(std::vector<Candidate<TtsService>> candidates, const FailoverConfig& config);
    ~FailoverTts() override;

    std::string_view name() const noexcept override;
    const TtsCapabilities& capabilities() const noexcept override;
    asio::awaitable<Result<std::unique_ptr<TtsSession>>> open(
        async::Shard& shard, TtsOptions options
    ) override;
    /// The first candidate's; the health monitor asks each.
    asio::awaitable<Result<void>> probe(async::Shard& shard) override;

private:
    std::unique_ptr<Chain<TtsKind>> chain_;
};

}  // namespace oavc::services
