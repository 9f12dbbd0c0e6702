#pragma once

#include "base/time.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace oavc::async {

class TickWheel;

/// Something that acts once per frame time: a media leg. Owner: itself; the wheel borrows it from
/// `add` until its registration ends.
class TickClient {
public:
    /// `now` is the deadline of this tick, not the time at which it happened to run: deadlines are
    /// exactly 20 ms apart unless the client moves, so media never drifts. Must not block; may end
    /// registrations, and move this client.
    virtual void on_tick(TimePoint now) noexcept = 0;

protected:
    ~TickClient() = default;

private:
    friend class TickWheel;
    TickClient* next_{nullptr};
    TickClient** link_{nullptr};  ///< the pointer that points here; null: not registered
    std::size_t phase_{0};
};

/// Calls every client once per 20 ms on absolute deadlines. Clients are spread over ten phases of
/// 2 ms so that a shard's packets do not leave in one burst; a client may ask for a phase that
/// suits it better. Sans-I/O: the shard's timer calls `advance`. Thread: one shard's.
class TickWheel {
public:
    static constexpr std::size_t phases = 10;
    static constexpr Clock::duration phase_time = milliseconds{20} / phases;

    /// Behind by more than this, deadlines are skipped instead of sent in a burst; counted.
    static constexpr Clock::duration longest_catch_up = milliseconds{200};

    /// A phase takes who moves there up to twice its share of all clients, and this many always: a
    /// crowd that wants one phase is spread over half of them at least.
    static constexpr std::size_t small_phase = 16;

    struct Stats {
        std::uint64_t ticks{0};       ///< phases with clients run
        std::uint64_t skipped{0};     ///< phases dropped after a stall
        Clock::duration worst_lag{};  ///< latest `advance` behind its deadline
        Clock::duration last_lag{};
    };

    TickWheel() = default;
    TickWheel(const TickWheel&) = delete;
    TickWheel& operator=(const TickWheel&) = delete;
    ~TickWheel();

    /// Joins the least loaded phase.
    void add(TickClient& client) noexcept;
    void remove(TickClient& client) noexcept;

    /// Moves a client on by 1 … 9 phases, whose next tick then comes 2 … 18 ms after this one
    /// instead of 20 ms. Only from within its own tick, and where there is room.
    void move(TickClient& client, std::size_t steps) noexcept;
    /// [n]: the phase that runs n after the client's would take it.
    std::array<bool, phases> rooms(const TickClient& client) const noexcept;
    bool empty() const noexcept { return size_ == 0; }
    std::size_t size() const noexcept { return size_; }

    /// Runs every phase whose deadline is not after `now`.
    void advance(TimePoint now) noexcept;

    /// When to call `advance` next: phases without clients need no call. Meaningless while empty.
    TimePoint next_deadline() const noexcept;

    /// Starts the schedule at `now`: the owner calls it when the wheel stops being empty.
    void restart(TimePoint now) noexcept { next_ = now + phase_time; }

    const Stats& stats() const noexcept { return stats_; }

private:
    void insert(TickClient& client, std::size_t phase) noexcept;

    std::array<TickClient*, phases> clients_{};
    std::array<std::size_t, phases> loads_{};
    std::size_t size_{0};
    std::size_t phase_{0};  ///< the next to run
    TickClient* iterating_next_{nullptr};
    TimePoint next_{};
    Stats stats_;
};

}  // namespace oavc::async
