#pragma once

#include "async/shard.hpp"

#include <mutex>
#include <utility>

namespace oavc::services {

/// The way back to a call's shard for work on other threads. It outlives the call, and the shard:
/// once cut, posts go nowhere. Shared by the object on the shard and by its work.
class ShardLink {
public:
    explicit ShardLink(async::Shard& shard) noexcept : shard_{&shard} {}
    ShardLink(const ShardLink&) = delete;
    ShardLink& operator=(const ShardLink&) = delete;

    /// Runs `f` on the shard, later, unless cut by then. Any thread. `f` must hold no owner of what
    /// only the shard's thread may destroy.
    template <class F>
    void post(F&& f) {
        const std::lock_guard lock{mutex_};
        if (shard_ != nullptr) shard_->post(std::forward<F>(f));
    }

    /// Thread: the shard's, before the shard goes.
    void cut() noexcept {
        const std::lock_guard lock{mutex_};
        shard_ = nullptr;
    }

private:
    std::mutex mutex_;
    async::Shard* shard_;
};

}  // namespace oavc::services
