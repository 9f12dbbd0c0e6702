#pragma once

// Lets a shard work on the test's own thread until something has happened.

#include "async/awaitable.hpp"
#include "async/shard.hpp"
#include "base/time.hpp"

#include <boost/asio/co_spawn.hpp>

#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

namespace oavc::test {

/// Lets the shard work until `done`; a minute is taken for a hang.
template <class Condition>
bool run_until(async::Shard& shard, Condition done) {
    const auto give_up = Clock::now() + std::chrono::minutes{1};
    while (!done() && Clock::now() < give_up) {
        shard.context().restart();
        shard.context().run_one_for(milliseconds{10});
    }
    return done();
}

/// Lets the shard work for `time`, as long as it has anything to wait for.
inline void run_for(async::Shard& shard, Clock::duration time) {
    shard.context().restart();
    shard.context().run_for(time);
}

/// Destroyed sessions leave coroutines that end by themselves: let them.
inline void run_dry(async::Shard& shard) { run_for(shard, std::chrono::seconds{10}); }

/// Starts `work`, which goes on whenever the shard works; what it came to, once it has ended.
template <class T>
std::shared_ptr<const std::optional<T>> start(async::Shard& shard, asio::awaitable<T> work) {
    const auto outcome = std::make_shared<std::optional<T>>();
    asio::co_spawn(shard.context(), std::move(work), [outcome](std::exception_ptr error, T value) {
        if (error) std::rethrow_exception(error);
        outcome->emplace(std::move(value));
    });
    return outcome;
}

}  // namespace oavc::test
