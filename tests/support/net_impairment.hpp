#pragma once

#include "base/time.hpp"

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <utility>
#include <vector>

namespace oavc::test {

/// A network on virtual time: loses, doubles, delays and reorders datagrams, the same way for the
/// same seed.
///
///     network.send(datagram, now);
///     network.deliver(now, [&](std::span<const std::byte> datagram, TimePoint at) { … });
class NetImpairment {
public:
    struct Config {
        double loss{0};       ///< 0 … 1
        double burst{1};      ///< how many packets a loss takes on average
        double duplicate{0};  ///< comes twice, the second time 5 ms later
        double reorder{0};    ///< takes `reorder_delay` more than its neighbours
        Clock::duration reorder_delay{milliseconds{30}};
        Clock::duration delay{milliseconds{20}};
        Clock::duration jitter{0};  ///< 0 … jitter on top, without reordering
        std::uint64_t seed{1};
    };
    struct Stats {
        std::uint64_t sent{0};
        std::uint64_t lost{0};
        std::uint64_t duplicated{0};
        std::uint64_t reordered{0};
    };

    explicit NetImpairment(const Config& config) : config_{config}, random_{config.seed} {}

    void send(std::span<const std::byte> datagram, TimePoint now) {
        ++stats_.sent;
        if (is_lost()) {
            ++stats_.lost;
            return;
        }
        auto due = now + config_.delay;
        if (config_.jitter.count() > 0) {
            due += Clock::duration{
                std::uniform_int_distribution<Clock::rep>{0, config_.jitter.count()}(random_)};
        }
        if (chance(config_.reorder)) {
            ++stats_.reordered;
            due += config_.reorder_delay;
        } else {
            due = std::max(due, last_due_);
            last_due_ = due;
        }
        if (chance(config_.duplicate)) {
            ++stats_.duplicated;
            insert(datagram, due + milliseconds{5});
        }
        insert(datagram, due);
    }

    /// Calls `receive(datagram, arrival)` for all that has arrived by `now`, in order of arrival.
    template <class Receive>
    void deliver(TimePoint now, Receive&& receive) {
        while (!flying_.empty() && flying_.front().due <= now) {
            const auto next = std::move(flying_.front());
            flying_.erase(flying_.begin());
            receive(std::span<const std::byte>{next.bytes}, next.due);
        }
    }

    bool empty() const noexcept { return flying_.empty(); }
    const Stats& stats() const noexcept { return stats_; }

private:
    struct Flying {
        TimePoint due;
        std::vector<std::byte> bytes;
    };

    /// Gilbert's model: a good state that loses nothing and a bad one that loses everything.
    bool is_lost() {
        if (config_.burst <= 1) return chance(config_.loss);
        const double good_to_bad = config_.loss / (config_.burst * (1 - config_.loss));
        losing_ = losing_ ? !chance(1 / config_.burst) : chance(good_to_bad);
        return losing_;
    }
    bool chance(double probability) {
        return probability > 0 && std::bernoulli_distribution{probability}(random_);
    }
    void insert(std::span<const std::byte> datagram, TimePoint due) {
        auto place = flying_.end();
        while (place != flying_.begin() && due < std::prev(place)->due)
            --place;
        flying_.insert(place, {due, {datagram.begin(), datagram.end()}});
    }

    Config config_;
    std::mt19937_64 random_;
    TimePoint last_due_{};
    bool losing_{false};
    std::vector<Flying> flying_;  ///< by time of arrival
    Stats stats_;
};

}  // namespace oavc::test
