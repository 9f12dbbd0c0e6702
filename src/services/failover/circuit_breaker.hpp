#pragma once

#include "base/time.hpp"
#include "services/config.hpp"

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

namespace oavc::services {

/// Keeps requests away from a provider that fails, so that callers do not wait for it one after
/// another. Time comes in; it has no clock.
///
///     closed ──failures──▶ open ──open_for──▶ half open ──success──▶ closed
///                            ◀──────failure: twice as long──┘
///
/// Half open, exactly one request is let through at a time. Outcomes that belong to an earlier
/// state are ignored: twenty calls that fail at once open it once. Thread: any.
class CircuitBreaker {
public:
    enum class State { closed, open, half_open };

    /// Leave for one request. Its outcome comes back by exactly one on_…() call.
    struct Permit {
        std::uint32_t era{0};  ///< counts the changes of state
    };

    explicit CircuitBreaker(BreakerConfig config);

    /// Nothing: the request may not be made now.
    std::optional<Permit> try_begin(TimePoint now);

    /// True when the breaker closes by it.
    bool on_success(Permit permit);
    /// True when the breaker opens by it.
    bool on_failure(Permit permit, TimePoint now);
    /// Neither: the request was given up for reasons of our own.
    void on_abandoned(Permit permit);

    /// A health probe was answered. Requests decide, but they need not wait any longer to try.
    void on_probe_answered();

    /// try_begin() would allow a request.
    bool available(TimePoint now) const;
    State state() const;
    /// Open: when a request may try.
    TimePoint open_until() const;

private:
    void open(TimePoint now);

    const BreakerConfig config_;
    mutable std::mutex mutex_;
    State state_{State::closed};
    std::uint32_t era_{0};
    std::size_t consecutive_{0};
    std::vector<bool> outcomes_;  ///< the latest `window`, a ring; true: failed
    std::size_t next_outcome_{0};
    std::size_t failures_{0};  ///< among them
    milliseconds wait_;
    TimePoint open_until_{};
    bool trying_{false};  ///< half open: a request is under way
};
std::string_view to_string(CircuitBreaker::State state) noexcept;

/// The latest response times of one provider. Thread: any.
class Latencies {
public:
    static constexpr std::size_t kept = 128;
    static constexpr std::size_t enough = 20;  ///< below, a percentile says nothing

    void add(Clock::duration latency);
    std::optional<Clock::duration> p95() const;

private:
    mutable std::mutex mutex_;
    std::vector<Clock::duration> latest_;  ///< a ring
    std::size_t next_{0};
};

}  // namespace oavc::services
