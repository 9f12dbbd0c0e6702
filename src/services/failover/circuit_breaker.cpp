#include "services/failover/circuit_breaker.hpp"

#include <algorithm>

namespace oavc::services {

CircuitBreaker::CircuitBreaker(BreakerConfig config) : config_{config}, wait_{config.open_for} {
    outcomes_.reserve(config_.window);
}

std::optional<CircuitBreaker::Permit> CircuitBreaker::try_begin(TimePoint now) {
    const std::lock_guard lock{mutex_};
    if (state_ == State::closed) return Permit{era_};
    if (state_ == State::open) {
        if (now < open_until_) return std::nullopt;
        state_ = State::half_open;
        ++era_;
        trying_ = false;
    }
    if (trying_) return std::nullopt;
    trying_ = true;
    return Permit{era_};
}

bool CircuitBreaker::on_success(Permit permit) {
    const std::lock_guard lock{mutex_};
    if (permit.era != era_) return false;
    if (state_ == State::half_open) {
        state_ = State::closed;
        ++era_;
        wait_ = config_.open_for;
        consecutive_ = 0;
        failures_ = 0;
        outcomes_.clear();
        next_outcome_ = 0;
        return true;
    }
    consecutive_ = 0;
    if (outcomes_.size() < config_.window) {
        outcomes_.push_back(false);
    } else if (!outcomes_.empty()) {
        failures_ -= outcomes_[next_outcome_] ? 1 : 0;
        outcomes_[next_outcome_] = false;
        next_outcome_ = (next_outcome_ + 1) % outcomes_.size();
    }
    return false;
}

bool CircuitBreaker::on_failure(Permit permit, TimePoint now) {
    const std::lock_guard lock{mutex_};
    if (permit.era != era_) return false;
    if (state_ == State::half_open) {
        wait_ = std::min(wait_ * 2, config_.longest_open);
        open(now);
        return true;
    }
    ++consecutive_;
    ++failures_;
    if (outcomes_.size() < config_.window) {
        outcomes_.push_back(true);
    } else if (!outcomes_.empty()) {
        failures_ -= outcomes_[next_outcome_] ? 1 : 0;
        outcomes_[next_outcome_] = true;
        next_outcome_ = (next_outcome_ + 1) % outcomes_.size();
    }
    const bool full = config_.window > 0 && outcomes_.size() == config_.window;
    const bool too_many = full && static_cast<double>(failures_) >=
                                      config_.failure_ratio * static_cast<double>(config_.window);
    if (consecutive_ < config_.consecutive_failures && !too_many) return false;
    open(now);
    return true;
}

void CircuitBreaker::on_abandoned(Permit permit) {
    const std::lock_guard lock{mutex_};
    if (permit.era == era_) trying_ = false;
}

void CircuitBreaker::on_probe_answered() {
    const std::lock_guard lock{mutex_};
    if (state_ != State::open) return;
    state_ = State::half_open;
    ++era_;
    trying_ = false;
}

bool CircuitBreaker::available(TimePoint now) const {
    const std::lock_guard lock{mutex_};
    if (state_ == State::open) return now >= open_until_;
    return state_ == State::closed || !trying_;
}

CircuitBreaker::State CircuitBreaker::state() const {
    const std::lock_guard lock{mutex_};
    return state_;
}

TimePoint CircuitBreaker::open_until() const {
    const std::lock_guard lock{mutex_};
    return open_until_;
}

void CircuitBreaker::open(TimePoint now) {
    state_ = State::open;
    ++era_;
    open_until_ = now + wait_;
    trying_ = false;
}

std::string_view to_string(CircuitBreaker::State state) noexcept {
    switch (state) {
        case CircuitBreaker::State::closed:
            return "closed";
        case CircuitBreaker::State::open:
            return "open";
        case CircuitBreaker::State::half_open:
            return "half_open";
    }
    return "unknown";
}

void Latencies::add(Clock::duration latency) {
    const std::lock_guard lock{mutex_};
    if (latest_.size() < kept) {
        latest_.push_back(latency);
        return;
    }
    latest_[next_] = latency;
    next_ = (next_ + 1) % kept;
}

std::optional<Clock::duration> Latencies::p95() const {
    std::vector<Clock::duration> sorted;
    {
        const std::lock_guard lock{mutex_};
        if (latest_.size() < enough) return std::nullopt;
        sorted = latest_;
    }
    const auto at = static_cast<std::ptrdiff_t>((sorted.size() * 95 + 99) / 100 - 1);
    std::ranges::nth_element(sorted, sorted.begin() + at);
    return sorted[static_cast<std::size_t>(at)];
}

}  // namespace oavc::services
