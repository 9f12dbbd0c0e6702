#pragma once

#include "base/time.hpp"
#include "net/http.hpp"
#include "pipeline/admission.hpp"
#include "services/failover/provider.hpp"
#include "transports/listener.hpp"

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

namespace oavc::app {

/// Whether a restart would help: a shard that is stuck carries its calls no more.
struct Liveness {
    std::string_view instance;
    std::size_t shards{0};
    Clock::duration worst_lag{0};
    std::optional<std::size_t> stuck;  ///< which shard
};

/// Whether a new call should come here.
struct Readiness {
    bool started{false};                         ///< everything is bound
    std::optional<transports::Refusal> refusal;  ///< what a call would be told now
    bool services_usable{false};                 ///< of every kind one
    pipeline::Admission::Stats places;
    std::vector<services::Provider::Snapshot> services;
};

/// GET /health/live: 200, or 503 with the shard that is stuck.
net::HttpResponse answer(const Liveness& liveness);

/// GET /health/ready: 200, or 503 with every reason why not. Names no address: whoever reaches the
/// port may read it.
net::HttpResponse answer(const Readiness& readiness, TimePoint now);

}  // namespace oavc::app
