#include "async/tick.hpp"

#include "base/assert.hpp"

#include <algorithm>

namespace oavc::async {

TickWheel::~TickWheel() { OAVC_ASSERT(size_ == 0); }

void TickWheel::add(TickClient& client) noexcept {
    OAVC_ASSERT(client.link_ == nullptr);
    const auto phase =
        static_cast<std::size_t>(std::min_element(loads_.begin(), loads_.end()) - loads_.begin());
    client.phase_ = phase;
    client.next_ = clients_[phase];
    client.link_ = &clients_[phase];
    if (client.next_ != nullptr) client.next_->link_ = &client.next_;
    clients_[phase] = &client;
    ++loads_[phase];
    ++size_;
}

void TickWheel::remove(TickClient& client) noexcept {
    if (client.link_ == nullptr) return;
    if (iterating_next_ == &client) iterating_next_ = client.next_;
    *client.link_ = client.next_;
    if (client.next_ != nullptr) client.next_->link_ = client.link_;
    client.link_ = nullptr;
    client.next_ = nullptr;
    --loads_[client.phase_];
    --size_;
}

void TickWheel::advance(TimePoint now) noexcept {
    if (now - next_ > longest_catch_up) {
        const auto missed = static_cast<std::uint64_t>((now - next_) / phase_time);
        stats_.skipped += missed;
        phase_ = (phase_ + missed) % phases;
        next_ += phase_time * static_cast<Clock::rep>(missed);
    }
    while (next_ <= now && size_ > 0) {
        stats_.last_lag = now - next_;
        stats_.worst_lag = std::max(stats_.worst_lag, stats_.last_lag);
        ++stats_.ticks;
        const TimePoint deadline = next_;
        next_ += phase_time;
        const auto phase = phase_;
        phase_ = (phase_ + 1) % phases;
        for (TickClient* client = clients_[phase]; client != nullptr; client = iterating_next_) {
            // A client may remove itself or its neighbour while it runs.
            iterating_next_ = client->next_;
            client->on_tick(deadline);
        }
    }
}

}  // namespace oavc::async
