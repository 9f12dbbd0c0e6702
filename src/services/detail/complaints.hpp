#pragma once

#include "base/time.hpp"
#include "observability/log.hpp"

#include <cstdint>
#include <mutex>
#include <optional>

namespace oavc::services {

/// One warning in ten seconds for all calls of a service together: a server that fails fails them
/// all. Thread: any.
class Complaints {
public:
    /// Log it, and that so many before it were not; nothing: do not.
    std::optional<std::uint64_t> allow(TimePoint now) {
        const std::lock_guard lock{mutex_};
        if (!limit_.allow(now)) return std::nullopt;
        return limit_.suppressed();
    }

private:
    std::mutex mutex_;
    log::RateLimit limit_{10s};
};

}  // namespace oavc::services
