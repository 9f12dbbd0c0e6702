// When a supply tells of attempts that failed, with attempts that end when the test wants.
#include "services/detail/warm_supply.hpp"

#include "async/signal.hpp"
#include "net/tcp.hpp"
#include "services/errors.hpp"
#include "support/run_shard.hpp"

#include <boost/asio/error.hpp>

#include <gtest/gtest.h>

#include <memory>

namespace oavc::services {
namespace {

using Connection = std::unique_ptr<net::TcpStream>;

/// One attempt to connect after another, each until `end`.
struct Attempts {
    explicit Attempts(async::Shard& shard) : over{shard.executor()} {}

    int begun{0};
    int ended{0};
    error_code error;
    async::Signal over;

    void end(error_code why) {
        error = why;
        ++ended;
        over.notify();
    }
    static asio::awaitable<Result<Connection>> make(std::shared_ptr<Attempts> self) {
        const int mine = ++self->begun;
        while (self->ended < mine) {
            const bool go_on = co_await self->over.wait();
            if (!go_on) break;
        }
        co_return self->error;
    }
};

class WarmSupplyTest : public testing::Test {
protected:
    ~WarmSupplyTest() override {
        supply_.reset();
        test::run_dry(shard_);
    }

    async::Shard shard_{0};
    std::shared_ptr<Attempts> attempts_{std::make_shared<Attempts>(shard_)};
    std::unique_ptr<WarmSupply<net::TcpStream>> supply_{
        std::make_unique<WarmSupply<net::TcpStream>>(shard_, [attempts = attempts_](async::Shard&) {
            return Attempts::make(attempts);
        })};
};

TEST_F(WarmSupplyTest, ARefusalFromBeforeSomebodyTookIsNoAnswerToHim) {
    ASSERT_TRUE(test::run_until(shard_, [&] { return attempts_->begun == 1; }));
    const auto taken = test::start(shard_, supply_->take());
    test::run_for(shard_, milliseconds{1});
    attempts_->end(asio::error::connection_refused);
    ASSERT_TRUE(test::run_until(shard_, [&] { return attempts_->begun == 2; })) << "at once";
    EXPECT_FALSE(taken->has_value());
    attempts_->end(asio::error::connection_refused);
    ASSERT_TRUE(test::run_until(shard_, [&] { return taken->has_value(); }));
    EXPECT_EQ((*taken)->error(), ServiceErrc::unavailable);
}

TEST_F(WarmSupplyTest, AServerThatIsSilentIsNotAskedTwice) {
    ASSERT_TRUE(test::run_until(shard_, [&] { return attempts_->begun == 1; }));
    const auto taken = test::start(shard_, supply_->take());
    test::run_for(shard_, milliseconds{1});
    attempts_->end(asio::error::timed_out);
    ASSERT_TRUE(test::run_until(shard_, [&] { return taken->has_value(); }));
    EXPECT_EQ((*taken)->error(), ServiceErrc::timed_out);
    EXPECT_EQ(attempts_->begun, 1);
}

}  // namespace
}  // namespace oavc::services
