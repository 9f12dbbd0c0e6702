#pragma once

#include "async/awaitable.hpp"
#include "async/run_blocking.hpp"
#include "async/shard.hpp"

#include <optional>
#include <utility>

namespace oavc::app::doctor {

/// The outcome of `work`, which runs on `shard`; blocks.
template <class T>
T wait_for(async::Shard& shard, asio::awaitable<T> work) {
    std::optional<T> outcome;
    const auto keep = [](asio::awaitable<T> from, std::optional<T>& to) -> asio::awaitable<void> {
        to.emplace(co_await std::move(from));
    };
    async::run_blocking(shard, keep(std::move(work), outcome));
    return std::move(*outcome);
}

}  // namespace oavc::app::doctor
