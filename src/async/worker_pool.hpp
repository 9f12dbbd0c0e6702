#pragma once

#include "async/awaitable.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace oavc::async {

/// Threads for CPU work over 1 ms: recognition, synthesis, model loading. Results go back to a
/// shard by `Shard::post`. At most `bound` jobs wait; more are refused, and counted.
class WorkerPool {
public:
    WorkerPool(std::size_t threads, std::size_t bound) : bound_{bound}, pool_{threads} {}
    WorkerPool(const WorkerPool&) = delete;
    WorkerPool& operator=(const WorkerPool&) = delete;
    ~WorkerPool() { stop(); }

    /// Jobs of one lane run one after another, in order, on whichever thread is free.
    using Lane = asio::strand<asio::thread_pool::executor_type>;
    Lane make_lane() { return asio::make_strand(pool_.get_executor()); }

    /// False, and counted, when the pool is full: the caller copes. Callable from any thread.
    template <class F>
    [[nodiscard]] bool try_submit(F&& job) {
        return submit_to(pool_.get_executor(), std::forward<F>(job));
    }
    template <class F>
    [[nodiscard]] bool try_submit(const Lane& lane, F&& job) {
        return submit_to(lane, std::forward<F>(job));
    }

    /// Lets running jobs finish, drops waiting ones.
    void stop() {
        pool_.stop();
        pool_.join();
    }

    std::size_t waiting() const noexcept { return waiting_.load(std::memory_order_relaxed); }
    std::uint64_t refused() const noexcept { return refused_.load(std::memory_order_relaxed); }

private:
    template <class Executor, class F>
    bool submit_to(const Executor& executor, F&& job) {
        if (waiting_.fetch_add(1, std::memory_order_relaxed) >= bound_) {
            waiting_.fetch_sub(1, std::memory_order_relaxed);
            refused_.fetch_add(1, std::memory_order_relaxed);
            return false;
        }
        asio::post(executor, [this, work = std::forward<F>(job)]() mutable {
            waiting_.fetch_sub(1, std::memory_order_relaxed);
            work();
        });
        return true;
    }

    const std::size_t bound_;
    std::atomic<std::size_t> waiting_{0};
    std::atomic<std::uint64_t> refused_{0};
    asio::thread_pool pool_;
};

}  // namespace oavc::async
