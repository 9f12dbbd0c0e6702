#pragma once

#include "async/shard.hpp"

#include <condition_variable>
#include <mutex>

namespace oavc::test {

/// Stops a server's shard as SIGSTOP stops a process: the kernel takes connections, nothing
/// answers. Whoever stops the shard thaws it first. Thread: any but the shard's.
class Freezer {
public:
    void freeze(async::Shard& shard) {
        set(true);
        shard.post([this] {
            std::unique_lock lock{mutex_};
            thawed_.wait(lock, [this] { return !frozen_; });
        });
    }
    void thaw() {
        set(false);
        thawed_.notify_all();
    }

private:
    void set(bool frozen) {
        const std::lock_guard lock{mutex_};
        frozen_ = frozen;
    }

    std::mutex mutex_;
    std::condition_variable thawed_;
    bool frozen_{false};
};

}  // namespace oavc::test
