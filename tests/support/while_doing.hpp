#pragma once

#include <chrono>
#include <future>
#include <utility>

namespace oavc::test {

/// What `blocking` returns, on a thread of its own, while `step` keeps the other side of it alive
/// on this one. `step` takes a moment and comes back.
template <class Blocking, class Step>
auto while_doing(Step step, Blocking blocking) {
    auto outcome = std::async(std::launch::async, std::move(blocking));
    while (outcome.wait_for(std::chrono::seconds{0}) != std::future_status::ready)
        step();
    return outcome.get();
}

}  // namespace oavc::test
