#include "net/detail/socket_poller.hpp"

#include "async/shard.hpp"
#include "support/run_shard.hpp"

#include <gtest/gtest.h>

namespace oavc::net::detail {
namespace {

/// Asks for another turn in each of its own, as a connection with more to read does.
struct Tireless final : SocketPoller::Client {
    explicit Tireless(SocketPoller& on) : poller{on} {}
    void on_ready() noexcept override {}
    void on_flush() noexcept override {
        if (++turns < 1000) poller.flush_soon(*this);
    }
    SocketPoller& poller;
    int turns{0};
};

TEST(SocketPoller, WhoAsksForTurnAfterTurnLetsTheShardWorkBetweenThem) {
    async::Shard shard{0};
    const auto poller = SocketPoller::make(shard.context());
    Tireless client{*poller};
    poller->flush_soon(client);
    int turns_before_another = -1;
    shard.post([&] { turns_before_another = client.turns; });
    EXPECT_TRUE(test::run_until(shard, [&] { return client.turns == 1000; }));
    EXPECT_EQ(turns_before_another, 1);
}

TEST(SocketPoller, WhoIsForgottenHasNoTurnEvenIfItAskedAgainWithinIts) {
    async::Shard shard{0};
    const auto poller = SocketPoller::make(shard.context());
    Tireless first{*poller};
    Tireless second{*poller};
    poller->flush_soon(first);
    poller->flush_soon(second);
    shard.context().run_one();
    EXPECT_EQ(first.turns, 1);
    EXPECT_EQ(second.turns, 1);
    poller->forget(first);
    EXPECT_TRUE(test::run_until(shard, [&] { return second.turns == 1000; }));
    EXPECT_EQ(first.turns, 1);
}

}  // namespace
}  // namespace oavc::net::detail
