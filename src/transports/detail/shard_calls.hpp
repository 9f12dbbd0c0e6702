#pragma once

#include "async/awaitable.hpp"
#include "async/shard_pool.hpp"
#include "async/task_group.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>

#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

namespace oavc::transports::detail {

/// The running calls of one listener, each on its shard, named by numbers: what shard 0 sends to a
/// call, and the tasks that carry them. A number says where its call lives, so that no table is
/// needed off shard 0. `T` is the listener's Transport.
template <class T>
class ShardCalls {
public:
    /// Thread: the listener's `start`, before anything is posted.
    ShardCalls(async::ShardPool& shards, async::TaskGroup::ExceptionHandler on_exception)
        : shards_{shards} {
        for (std::size_t i = 0; i < shards.size(); ++i) {
            auto& there = places_.emplace_back(std::make_unique<Place>());
            there->tasks = std::make_unique<async::TaskGroup>(shards[i].executor(), on_exception);
        }
    }
    ShardCalls(const ShardCalls&) = delete;
    ShardCalls& operator=(const ShardCalls&) = delete;

    std::size_t index_of(std::uint64_t number) const noexcept { return number % shards_.size(); }
    async::Shard& shard_of(std::uint64_t number) const { return shards_[index_of(number)]; }

    // Thread: the call's shard.
    void add(std::uint64_t number, T& call) {
        places_[index_of(number)]->calls.emplace(number, &call);
    }
    void remove(std::uint64_t number) noexcept { places_[index_of(number)]->calls.erase(number); }
    void spawn(std::uint64_t number, asio::awaitable<void> task) {
        places_[index_of(number)]->tasks->spawn(std::move(task));
    }

    /// Runs `f` with the call on its shard, if it still is there. Thread: any.
    template <class F>
    void to_call(std::uint64_t number, F f) {
        shard_of(number).post([this, number, f = std::move(f)]() mutable {
            const auto& living = places_[index_of(number)]->calls;
            if (const auto found = living.find(number); found != living.end()) f(*found->second);
        });
    }

    /// Ends every call and waits for that. Thread: none of the shards'; they must run.
    void end_all() {
        std::vector<std::future<void>> endings;
        for (std::size_t i = 0; i < shards_.size(); ++i)
            endings.push_back(asio::co_spawn(shards_[i].context(), end(i), asio::use_future));
        for (auto& ending : endings)
            ending.get();
    }
    /// Gives back what lives on the shards; what was queued there has passed then. Last call.
    void release_all() {
        for (std::size_t i = 0; i < shards_.size(); ++i)
            asio::co_spawn(shards_[i].context(), release(i), asio::use_future).get();
    }

private:
    /// What lives on one shard; touched only there.
    struct Place {
        std::unordered_map<std::uint64_t, T*> calls;
        std::unique_ptr<async::TaskGroup> tasks;
    };

    asio::awaitable<void> end(std::size_t index) {
        places_[index]->tasks->cancel();
        co_await places_[index]->tasks->join();
    }
    asio::awaitable<void> release(std::size_t index) {
        places_[index]->tasks.reset();
        co_return;
    }

    async::ShardPool& shards_;
    std::vector<std::unique_ptr<Place>> places_;
};

}  // namespace oavc::transports::detail
