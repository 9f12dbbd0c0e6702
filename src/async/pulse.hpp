#pragma once

#include "async/shard_pool.hpp"
#include "base/time.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace oavc::async {

/// How late a thread is, by beats that should come every `period`. Sans-I/O. Thread: one beats, any
/// reads.
class LagMeter {
public:
    static constexpr Clock::duration period = milliseconds{100};
    /// One late beat is noise; what lasts about so long is lag.
    static constexpr Clock::duration memory = std::chrono::seconds{1};

    void start(TimePoint now) noexcept;
    void on_beat(TimePoint now) noexcept;

    /// Upper ends of the buckets of `late()`; the last bucket holds the rest.
    static constexpr std::array<Clock::duration, 8> bounds{
        1ms, 2ms, 5ms, 10ms, 20ms, 50ms, 100ms, 200ms};
    /// How late beats were since start(), for metrics.
    struct Late {
        std::array<std::uint64_t, bounds.size() + 1> beats{};
        Clock::duration sum{0};
    };
    Late late() const noexcept;

    /// How late beats are, averaged over `memory`; a beat that is due counts as if it came now.
    Clock::duration lag(TimePoint now) const noexcept;
    /// How long ago the last beat was.
    Clock::duration silence(TimePoint now) const noexcept;

private:
    std::atomic<Clock::rep> last_{0};
    std::atomic<Clock::rep> average_{0};
    std::array<std::atomic<std::uint64_t>, bounds.size() + 1> late_{};
    std::atomic<Clock::rep> late_sum_{0};
};

/// The shards' pulse: a timer of each, beside its calls' ticks, so that what delays audio delays it
/// too. Tells whether a shard lives, and how late audio is. Thread: any, where not said otherwise.
class Pulse {
public:
    /// A shard that was silent for `dead_after` is stuck: the process should be replaced.
    explicit Pulse(ShardPool& shards, Clock::duration dead_after = std::chrono::seconds{5});
    Pulse(const Pulse&) = delete;
    Pulse& operator=(const Pulse&) = delete;
    ~Pulse();

    /// The shards run.
    void start();
    /// Blocks until nothing is left on the shards. Thread: none of the shards'.
    void stop();

    /// Of the shard that is latest. Zero before start().
    Clock::duration worst_lag(TimePoint now) const noexcept;
    /// Of all shards together.
    LagMeter::Late late() const noexcept;
    /// The first shard that is stuck.
    std::optional<std::size_t> stuck(TimePoint now) const noexcept;

private:
    struct Heart;

    ShardPool& shards_;
    const Clock::duration dead_after_;
    std::vector<std::unique_ptr<Heart>> hearts_;
    std::atomic<bool> running_{false};
};

}  // namespace oavc::async
