#include "pipeline/admission.hpp"

#include "base/assert.hpp"

#include <new>
#include <utility>

namespace oavc::pipeline {

using transports::AdmissionSlot;
using transports::Refusal;

namespace {

/// Longer ones are no numbers; a caller chooses what is sent.
constexpr std::size_t longest_name = 256;

}  // namespace

struct Admission::Caller final : AdmissionSlot::Owner {
    Caller(Admission& a, std::string n) : admission{a}, name{std::move(n)} {}
    void release_slot() noexcept override { admission.give_back(*this); }

    Admission& admission;
    const std::string name;  ///< empty: nobody in particular
    std::size_t calls{0};
};

Admission::Admission(const LimitsConfig& limits) noexcept
    : max_calls_{limits.max_calls},
      max_per_caller_{limits.max_calls_per_caller},
      max_lag_{limits.max_lag},
      nobody_{std::make_unique<Caller>(*this, std::string{})} {}

Admission::~Admission() { OAVC_ASSERT(stats_.active == 0); }

Result<AdmissionSlot, Refusal> Admission::ask(
    const transports::CallOffer& offer, Clock::duration lag
) noexcept {
    const std::lock_guard lock{mutex_};
    const auto refuse = [this](Refusal refusal) {
        ++stats_.refused[static_cast<std::size_t>(refusal)];
        return refusal;
    };
    if (const auto refusal = closed_now(lag)) return refuse(*refusal);
    Caller* caller = nobody_.get();
    if (max_per_caller_ > 0 && !offer.outgoing && !offer.from.empty()) {
        const auto name = offer.from.substr(0, longest_name);
        auto found = callers_.find(name);
        if (found == callers_.end()) {
            try {
                std::string key{name};
                auto fresh = std::make_unique<Caller>(*this, key);
                found = callers_.emplace(std::move(key), std::move(fresh)).first;
            } catch (const std::bad_alloc&) {
                return refuse(Refusal::full);
            }
        }
        caller = found->second.get();
        if (caller->calls >= max_per_caller_) return refuse(Refusal::caller);
    }
    ++caller->calls;
    ++stats_.active;
    ++stats_.admitted;
    return AdmissionSlot{*caller};
}

void Admission::give_back(Caller& caller) noexcept {
    const std::lock_guard lock{mutex_};
    --stats_.active;
    if (--caller.calls > 0 || &caller == nobody_.get()) return;
    callers_.erase(callers_.find(caller.name));
}

std::optional<Refusal> Admission::closed_now(Clock::duration lag) const noexcept {
    if (draining_) return Refusal::draining;
    if (stats_.active >= max_calls_) return Refusal::full;
    if (max_lag_ > Clock::duration{0} && lag > max_lag_) return Refusal::overloaded;
    return std::nullopt;
}

std::optional<Refusal> Admission::closed(Clock::duration lag) const noexcept {
    const std::lock_guard lock{mutex_};
    return closed_now(lag);
}

void Admission::set_limits(const LimitsConfig& limits) noexcept {
    const std::lock_guard lock{mutex_};
    max_calls_ = limits.max_calls;
    max_per_caller_ = limits.max_calls_per_caller;
    max_lag_ = limits.max_lag;
}

void Admission::begin_drain() noexcept {
    const std::lock_guard lock{mutex_};
    draining_ = true;
}

bool Admission::draining() const noexcept {
    const std::lock_guard lock{mutex_};
    return draining_;
}

Admission::Stats Admission::stats() const noexcept {
    const std::lock_guard lock{mutex_};
    Stats stats = stats_;
    stats.capacity = max_calls_;
    return stats;
}

}  // namespace oavc::pipeline
