#pragma once

#include <chrono>
#include <thread>

namespace oavc::test {

/// True as soon as `condition` holds, false when it does not within `limit`. For what nobody tells
/// of: what can be awaited is awaited.
template <class Condition>
bool comes_true(
    Condition condition, std::chrono::steady_clock::duration limit = std::chrono::seconds{30}
) {
    constexpr std::chrono::milliseconds poll_interval{5};
    const auto give_up = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > give_up) return false;
        std::this_thread::sleep_for(poll_interval);
    }
    return true;
}

}  // namespace oavc::test
