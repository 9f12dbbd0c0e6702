#pragma once

#include "base/time.hpp"

#include <condition_variable>
#include <mutex>

namespace oavc::test {

/// The connections of a fake server. Thread: any.
class ConnectionCount {
public:
    /// Counts a connection while it lives.
    class Open {
    public:
        explicit Open(ConnectionCount& count) : count_{count} {
            const std::lock_guard lock{count_.mutex_};
            ++count_.open_;
            ++count_.total_;
        }
        Open(const Open&) = delete;
        Open& operator=(const Open&) = delete;
        ~Open() {
            const std::lock_guard lock{count_.mutex_};
            if (--count_.open_ == 0) count_.none_open_.notify_all();
        }

    private:
        ConnectionCount& count_;
    };

    int open() const {
        const std::lock_guard lock{mutex_};
        return open_;
    }
    int total() const {  ///< so far
        const std::lock_guard lock{mutex_};
        return total_;
    }
    /// Waits until none is open; false: one still is after `limit`.
    bool none_within(Clock::duration limit) const {
        std::unique_lock lock{mutex_};
        return none_open_.wait_for(lock, limit, [this] { return open_ == 0; });
    }

private:
    mutable std::mutex mutex_;
    mutable std::condition_variable none_open_;
    int open_{0};
    int total_{0};
};

}  // namespace oavc::test
