#include "async/run_blocking.hpp"

#include <boost/asio/co_spawn.hpp>

#include <future>

namespace oavc::async {

void run_blocking(Shard& shard, asio::awaitable<void> work) {
    std::promise<void> promise;
    auto ended = promise.get_future();
    shard.post([&shard, &promise, task = std::move(work)]() mutable {
        asio::co_spawn(shard.context(), std::move(task), [&promise](std::exception_ptr error) {
            if (error) {
                promise.set_exception(error);
            } else {
                promise.set_value();
            }
        });
    });
    if (shard.on_thread()) {  // nobody else runs it
        while (ended.wait_for(std::chrono::seconds{0}) != std::future_status::ready) {
            shard.context().restart();
            shard.context().run_one_for(milliseconds{100});
        }
    }
    ended.get();
}

}  // namespace oavc::async
