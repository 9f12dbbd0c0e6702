#include "services/stt/whisper/decode_queue.hpp"

#include <algorithm>
#include <utility>

namespace oavc::services::whisper {

namespace {

using Kind = DecodeJob::Kind;

}  // namespace

bool DecodeQueue::offer(Job job, TimePoint now) {
    job->queued = now;
    if (job->kind == Kind::partial) {
        const bool runs = std::ranges::any_of(running_, [&](const Job& other) {
            return other->call == job->call;
        });
        if (runs || waiting_finals_ > 0) {
            ++stats_.skipped;
            return false;
        }
        auto& waiting = lane_of(job->call).partial;
        if (waiting != nullptr) {
            stop(waiting);
            ++stats_.superseded;
        }
        waiting = std::move(job);
        return true;
    }
    if (waiting_finals_ >= bound_) {
        ++stats_.refused;
        return false;
    }
    auto& lane = lane_of(job->call);
    if (lane.partial != nullptr) {
        stop(lane.partial);
        lane.partial.reset();
        ++stats_.superseded;
    }
    free_a_worker(job);
    lane.finals.push_back(std::move(job));
    ++waiting_finals_;
    return true;
}

DecodeQueue::Job DecodeQueue::take(TimePoint now) {
    for (auto lane = lanes_.begin(); lane != lanes_.end(); ++lane) {
        if (lane->finals.empty() || final_runs(lane->call)) continue;
        auto job = std::move(lane->finals.front());
        lane->finals.pop_front();
        --waiting_finals_;
        std::rotate(lane, lane + 1, lanes_.end());  // its next turn comes after everyone's
        sweep();
        const auto waited = now - job->queued;
        stats_.wait_ms += static_cast<std::uint64_t>(to_ms(waited));
        if (waited >= hurry_after) {
            job->parameters.beam_size = 1;
            job->parameters.temperature_step = 0.0;
            ++stats_.hurried;
        }
        job->started = now;
        running_.push_back(job);
        return job;
    }
    if (waiting_finals_ > 0) return nullptr;  // of calls whose former final runs: kept free for it
    for (auto lane = lanes_.begin(); lane != lanes_.end(); ++lane) {
        if (lane->partial == nullptr) continue;
        auto job = std::exchange(lane->partial, nullptr);
        std::rotate(lane, lane + 1, lanes_.end());
        sweep();
        job->started = now;
        running_.push_back(job);
        return job;
    }
    return nullptr;
}

void DecodeQueue::finished(const Job& job) { std::erase(running_, job); }

void DecodeQueue::forget(const Job& job) {
    job->settled = true;
    if (std::ranges::find(running_, job) != running_.end()) {
        if (!job->abort.raised()) ++stats_.aborted;
        stop(job);
        return;
    }
    for (auto& lane : lanes_) {
        if (lane.partial == job) lane.partial.reset();
        waiting_finals_ -= std::erase(lane.finals, job);
    }
    sweep();
}

std::vector<DecodeQueue::Job> DecodeQueue::drop_late(TimePoint now) {
    std::vector<Job> late;
    const auto is_late = [&](const Job& job) {
        return job->kind == Kind::final && job->deadline <= now && !job->settled;
    };
    for (auto& lane : lanes_) {
        std::ranges::copy_if(lane.finals, std::back_inserter(late), is_late);
        waiting_finals_ -= std::erase_if(lane.finals, is_late);
    }
    std::ranges::copy_if(running_, std::back_inserter(late), is_late);
    // One that ends in this very moment reports by itself.
    std::erase_if(late, [](const Job& job) { return job->settled.exchange(true); });
    for (const auto& job : late)
        stop(job);
    stats_.late += late.size();
    sweep();
    return late;
}

DecodeQueue::Lane& DecodeQueue::lane_of(std::uint64_t call) {
    const auto found = std::ranges::find(lanes_, call, &Lane::call);
    if (found != lanes_.end()) return *found;
    return lanes_.emplace_back(Lane{call, {}, nullptr});
}

bool DecodeQueue::final_runs(std::uint64_t call) const noexcept {
    return std::ranges::any_of(running_, [&](const Job& job) {
        return job->kind == Kind::final && job->call == call;
    });
}

/// Stops the partial of the same call, and if no worker is free then, one of another's.
void DecodeQueue::free_a_worker(const Job& for_final) {
    const auto abort = [&](const Job& job) {
        stop(job);
        ++stats_.aborted;
    };
    std::size_t coming_free = workers_ - std::min(workers_, running_.size());
    for (const auto& job : running_) {
        if (job->kind != Kind::partial) continue;
        if (job->call == for_final->call && !job->abort.raised()) abort(job);
        if (job->abort.raised()) ++coming_free;
    }
    if (coming_free > waiting_finals_) return;
    const auto victim = std::ranges::find_if(running_, [](const Job& job) {
        return job->kind == Kind::partial && !job->abort.raised();
    });
    if (victim != running_.end()) abort(*victim);
}

void DecodeQueue::stop(const Job& job) { job->abort.raise(); }

/// Calls that wait for nothing have no place in the round.
void DecodeQueue::sweep() {
    std::erase_if(lanes_, [](const Lane& lane) {
        return lane.finals.empty() && lane.partial == nullptr;
    });
}

}  // namespace oavc::services::whisper
