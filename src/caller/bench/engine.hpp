#pragma once

#include "caller/bench/carrier.hpp"
#include "caller/bench/figures.hpp"
#include "caller/bench/load_call.hpp"
#include "caller/bench/script.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::caller::bench {

/// Keeps a number of calls up and lets them talk: one thread, slots of 1 ms on absolute deadlines,
/// a caller's frames 20 slots apart, callers spread over these. Sleeps between slots. Thread: the
/// one that calls `run`.
class Engine final : private CrowdEvents {
public:
    static constexpr milliseconds slot{1};
    static constexpr std::size_t slots_per_frame = 20;
    /// Further behind than this, slots are skipped (and counted) instead of made up for.
    static constexpr milliseconds hopeless{250};

    /// All outlive the engine. `capacity`: phones.
    Engine(Carrier& carrier, const Script& script, std::size_t capacity, std::uint32_t seed);

    /// Keeps `calls` up from now on: places at most `per_second` new ones, hangs up those that are
    /// too many. A call that ends is replaced.
    void aim(std::size_t calls, double per_second) noexcept;

    /// Plays for `duration`, or until `enough` (asked every 20 ms) or `stop` says so.
    void run(Clock::duration duration, const std::function<bool()>& enough = {});
    /// Any thread, signal handlers too: `run` returns soon, now and later.
    void stop() noexcept { stopped_ = true; }
    bool stopped() const noexcept { return stopped_; }

    /// Counts from zero.
    void begin_window();
    /// What has been counted; counting goes on.
    Figures window() const;

    std::size_t aimed() const noexcept { return aimed_; }
    std::size_t under_way() const noexcept { return under_way_; }  ///< placed or answered
    std::size_t answered() const noexcept { return answered_; }
    /// Calls placed, ever.
    std::uint64_t placed() const noexcept { return placed_; }
    /// The last call that went wrong, in words; empty: none.
    const std::string& last_trouble() const noexcept { return last_trouble_; }

private:
    void on_answered(CallIndex call, TimePoint at) override;
    void on_heard(CallIndex call, const Heard& heard) override;
    void on_wrong_audio(CallIndex call) override;
    void on_underrun(CallIndex call, Clock::duration gap) override;
    void on_over(CallIndex call, TimePoint at, Ending how, std::string_view why) override;

    void sleep_until(TimePoint deadline);
    void play_slot(TimePoint now);
    void place_due(TimePoint now);
    void free_phone(CallIndex call) noexcept;

    // Given to us.
    Carrier& carrier_;
    const Script& script_;
    const std::uint32_t seed_;
    // State.
    std::vector<LoadCall> calls_;
    std::vector<CallIndex> free_;  ///< a heap, the lowest on top: few sockets carry few calls
    std::size_t aimed_{0};
    double per_second_{0};
    double allowance_{0};  ///< calls that may be placed now
    std::size_t under_way_{0};
    std::size_t answered_{0};
    std::uint64_t placed_{0};
    TimePoint next_slot_{};
    std::uint64_t slot_number_{0};
    volatile bool stopped_{false};  // a signal handler writes it; one thread otherwise
    std::string last_trouble_;
    // The window.
    Figures figures_;
    TimePoint window_since_{};
    Carrier::Stats carrier_since_;
    double cpu_since_{0};
};

}  // namespace oavc::caller::bench
