#pragma once

#include "async/awaitable.hpp"

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/steady_timer.hpp>

#include <cstddef>
#include <exception>
#include <functional>
#include <list>

namespace oavc::async {

/// Owner of coroutines. Whoever spawns through a group cancels and joins it before it goes; the
/// destructor asserts that nothing is left. Thread: the executor's single thread.
class TaskGroup {
public:
    /// `on_exception` gets what escapes a task (our bug, or bad_alloc); cancellation does not
    /// count.
    using ExceptionHandler = std::function<void(std::exception_ptr)>;

    TaskGroup(asio::any_io_executor executor, ExceptionHandler on_exception);
    TaskGroup(const TaskGroup&) = delete;
    TaskGroup& operator=(const TaskGroup&) = delete;
    ~TaskGroup();

    /// Starts `task` (at the executor's next turn). After `cancel` the group takes no more: the
    /// task is destroyed unstarted. Tasks take values, not references to the spawner's locals.
    void spawn(asio::awaitable<void> task);

    /// Asks every task to end (terminal cancellation). They end at their next suspension point.
    void cancel() noexcept;
    bool cancelled() const noexcept { return cancelled_; }

    /// Returns once no task is left. Shields itself from cancellation: it must finish.
    asio::awaitable<void> join();

    bool empty() const noexcept { return tasks_.empty(); }
    std::size_t size() const noexcept { return tasks_.size(); }

private:
    asio::any_io_executor executor_;
    ExceptionHandler on_exception_;
    struct Task {
        asio::cancellation_signal cancellation;
        bool started{false};
    };
    asio::awaitable<void> run(std::list<Task>::iterator entry, asio::awaitable<void> task);

    std::list<Task> tasks_;
    asio::steady_timer idle_;  ///< cancelled when the last task ends
    bool cancelled_{false};
};

}  // namespace oavc::async
