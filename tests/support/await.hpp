#pragma once

// Runs a coroutine of a shard on the test's own thread.

#include "async/awaitable.hpp"
#include "async/shard.hpp"
#include "base/result.hpp"

#include <boost/asio/co_spawn.hpp>

#include <gtest/gtest.h>

#include <exception>
#include <optional>
#include <utility>

namespace oavc::test {

/// The outcome of `work`; runs the shard until it is there. What other threads owe must come: a
/// minute is taken for a hang.
template <class T>
T result_of(async::Shard& shard, asio::awaitable<T> work) {
    std::optional<T> outcome;
    asio::co_spawn(shard.context(), std::move(work), [&](std::exception_ptr error, T value) {
        if (error) std::rethrow_exception(error);
        outcome.emplace(std::move(value));
    });
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::minutes{1};
    while (!outcome) {
        shard.context().restart();
        shard.context().run_one_for(std::chrono::seconds{1});
        if (std::chrono::steady_clock::now() > give_up) {
            ADD_FAILURE() << "nothing came within a minute";
            std::abort();
        }
    }
    return std::move(*outcome);
}

/// The value of a Result; a failure of the test when it is an error.
template <class T>
T value_of(async::Shard& shard, asio::awaitable<Result<T>> work) {
    auto outcome = result_of(shard, std::move(work));
    if (!outcome) {
        ADD_FAILURE() << outcome.error().message();
        std::abort();
    }
    return std::move(*outcome);
}

}  // namespace oavc::test
