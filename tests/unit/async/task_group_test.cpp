#include "async/task_group.hpp"

#include "async/deadline.hpp"
#include "async/mailbox.hpp"
#include "async/shard.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <gtest/gtest.h>

#include <stdexcept>

namespace oavc::async {
namespace {

asio::awaitable<void> wait_for_item(Mailbox<int>& mailbox, Result<int>& result) {
    result = co_await mailbox.pop();
}

asio::awaitable<void> fail() {
    throw std::runtime_error{"bug"};
    co_return;
}

asio::awaitable<void> join_then_set(TaskGroup& group, bool& joined) {
    co_await group.join();
    joined = true;
}

asio::awaitable<void> pop_within(
    Mailbox<int>& mailbox, Clock::duration limit, Result<int>& result
) {
    result = co_await with_deadline(mailbox.pop(), limit);
}

TEST(TaskGroup, CancelEndsEveryTaskAndJoinReturns) {
    Shard shard{0};
    Mailbox<int> mailbox{shard.executor(), 4};
    Result<int> result{0};
    TaskGroup group{shard.executor(), [](std::exception_ptr) { FAIL(); }};
    group.spawn(wait_for_item(mailbox, result));
    shard.context().poll();
    EXPECT_EQ(group.size(), 1u);

    bool joined = false;
    asio::co_spawn(shard.context(), join_then_set(group, joined), asio::detached);
    group.cancel();
    shard.context().restart();
    shard.context().run();
    EXPECT_TRUE(joined);
    EXPECT_TRUE(group.empty());
    ASSERT_TRUE(result.has_error());
    EXPECT_EQ(result.error(), asio::error::operation_aborted);
}

TEST(TaskGroup, ReportsAnEscapedExceptionOnceAndGoesOn) {
    Shard shard{0};
    int exceptions = 0;
    TaskGroup group{shard.executor(), [&](std::exception_ptr) { ++exceptions; }};
    group.spawn(fail());
    shard.context().run();
    EXPECT_EQ(exceptions, 1);
    EXPECT_TRUE(group.empty());
}

TEST(TaskGroup, CancelBeforeTheTaskEverRanEndsItQuietly) {
    Shard shard{0};
    Mailbox<int> mailbox{shard.executor(), 4};
    Result<int> result{0};
    TaskGroup group{shard.executor(), [](std::exception_ptr) { FAIL(); }};
    group.spawn(wait_for_item(mailbox, result));
    group.cancel();
    EXPECT_NO_THROW(shard.context().run());
    EXPECT_TRUE(group.empty());
    EXPECT_TRUE(result.has_value()) << "it never ran";
}

TEST(TaskGroup, CancelAtAnyMomentOfATasksEndIsSafe) {
    for (int moment = 0; moment < 8; ++moment) {
        Shard shard{0};
        Mailbox<int> mailbox{shard.executor(), 4};
        Result<int> result{0};
        TaskGroup group{shard.executor(), [](std::exception_ptr) { FAIL(); }};
        group.spawn(wait_for_item(mailbox, result));
        shard.context().poll();
        mailbox.try_push(1);
        for (int step = 0; step < moment; ++step)
            shard.context().run_one();
        group.cancel();
        shard.context().restart();
        EXPECT_NO_THROW(shard.context().run());
        EXPECT_TRUE(group.empty());
    }
}

asio::awaitable<void> cancel_own_group(TaskGroup& group) {
    group.cancel();
    co_return;
}

TEST(TaskGroup, ATaskMayCancelItsOwnGroup) {
    Shard shard{0};
    TaskGroup group{shard.executor(), [](std::exception_ptr) { FAIL(); }};
    group.spawn(cancel_own_group(group));
    EXPECT_NO_THROW(shard.context().run());
    EXPECT_TRUE(group.empty());
}

TEST(Mailbox, DrainsWhatIsLeftAfterCloseThenFailsWithTheReason) {
    Shard shard{0};
    Mailbox<int> mailbox{shard.executor(), 2};
    EXPECT_TRUE(mailbox.try_push(1));
    EXPECT_TRUE(mailbox.try_push(2));
    EXPECT_FALSE(mailbox.try_push(3)) << "the bound";
    EXPECT_FALSE(mailbox.push_or_drop_oldest(4)) << "one was dropped";
    mailbox.close();
    std::vector<Result<int>> results(3, Result<int>{0});
    TaskGroup group{shard.executor(), [](std::exception_ptr) { FAIL(); }};
    for (auto& result : results) {
        group.spawn(wait_for_item(mailbox, result));
        shard.context().restart();
        shard.context().run();
    }
    EXPECT_EQ(*results[0], 2);
    EXPECT_EQ(*results[1], 4);
    EXPECT_EQ(results[2].error(), asio::error::eof);
}

TEST(WithDeadline, TimesOutAndCancelsTheWork) {
    Shard shard{0};
    Mailbox<int> mailbox{shard.executor(), 1};
    Result<int> result{0};
    TaskGroup group{shard.executor(), [](std::exception_ptr) { FAIL(); }};
    group.spawn(pop_within(mailbox, 1ms, result));
    shard.context().run();
    ASSERT_TRUE(result.has_error());
    EXPECT_EQ(result.error(), asio::error::timed_out);
}

}  // namespace
}  // namespace oavc::async
