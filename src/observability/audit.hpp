#pragma once

#include "observability/audit_chain.hpp"
#include "observability/log.hpp"
#include "observability/metrics.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace oavc::audit {

/// Of [security].
struct Config {
    std::string file;            ///< empty: no audit
    std::string sync{"second"};  ///< fsync after every "write", once a "second", "never" by us
    std::size_t file_size{100};  ///< MiB; beyond it the file is put aside and another begun
};

/// The audit's file: append-only, a chain of hashes (audit_chain.hpp). Written by a thread of its
/// own. Put aside, a file is called FILE.N, N being its last record's number with twelve digits;
/// the chain goes on in the next. FILE.head holds the chain's end, to notice a file that was
/// shortened. A full disk is waited for: what happens meanwhile is held, up to `most_waiting`;
/// more is lost, counted, and told in the chain ("audit_gap"). Calls go on in any case.
/// Thread: any.
class Log {
public:
    static constexpr std::size_t most_waiting = 8'192;  ///< records not yet on disk

    struct Stats {
        std::uint64_t written{0};
        std::uint64_t dropped{0};  ///< because `most_waiting` were waiting
        std::uint64_t failed{0};   ///< attempts to write
        std::size_t waiting{0};
    };

    /// No file: records go nowhere. `registry`: counters for Prometheus; may be null.
    Log(Config config, log::Logger log, metrics::Registry* registry = nullptr);
    Log(const Log&) = delete;
    Log& operator=(const Log&) = delete;
    /// Writes what waits, for two seconds at most.
    ~Log();

    /// Opens the file and continues its chain. Throws std::runtime_error with what to do.
    void start();

    /// Never waits, never throws. The time is now.
    void record(const Event& event) noexcept;

    Stats stats() const noexcept;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;  ///< null: no audit
};

}  // namespace oavc::audit
