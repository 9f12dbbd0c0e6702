#include "async/tick.hpp"

#include "base/assert.hpp"

#include <algorithm>

namespace oavc::async {

TickWheel::~TickWheel() { OAVC_ASSERT(size_ == 0); }

void TickWheel::add(TickClient& client) noexcept {
    OAVC_ASSERT(client.link_ == nullptr);
    const auto phase =
        static_cast<std::size_t>(std::min_element(loads_.begin(), loads_.end()) - loads_.begin());
    insert(client, phase);
}

void TickWheel::insert(TickClient& client, std::size_t phase) noexcept {
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

void TickWheel::move(TickClient& client, std::size_t steps) noexcept {
    OAVC_ASSERT(client.link_ != nullptr && steps > 0 && steps < phases);
    const auto phase = (client.phase_ + steps) % phases;
    remove(client);
    insert(client, phase);
}

std::array<bool, TickWheel::phases> TickWheel::rooms(const TickClient& client) const noexcept {
    const auto most = std::max(small_phase, 2 * size_ / phases);
    std::array<bool, phases> rooms{};
    for (std::size_t n = 0; n < phases; ++n)
        rooms[n] = loads_[(client.phase_ + n) % phases] < most;
    return rooms;
}

TimePoint TickWheel::next_deadline() const noexcept {
    std::size_t empty = 0;
    while (empty < phases - 1 && clients_[(phase_ + empty) % phases] == nullptr)
        ++empty;
    return next_ + phase_time * static_cast<Clock::rep>(empty);
}

void TickWheel::advance(TimePoint now) noexcept {
    if (now - next_ > longest_catch_up) {
        const auto missed = static_cast<std::uint64_t>((now - next_) / phase_time);
        stats_.skipped += missed;
        phase_ = (phase_ + missed) % phases;
        next_ += phase_time * static_cast<Clock::rep>(missed);
    }
    while (next_ <= now && size_ > 0) {
        const TimePoint deadline = next_;
        next_ += phase_time;
        const auto phase = phase_;
        phase_ = (phase_ + 1) % phases;
        if (clients_[phase] == nullptr) continue;  // nobody was waiting for it
        stats_.last_lag = now - deadline;
        stats_.worst_lag = std::max(stats_.worst_lag, stats_.last_lag);
        ++stats_.ticks;
        for (TickClient* client = clients_[phase]; client != nullptr; client = iterating_next_) {
            // A client may remove itself or its neighbour while it runs.
            iterating_next_ = client->next_;
            client->on_tick(deadline);
        }
    }
}

}  // namespace oavc::async
