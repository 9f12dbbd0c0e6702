#pragma once

#include <string_view>

namespace oavc::services {

/// Who really did the work of a turn, for its log line and the metrics.
struct Served {
    std::string_view provider;  ///< id, lives as long as the service; empty: the service itself
    bool failed_over{false};    ///< another was asked first, and failed
    bool hedged{false};         ///< two were asked, and this one was first
};

}  // namespace oavc::services
