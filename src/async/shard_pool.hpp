#pragma once

#include "async/shard.hpp"

#include <atomic>
#include <cstddef>
#include <memory>
#include <vector>

namespace oavc::async {

/// The process's shards. Calls are dealt to them in turn.
class ShardPool {
public:
    explicit ShardPool(std::size_t count) {
        for (std::size_t i = 0; i < count; ++i)
            shards_.push_back(std::make_unique<Shard>(i));
    }

    std::size_t size() const noexcept { return shards_.size(); }
    Shard& operator[](std::size_t index) noexcept { return *shards_[index]; }
    /// Round robin. Callable from any thread.
    Shard& next() noexcept {
        return *shards_[next_.fetch_add(1, std::memory_order_relaxed) % shards_.size()];
    }

    void start() {
        for (auto& shard : shards_)
            shard->start();
    }
    void drain_and_join() {
        for (auto& shard : shards_)
            shard->drain_and_join();
    }

private:
    std::vector<std::unique_ptr<Shard>> shards_;
    std::atomic<std::size_t> next_{0};
};

}  // namespace oavc::async
