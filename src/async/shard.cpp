#include "async/shard.hpp"

#include "base/assert.hpp"

#include <pthread.h>

#include <string>

namespace oavc::async {

Shard::Shard(std::size_t index) : index_{index}, timer_{context_} {}

Shard::~Shard() { stop(); }

void Shard::start() {
    OAVC_ASSERT(!thread_.joinable());
    work_.emplace(context_.get_executor());
    thread_ = std::thread{[this] {
        const auto name = "shard-" + std::to_string(index_);
        ::pthread_setname_np(::pthread_self(), name.c_str());
        context_.run();
    }};
}

void Shard::drain_and_join() {
    work_.reset();
    if (thread_.joinable()) thread_.join();
}

void Shard::stop() {
    work_.reset();
    context_.stop();
    if (thread_.joinable()) thread_.join();
}

bool Shard::on_thread() const noexcept {
    return !thread_.joinable() || thread_.get_id() == std::this_thread::get_id();
}

void Shard::add_tick(TickClient& client) noexcept {
    if (ticks_.empty()) ticks_.restart(Clock::now());
    ticks_.add(client);
    if (!timer_armed_ || ticks_.next_deadline() < timer_.expiry()) arm_timer();
}

void Shard::remove_tick(TickClient& client) noexcept {
    ticks_.remove(client);
    // An armed timer with nobody to call would keep drain_and_join waiting for one frame time only.
}

void Shard::arm_timer() noexcept {
    timer_armed_ = true;
    timer_.expires_at(ticks_.next_deadline());
    timer_.async_wait([this](const boost::system::error_code& error) {
        if (error) return;  // armed anew for an earlier deadline
        timer_armed_ = false;
        if (ticks_.empty()) return;
        ticks_.advance(Clock::now());
        if (!ticks_.empty()) arm_timer();
    });
}

}  // namespace oavc::async
