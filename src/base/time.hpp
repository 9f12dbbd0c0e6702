#pragma once

#include <chrono>

namespace oavc {

/// The only clock of media, timers and policies. Passed in as an argument everywhere but in
/// `async/`, so that a rule of 500 ms is tested in microseconds.
using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using namespace std::chrono_literals;

/// Milliseconds with three decimals, for reports.
constexpr double to_ms(Clock::duration d) noexcept {
    return std::chrono::duration<double, std::milli>(d).count();
}

}  // namespace oavc
