#include "async/task_group.hpp"

#include "base/assert.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>

namespace oavc::async {

namespace {

/// Cancellation surfaces as operation_aborted where a task used a throwing await.
bool is_cancellation(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const boost::system::system_error& e) {
        return e.code() == asio::error::operation_aborted;
    } catch (...) {
        return false;
    }
}

}  // namespace

TaskGroup::TaskGroup(asio::any_io_executor executor, ExceptionHandler on_exception)
    : executor_{std::move(executor)}, on_exception_{std::move(on_exception)}, idle_{executor_} {
    idle_.expires_at(asio::steady_timer::time_point::max());
}

TaskGroup::~TaskGroup() { OAVC_ASSERT(tasks_.empty()); }

void TaskGroup::spawn(asio::awaitable<void> task) {
    if (cancelled_) return;
    const auto entry = tasks_.emplace(tasks_.end());
    asio::co_spawn(
        executor_,
        run(entry, std::move(task)),
        asio::bind_cancellation_slot(
            entry->cancellation.slot(),
            [this, entry](std::exception_ptr error) {
                if (error && !is_cancellation(error)) on_exception_(error);
                // A cancellation that was asked for outside of the executor's thread (tests) may
                // still be on its way to the entry; a later one would come too late.
                entry->started = false;
                asio::post(executor_, [this, entry] {
                    tasks_.erase(entry);
                    if (tasks_.empty()) idle_.cancel();
                });
            }
        )
    );
}

/// Asio 1.81's co_spawn awaits a post of its own where a coroutine ended without having been
/// suspended. Were it cancelled by then, that await would throw out of io_context::run. So nothing
/// is cancelled before it started, and the cancellation is taken back at the end.
asio::awaitable<void> TaskGroup::run(std::list<Task>::iterator entry, asio::awaitable<void> task) {
    entry->started = true;
    if (cancelled_) co_return;
    std::exception_ptr error;
    try {
        co_await std::move(task);
    } catch (...) {
        error = std::current_exception();
    }
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    if (error) std::rethrow_exception(error);
}

void TaskGroup::cancel() noexcept {
    cancelled_ = true;
    // A task may end, and erase its entry, while its signal is emitted.
    for (auto it = tasks_.begin(); it != tasks_.end();) {
        const auto current = it++;
        if (current->started) current->cancellation.emit(asio::cancellation_type::terminal);
    }
}

asio::awaitable<void> TaskGroup::join() {
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    while (!tasks_.empty()) {
        co_await idle_.async_wait(as_result);
    }
}

}  // namespace oavc::async
