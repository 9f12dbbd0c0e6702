#include "async/pulse.hpp"

#include "async/run_blocking.hpp"

#include <boost/asio/steady_timer.hpp>

#include <algorithm>

namespace oavc::async {

namespace {

/// The average after a beat at `now`. A beat weighs as much as the time it took to come.
Clock::rep averaged(Clock::rep average, Clock::rep last, TimePoint now) noexcept {
    const auto taken = now.time_since_epoch().count() - last;
    const auto late = std::max<Clock::rep>(taken - LagMeter::period.count(), 0);
    const double weight = std::clamp(
        static_cast<double>(taken) / static_cast<double>(LagMeter::memory.count()), 0.0, 1.0
    );
    return average + static_cast<Clock::rep>(weight * static_cast<double>(late - average));
}

}  // namespace

void LagMeter::start(TimePoint now) noexcept {
    average_.store(0, std::memory_order_relaxed);
    last_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
}

void LagMeter::on_beat(TimePoint now) noexcept {
    const auto average = average_.load(std::memory_order_relaxed);
    const auto last = last_.load(std::memory_order_relaxed);
    average_.store(averaged(average, last, now), std::memory_order_relaxed);
    const auto taken = now.time_since_epoch() - Clock::duration{last};
    const auto late = std::max<Clock::duration>(taken - period, Clock::duration{0});
    const auto bucket = std::ranges::lower_bound(bounds, late) - bounds.begin();
    late_[static_cast<std::size_t>(bucket)].fetch_add(1, std::memory_order_relaxed);
    late_sum_.fetch_add(late.count(), std::memory_order_relaxed);
    last_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
}

LagMeter::Late LagMeter::late() const noexcept {
    Late seen;
    for (std::size_t i = 0; i < late_.size(); ++i)
        seen.beats[i] = late_[i].load(std::memory_order_relaxed);
    seen.sum = Clock::duration{late_sum_.load(std::memory_order_relaxed)};
    return seen;
}

Clock::duration LagMeter::lag(TimePoint now) const noexcept {
    const auto average = average_.load(std::memory_order_relaxed);
    const auto last = last_.load(std::memory_order_relaxed);
    const bool due = now.time_since_epoch().count() - last > period.count();
    return Clock::duration{due ? averaged(average, last, now) : average};
}

Clock::duration LagMeter::silence(TimePoint now) const noexcept {
    return now.time_since_epoch() - Clock::duration{last_.load(std::memory_order_relaxed)};
}

struct Pulse::Heart {
    explicit Heart(Shard& shard) : timer{shard.context()} {}

    /// Deadlines are absolute, as those of ticks.
    void beat() {
        next = std::max(next + LagMeter::period, Clock::now());
        timer.expires_at(next);
        timer.async_wait([this](const boost::system::error_code& error) {
            if (error || stopped) return;
            meter.on_beat(Clock::now());
            beat();
        });
    }

    LagMeter meter;
    boost::asio::steady_timer timer;  ///< it and what follows: on the shard
    TimePoint next{};
    bool stopped{false};
};

Pulse::Pulse(ShardPool& shards, Clock::duration dead_after)
    : shards_{shards}, dead_after_{dead_after} {
    for (std::size_t i = 0; i < shards.size(); ++i)
        hearts_.push_back(std::make_unique<Heart>(shards[i]));
}

Pulse::~Pulse() = default;

void Pulse::start() {
    for (std::size_t i = 0; i < shards_.size(); ++i) {
        hearts_[i]->meter.start(Clock::now());
        shards_[i].post([heart = hearts_[i].get()] {
            heart->next = Clock::now();
            heart->beat();
        });
    }
    running_ = true;
}

namespace {

template <class Heart>
asio::awaitable<void> end(Heart& heart) {
    heart.stopped = true;
    heart.timer.cancel();
    co_return;
}

}  // namespace

void Pulse::stop() {
    if (!running_.exchange(false)) return;
    for (std::size_t i = 0; i < shards_.size(); ++i)
        run_blocking(shards_[i], end(*hearts_[i]));
}

Clock::duration Pulse::worst_lag(TimePoint now) const noexcept {
    Clock::duration worst{0};
    if (!running_) return worst;
    for (const auto& heart : hearts_)
        worst = std::max(worst, heart->meter.lag(now));
    return worst;
}

LagMeter::Late Pulse::late() const noexcept {
    LagMeter::Late all;
    for (const auto& heart : hearts_) {
        const auto one = heart->meter.late();
        for (std::size_t i = 0; i < all.beats.size(); ++i)
            all.beats[i] += one.beats[i];
        all.sum += one.sum;
    }
    return all;
}

std::optional<std::size_t> Pulse::stuck(TimePoint now) const noexcept {
    if (!running_) return std::nullopt;
    for (std::size_t i = 0; i < hearts_.size(); ++i) {
        if (hearts_[i]->meter.silence(now) > dead_after_) return i;
    }
    return std::nullopt;
}

}  // namespace oavc::async
