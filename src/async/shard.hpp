#pragma once

#include "async/tick.hpp"
#include "base/time.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <cstddef>
#include <optional>
#include <thread>
#include <utility>

namespace oavc::async {

/// One single-threaded io_context. A call lives on one shard from its first byte to its last, so
/// call code has no mutex, strand or atomic. Another thread reaches it by `post` and nothing else.
/// Tests never call `start`: they drive `context()` with poll() on their own thread.
class Shard {
public:
    explicit Shard(std::size_t index);
    Shard(const Shard&) = delete;
    Shard& operator=(const Shard&) = delete;
    ~Shard();  ///< Stops and joins the thread if it runs.

    std::size_t index() const noexcept { return index_; }
    boost::asio::io_context& context() noexcept { return context_; }
    boost::asio::any_io_executor executor() noexcept { return context_.get_executor(); }

    /// Runs the shard on a thread of its own until `stop`.
    void start();
    /// Lets the thread end once no work is left, and waits for it. Everything that lives on the
    /// shard must have been cancelled before, or this waits for it.
    void drain_and_join();
    /// Ends the thread now, dropping what is queued.
    void stop();

    /// True on the shard's own thread (always true while it was never started: tests).
    bool on_thread() const noexcept;

    /// Runs `f` on the shard, later. `f` may be move-only. Callable from any thread.
    template <class F>
    void post(F&& f) {
        boost::asio::post(context_, std::forward<F>(f));
    }

    /// Starts calling `client` every 20 ms. Thread: the shard's.
    void add_tick(TickClient& client) noexcept;
    void remove_tick(TickClient& client) noexcept;
    /// As TickWheel::move.
    void move_tick(TickClient& client, std::size_t steps) noexcept { ticks_.move(client, steps); }
    const TickWheel& ticks() const noexcept { return ticks_; }

private:
    void arm_timer() noexcept;

    const std::size_t index_;
    boost::asio::io_context context_{1};
    std::optional<boost::asio::executor_work_guard<boost::asio::io_context::executor_type>> work_;
    boost::asio::steady_timer timer_;
    bool timer_armed_{false};
    TickWheel ticks_;
    std::thread thread_;
};

}  // namespace oavc::async
