#pragma once

#include "async/task_group.hpp"

#include <memory>
#include <utility>

namespace oavc::async {

/// Coroutines of an object that is destroyed without waiting for them. Destruction cancels them
/// and returns; they end by themselves soon after. So a task owns what it touches (shared_ptr) and
/// never refers to the object. Run the shard until it is idle before it goes. Thread: the shard's.
class Background {
public:
    Background(asio::any_io_executor executor, TaskGroup::ExceptionHandler on_exception)
        : executor_{executor},
          tasks_{std::make_shared<TaskGroup>(std::move(executor), std::move(on_exception))} {}
    Background(const Background&) = delete;
    Background& operator=(const Background&) = delete;
    ~Background();

    void spawn(asio::awaitable<void> task) { tasks_->spawn(std::move(task)); }
    bool empty() const noexcept { return tasks_->empty(); }

private:
    asio::any_io_executor executor_;
    std::shared_ptr<TaskGroup> tasks_;
};

}  // namespace oavc::async
