#pragma once

#include "base/time.hpp"
#include "caller/bench/histogram.hpp"
#include "caller/bench/scraped_histogram.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace oavc::caller::bench {

/// What a process used between two looks at it.
struct ProcessUse {
    double cpu_seconds{0};  ///< user and system
    double system_seconds{0};
    std::uint64_t resident_bytes{0};  ///< at the end
    std::uint64_t peak_bytes{0};      ///< since the process began
    std::uint64_t threads{0};         ///< at the end
};

/// What the wire showed during one measuring window. Everything is counted when it happens, or
/// (latencies) when it is known.
struct Figures {
    std::size_t target{0};  ///< calls that should be up
    Clock::duration window{0};
    double call_seconds{0};  ///< answered calls, integrated over the window
    double talk_seconds{0};  ///< of these: callers speaking

    // Calls.
    std::uint64_t placed{0};
    std::uint64_t answered{0};
    std::uint64_t refused{0};
    std::uint64_t failed{0};   ///< no answer, a broken one
    std::uint64_t dropped{0};  ///< hung up by the server before the caller did
    Histogram setup;           ///< placed → answered
    Histogram refusal;         ///< placed → refused

    // Conversation.
    Histogram first_audio;    ///< answered → first voiced sample
    Histogram heard_latency;  ///< caller's last voiced sample sent → reply's first voiced received
    Histogram barge_in;       ///< caller's first voiced sample sent → last voiced one received
    std::uint64_t turns{0};   ///< utterances that were to be replied to
    std::uint64_t unanswered{0};   ///< of these: silence until the caller gave up waiting
    std::uint64_t early{0};        ///< of these: the reply began while the caller still spoke
    std::uint64_t talked_over{0};  ///< interruptions that did not silence the server in time

    // Media.
    std::uint64_t sent{0};
    std::uint64_t received{0};
    std::uint64_t lost{0};
    std::uint64_t duplicates{0};
    std::uint64_t reordered{0};
    std::uint64_t wrong{0};  ///< audio that cannot belong to the call
    Histogram deviation;     ///< |time between two packets − their time apart by RTP timestamps|
    Histogram jitter;        ///< RFC 3550 §6.4.1, one value per call and window
    Clock::duration largest_gap{0};  ///< longest time between two packets
    std::uint64_t underruns{0};      ///< gaps in the callers' ears; only where a buffer plays
    Clock::duration longest_underrun{0};

    // The generator itself.
    double generator_cpu_seconds{0};
    Histogram lateness;  ///< how late our own slots were: sending that is late is our fault
    std::uint64_t receive_drops{0};
    std::uint64_t send_errors{0};
    std::uint64_t skipped_slots{0};

    std::optional<ProcessUse> server;    ///< nothing: not on this machine, or not known
    std::uint64_t server_idle_bytes{0};  ///< resident before the first call
    /// The memory is these calls' alone. Not after more calls than these, or others that came and
    /// went: what they needed stays with the process.
    bool memory_is_of_calls{true};

    /// From the decision that a turn is over to the first sound of the reply, by the server's own
    /// clock: where providers take no time, what the connector adds. Nothing: it could not be read.
    std::optional<ScrapedHistogram> added;

    /// Counts the set-ups (and what went wrong with calls) of `before`, too: most calls of a step
    /// are placed before its window begins.
    void add_calls_of(const Figures& before) noexcept;

    double cpu_ms_per_call_second() const noexcept {
        if (!server || call_seconds <= 0) return 0;
        return server->cpu_seconds * 1e3 / call_seconds;
    }
    /// Server CPU as a share of one core.
    double cpu_share() const noexcept {
        const double seconds = std::chrono::duration<double>(window).count();
        return server && seconds > 0 ? server->cpu_seconds / seconds : 0;
    }
    double mean_calls() const noexcept {
        const double seconds = std::chrono::duration<double>(window).count();
        return seconds > 0 ? call_seconds / seconds : 0;
    }
    /// 0: not known.
    std::uint64_t bytes_per_call() const noexcept {
        if (!server || !memory_is_of_calls || mean_calls() < 1) return 0;
        if (server->resident_bytes < server_idle_bytes) return 0;
        return static_cast<std::uint64_t>(
            static_cast<double>(server->resident_bytes - server_idle_bytes) / mean_calls()
        );
    }

    /// Why nothing here may be held against the server: the generator itself was too slow. Empty:
    /// it was not.
    std::string invalid_because() const;
};

/// What is still good service.
struct Criteria {
    std::uint64_t max_lost{0};
    /// None, as of packets: 140 ms lie ahead of an underrun already.
    std::uint64_t max_underruns{0};
    milliseconds max_deviation_p99{5};
    milliseconds max_heard_p95{2'000};
    double max_unanswered_share{0.01};
};

/// What of the criteria is not met, a clause for a person. Empty: all is.
std::string shortfall(const Figures& figures, const Criteria& criteria);

}  // namespace oavc::caller::bench
