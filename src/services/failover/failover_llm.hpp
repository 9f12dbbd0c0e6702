#pragma once

#include "services/failover/provider.hpp"
#include "services/llm/llm.hpp"

#include <memory>
#include <vector>

namespace oavc::services {

struct LlmKind;
template <class Kind>
struct Chain;

/// Several models behind one: the first of the list that is usable answers. One that fails, or is
/// silent longer than its deadline, is left for the next within the same reply: asked the same when
/// nothing was said yet, otherwise asked to go on behind the last whole sentence (LlmEvent::restart
/// takes back what followed it). Also with one candidate, for deadlines and breaker. Capabilities
/// and name are the first one's. Errors: the last candidate's; unavailable when every breaker is
/// open.
class FailoverLlm final : public LlmService {
public:
    /// `candidates`: at least one.
    FailoverLlm(std::vector<Candidate<LlmService>> candidates, const FailoverConfig& config);
    ~FailoverLlm() override;

    std::string_view name() const noexcept override;
    const LlmCapabilities& capabilities() const noexcept override;
    asio::awaitable<Result<std::unique_ptr<LlmSession>>> open(
        async::Shard& shard, LlmOptions options
    ) override;
    /// The first candidate's; the health monitor asks each.
    asio::awaitable<Result<void>> probe(async::Shard& shard) override;
    /// All of them, the fallback too; tells of the first that failed.
    asio::awaitable<Result<void>> prepare(async::Shard& shard) override;

private:
    std::unique_ptr<Chain<LlmKind>> chain_;
};

}  // namespace oavc::services
