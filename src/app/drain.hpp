#pragma once

#include "base/time.hpp"

#include <cstddef>

namespace oavc::app {

/// How a process that carries calls ends: no new ones, those that run get until `deadline`, then
/// say their goodbye, and what is left after that is ended. Sans-I/O: the number of calls and the
/// time in, what to do out.
class Drain {
public:
    struct Times {
        Clock::duration deadline{};     ///< [limits] drain_deadline
        Clock::duration goodbye{10s};   ///< calls that are told to end get so long to say it
        Clock::duration progress{10s};  ///< how often the operator is told what is waited for
    };
    enum class Step {
        wait,         ///< until next_deadline(), or a call ends
        tell,         ///< the operator how many are left
        say_goodbye,  ///< every call; comes once
        end,          ///< nothing is left, or it had its time; comes for ever
    };

    Drain(const Times& times, TimePoint now) noexcept
        : times_{times}, deadline_{now + times.deadline}, next_progress_{now + times.progress} {}

    Step next(std::size_t active_calls, TimePoint now) noexcept {
        if (active_calls == 0) return Step::end;
        if (now >= deadline_) {
            if (goodbye_said_) return Step::end;
            goodbye_said_ = true;
            deadline_ = now + times_.goodbye;
            return Step::say_goodbye;
        }
        if (now < next_progress_) return Step::wait;
        next_progress_ = now + times_.progress;
        return Step::tell;
    }

    TimePoint next_deadline() const noexcept {
        return deadline_ < next_progress_ ? deadline_ : next_progress_;
    }
    /// Until calls are said goodbye to, then until they are ended.
    Clock::duration left(TimePoint now) const noexcept { return deadline_ - now; }

private:
    const Times times_;
    TimePoint deadline_;
    TimePoint next_progress_;
    bool goodbye_said_{false};
};

}  // namespace oavc::app
