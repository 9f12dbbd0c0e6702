#include "caller/bench/engine.hpp"

#include "base/assert.hpp"

#include <poll.h>

#include <algorithm>
#include <ctime>
#include <functional>

namespace oavc::caller::bench {

namespace {

/// Of this thread, which is all that the generator uses.
double cpu_seconds() noexcept {
    timespec used{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

constexpr double seconds(Clock::duration d) noexcept {
    return std::chrono::duration<double>(d).count();
}

}  // namespace

Engine::Engine(Carrier& carrier, const Script& script, std::size_t capacity, std::uint32_t seed)
    : carrier_{carrier}, script_{script}, seed_{seed}, calls_(capacity) {
    for (std::size_t i = 0; i < capacity; ++i)
        free_.push_back(static_cast<CallIndex>(i));  // sorted is a heap
    begin_window();
}

void Engine::aim(std::size_t calls, double per_second) noexcept {
    aimed_ = std::min(calls, calls_.size());
    per_second_ = per_second;
}

void Engine::run(Clock::duration duration, const std::function<bool()>& enough) {
    TimePoint now = Clock::now();
    const TimePoint end = now + duration;
    // The time between two runs was nobody's.
    next_slot_ = now;
    while (!stopped_ && next_slot_ < end) {
        sleep_until(next_slot_);
        now = Clock::now();
        const auto late = now - next_slot_;
        figures_.lateness.add(late);
        if (late > hopeless) {
            const auto skipped = late / slot;
            figures_.skipped_slots += static_cast<std::uint64_t>(skipped);
            slot_number_ += static_cast<std::uint64_t>(skipped);
            next_slot_ += skipped * slot;
        }
        play_slot(now);
        next_slot_ += slot;
        ++slot_number_;
        if (enough && slot_number_ % slots_per_frame == 0 && enough()) return;
    }
}

void Engine::sleep_until(TimePoint deadline) {
    for (;;) {
        const TimePoint now = Clock::now();
        if (now >= deadline || stopped_) return;
        const auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(deadline - now);
        timespec timeout{};
        timeout.tv_sec = static_cast<std::time_t>(left.count() / 1'000'000'000);
        timeout.tv_nsec = static_cast<long>(left.count() % 1'000'000'000);
        pollfd waiting{carrier_.wake_fd(), POLLIN, 0};
        if (::ppoll(&waiting, 1, &timeout, nullptr) > 0) carrier_.poll(Clock::now(), *this);
    }
}

void Engine::play_slot(TimePoint now) {
    carrier_.poll(now, *this);
    for (std::size_t i = slot_number_ % slots_per_frame; i < calls_.size(); i += slots_per_frame) {
        LoadCall& call = calls_[i];
        if (!call.answered()) continue;
        const auto index = static_cast<CallIndex>(i);
        const LoadCall::Tick tick = call.tick(now, figures_);
        figures_.call_seconds += seconds(20ms);
        if (tick.speaks) figures_.talk_seconds += seconds(20ms);
        if (tick.hang_up || under_way_ > aimed_) {
            carrier_.hang_up(index, now);
            free_phone(index);
            continue;
        }
        carrier_.send(index, tick.frame, now);
    }
    carrier_.flush(now);
    place_due(now);
}

void Engine::place_due(TimePoint now) {
    const double most = std::max(1.0, per_second_ * seconds(slot) * 2);
    allowance_ = std::min(allowance_ + per_second_ * seconds(slot), most);
    while (under_way_ < aimed_ && allowance_ >= 1 && !free_.empty()) {
        allowance_ -= 1;
        const CallIndex index = free_.front();
        std::pop_heap(free_.begin(), free_.end(), std::greater{});
        free_.pop_back();
        calls_[index].begin(script_, seed_ + static_cast<std::uint32_t>(placed_), now);
        ++placed_;
        ++figures_.placed;
        ++under_way_;
        carrier_.place(index, now);
    }
}

void Engine::free_phone(CallIndex index) noexcept {
    if (calls_[index].answered()) --answered_;
    calls_[index].end();
    --under_way_;
    free_.push_back(index);
    std::push_heap(free_.begin(), free_.end(), std::greater{});
}

void Engine::on_answered(CallIndex index, TimePoint at) {
    OAVC_ASSERT(calls_[index].state() == LoadCall::State::placed);
    calls_[index].on_answered(at, figures_);
    ++answered_;
}

void Engine::on_heard(CallIndex index, const Heard& heard) {
    calls_[index].on_heard(heard, figures_);
}

void Engine::on_wrong_audio(CallIndex) { ++figures_.wrong; }

void Engine::on_underrun(CallIndex, Clock::duration gap) {
    ++figures_.underruns;
    figures_.longest_underrun = std::max(figures_.longest_underrun, gap);
}

void Engine::on_over(CallIndex index, TimePoint at, Ending how, std::string_view why) {
    switch (how) {
        case Ending::refused:
            ++figures_.refused;
            figures_.refusal.add(at - calls_[index].placed_at());
            break;
        case Ending::failed:
            ++figures_.failed;
            break;
        case Ending::hung_up:
            ++figures_.dropped;
            break;
    }
    last_trouble_ = why;
    free_phone(index);
}

void Engine::begin_window() {
    figures_ = Figures{};
    window_since_ = Clock::now();
    carrier_since_ = carrier_.stats();
    cpu_since_ = cpu_seconds();
}

Figures Engine::window() const {
    Figures figures = figures_;
    figures.target = aimed_;
    figures.window = Clock::now() - window_since_;
    const Carrier::Stats carrier = carrier_.stats();
    figures.sent = carrier.sent - carrier_since_.sent;
    figures.send_errors = carrier.send_errors - carrier_since_.send_errors;
    figures.receive_drops = carrier.receive_drops - carrier_since_.receive_drops;
    figures.generator_cpu_seconds = cpu_seconds() - cpu_since_;
    for (const LoadCall& call : calls_) {
        if (call.answered() && call.stream().started()) figures.jitter.add(call.stream().jitter());
    }
    return figures;
}

}  // namespace oavc::caller::bench
