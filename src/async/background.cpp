#include "async/background.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

namespace oavc::async {

namespace {

/// Keeps the group until its last task has ended.
asio::awaitable<void> outlive(std::shared_ptr<TaskGroup> tasks) { co_await tasks->join(); }

}  // namespace

Background::~Background() {
    tasks_->cancel();
    if (!tasks_->empty()) asio::co_spawn(executor_, outlive(std::move(tasks_)), asio::detached);
}

}  // namespace oavc::async
