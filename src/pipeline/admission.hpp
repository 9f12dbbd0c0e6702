#pragma once

#include "base/result.hpp"
#include "base/time.hpp"
#include "pipeline/config.hpp"
#include "transports/listener.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace oavc::pipeline {

/// Who gets a place: [limits] max_calls, max_calls_per_caller and max_lag, and nobody while the
/// process drains. Refusing is how the calls that are in stay unharmed. No clock of its own.
/// Bound: one entry per caller with a call. Thread: any; one short lock per call's begin and end.
class Admission {
public:
    struct Stats {
        std::size_t active{0};
        std::size_t capacity{0};
        std::uint64_t admitted{0};
        std::array<std::uint64_t, std::size(transports::refusals)> refused{};  ///< by Refusal
    };

    explicit Admission(const LimitsConfig& limits) noexcept;
    Admission(const Admission&) = delete;
    Admission& operator=(const Admission&) = delete;
    ~Admission();  ///< every slot has come back

    /// `lag`: how late audio is now. The slot borrows this.
    Result<transports::AdmissionSlot, transports::Refusal> ask(
        const transports::CallOffer& offer, Clock::duration lag
    ) noexcept;

    /// What a caller without other calls would be told now; nothing: there is a place.
    std::optional<transports::Refusal> closed(Clock::duration lag) const noexcept;

    /// For calls to come; those that are in stay, even if they are more than that now.
    void set_limits(const LimitsConfig& limits) noexcept;

    /// Admits nobody from now on.
    void begin_drain() noexcept;
    bool draining() const noexcept;

    Stats stats() const noexcept;

private:
    /// The calls of one caller; the slots' owner, so that a slot knows whose it was.
    struct Caller;

    std::optional<transports::Refusal> closed_now(Clock::duration lag) const noexcept;
    void give_back(Caller& caller) noexcept;

    mutable std::mutex mutex_;
    std::size_t max_calls_;
    std::size_t max_per_caller_;
    Clock::duration max_lag_;
    std::map<std::string, std::unique_ptr<Caller>, std::less<>> callers_;
    std::unique_ptr<Caller> nobody_;  ///< withheld numbers, and calls that we place
    bool draining_{false};
    Stats stats_;
};

}  // namespace oavc::pipeline
