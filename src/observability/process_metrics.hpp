#pragma once

#include "observability/metrics.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace oavc::metrics {

/// What /proc/self/stat says (proc(5)), in the kernel's units.
struct ProcessStat {
    std::uint64_t cpu_ticks{0};  ///< user and system
    std::uint64_t threads{0};
    std::uint64_t start_ticks{0};  ///< after boot
    std::uint64_t virtual_bytes{0};
    std::uint64_t resident_pages{0};
};

/// Nothing when it is cut short. The command's name may hold blanks and brackets.
std::optional<ProcessStat> parse_process_stat(std::string_view text) noexcept;

/// The process itself under the names that all Prometheus clients use: CPU, memory, open files,
/// threads, start. Linux only; elsewhere everything stays 0. Thread: one at a time.
class ProcessMetrics {
public:
    explicit ProcessMetrics(Registry& registry);
    void update();

private:
    Counter cpu_;
    Gauge resident_;
    Gauge virtual_;
    Gauge open_files_;
    Gauge max_files_;
    Gauge threads_;
    Gauge started_;
};

}  // namespace oavc::metrics
