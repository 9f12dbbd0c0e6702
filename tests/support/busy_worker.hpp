#pragma once

#include "async/worker_pool.hpp"

#include <gtest/gtest.h>

#include <latch>
#include <memory>

namespace oavc::test {

/// Keeps a worker of a pool busy until it is released, or the test is over.
class BusyWorker {
public:
    explicit BusyWorker(async::WorkerPool& workers) {
        const auto busy = std::make_shared<std::latch>(1);
        EXPECT_TRUE(workers.try_submit([busy, released = released_] {
            busy->count_down();
            released->wait();
        }));
        busy->wait();
    }
    BusyWorker(const BusyWorker&) = delete;
    BusyWorker& operator=(const BusyWorker&) = delete;
    ~BusyWorker() { release(); }

    void release() {
        if (released_) released_->count_down();
        released_.reset();
    }

private:
    std::shared_ptr<std::latch> released_{std::make_shared<std::latch>(1)};
};

/// Returns once a pool of one worker has done all that it was given before.
inline void wait_for_worker(async::WorkerPool& workers) {
    const auto done = std::make_shared<std::latch>(1);
    ASSERT_TRUE(workers.try_submit([done] { done->count_down(); }));
    done->wait();
}

}  // namespace oavc::test
