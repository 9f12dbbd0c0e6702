#include "services/failover/circuit_breaker.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace oavc::services {
namespace {

using State = CircuitBreaker::State;

constexpr TimePoint t0{};
const BreakerConfig config{
    .consecutive_failures = 3,
    .failure_ratio = 0.5,
    .window = 10,
    .open_for = 10s,
    .longest_open = 60s,
};

/// One request that fails.
void fail(CircuitBreaker& breaker, TimePoint now) {
    const auto permit = breaker.try_begin(now);
    ASSERT_TRUE(permit);
    breaker.on_failure(*permit, now);
}
void succeed(CircuitBreaker& breaker, TimePoint now) {
    const auto permit = breaker.try_begin(now);
    ASSERT_TRUE(permit);
    breaker.on_success(*permit);
}

TEST(CircuitBreaker, OpensAfterFailuresInARow) {
    CircuitBreaker breaker{config};
    fail(breaker, t0);
    fail(breaker, t0);
    succeed(breaker, t0);
    fail(breaker, t0);
    fail(breaker, t0);
    EXPECT_EQ(breaker.state(), State::closed) << "a success between begins anew";
    fail(breaker, t0);
    EXPECT_EQ(breaker.state(), State::open);
    EXPECT_FALSE(breaker.try_begin(t0 + 9999ms));
}

TEST(CircuitBreaker, OpensWhenTooManyOfTheLatestFailed) {
    CircuitBreaker breaker{config};
    for (int i = 0; i < 4; ++i) {
        fail(breaker, t0);
        succeed(breaker, t0);
    }
    EXPECT_EQ(breaker.state(), State::closed) << "eight are too few to judge by";
    succeed(breaker, t0);
    fail(breaker, t0);
    EXPECT_EQ(breaker.state(), State::open) << "five of ten";
}

TEST(CircuitBreaker, ForgetsFailuresThatLeftTheWindow) {
    CircuitBreaker breaker{config};
    for (int i = 0; i < 4; ++i) {
        fail(breaker, t0);
        succeed(breaker, t0);
    }
    for (int i = 0; i < 10; ++i)
        succeed(breaker, t0);
    for (int i = 0; i < 4; ++i) {
        fail(breaker, t0);
        succeed(breaker, t0);
    }
    EXPECT_EQ(breaker.state(), State::closed) << "four of the latest ten";
}

TEST(CircuitBreaker, LetsExactlyOneRequestTryWhenTheWaitIsOver) {
    CircuitBreaker breaker{config};
    for (int i = 0; i < 3; ++i)
        fail(breaker, t0);
    EXPECT_EQ(breaker.open_until(), t0 + 10s);
    const auto permit = breaker.try_begin(t0 + 10s);
    ASSERT_TRUE(permit);
    EXPECT_EQ(breaker.state(), State::half_open);
    EXPECT_FALSE(breaker.try_begin(t0 + 11s)) << "one is enough";
    EXPECT_TRUE(breaker.on_success(*permit));
    EXPECT_EQ(breaker.state(), State::closed);
    fail(breaker, t0 + 12s);
    EXPECT_EQ(breaker.state(), State::closed) << "what was before is forgotten";
}

TEST(CircuitBreaker, ATryThatWasGivenUpFreesItsPlace) {
    CircuitBreaker breaker{config};
    for (int i = 0; i < 3; ++i)
        fail(breaker, t0);
    const auto permit = breaker.try_begin(t0 + 10s);
    ASSERT_TRUE(permit);
    breaker.on_abandoned(*permit);
    EXPECT_TRUE(breaker.try_begin(t0 + 10s));
}

TEST(CircuitBreaker, EachFailedTryDoublesTheWaitUpToTheLongest) {
    CircuitBreaker breaker{config};
    for (int i = 0; i < 3; ++i)
        fail(breaker, t0);
    auto now = t0;
    for (const auto wait : {10s, 20s, 40s, 60s, 60s}) {
        EXPECT_FALSE(breaker.try_begin(now + wait - 1ms));
        now += wait;
        fail(breaker, now);
    }
    succeed(breaker, now + 60s);
    now += 60s;
    for (int i = 0; i < 3; ++i)
        fail(breaker, now);
    EXPECT_EQ(breaker.open_until(), now + 10s) << "a success makes the wait short again";
}

TEST(CircuitBreaker, OutcomesOfRequestsFromBeforeTheChangeDoNotCount) {
    CircuitBreaker breaker{config};
    std::vector<CircuitBreaker::Permit> permits;
    for (int i = 0; i < 20; ++i)
        permits.push_back(*breaker.try_begin(t0));
    int opened = 0;
    for (const auto& permit : permits)
        opened += breaker.on_failure(permit, t0) ? 1 : 0;
    EXPECT_EQ(opened, 1);
    EXPECT_EQ(breaker.open_until(), t0 + 10s) << "the others did not prolong it";
    const auto trying = breaker.try_begin(t0 + 10s);
    ASSERT_TRUE(trying);
    breaker.on_success(permits[0]);
    EXPECT_EQ(breaker.state(), State::half_open) << "an old success says nothing about now";
    breaker.on_abandoned(permits[1]);
    EXPECT_FALSE(breaker.try_begin(t0 + 10s)) << "nor does it free the place of the one that tries";
}

TEST(CircuitBreaker, AnAnsweredProbeShortensTheWait) {
    CircuitBreaker breaker{config};
    breaker.on_probe_answered();
    EXPECT_EQ(breaker.state(), State::closed);
    for (int i = 0; i < 3; ++i)
        fail(breaker, t0);
    breaker.on_probe_answered();
    EXPECT_EQ(breaker.state(), State::half_open);
    EXPECT_TRUE(breaker.try_begin(t0 + 1s));
    EXPECT_FALSE(breaker.try_begin(t0 + 1s));
}

TEST(CircuitBreaker, IsSafeToUseFromAllShards) {
    CircuitBreaker breaker{config};
    std::atomic<int> allowed{0};
    {
        std::vector<std::jthread> shards;
        for (int shard = 0; shard < 4; ++shard) {
            shards.emplace_back([&] {
                for (int i = 0; i < 2000; ++i) {
                    const auto permit = breaker.try_begin(t0);
                    if (!permit) continue;
                    ++allowed;
                    breaker.on_failure(*permit, t0);
                }
            });
        }
    }
    EXPECT_EQ(breaker.state(), State::open);
    EXPECT_GE(allowed, 3);
    EXPECT_LE(allowed, 3 + 4) << "those that had begun already";
}

TEST(Latencies, GiveAPercentileOnceTheyKnowEnough) {
    Latencies latencies;
    for (int i = 1; i < 20; ++i)
        latencies.add(milliseconds{i});
    EXPECT_FALSE(latencies.p95());
    for (int i = 20; i <= 100; ++i)
        latencies.add(milliseconds{i});
    EXPECT_EQ(latencies.p95(), 95ms);
    for (int i = 0; i < 128; ++i)
        latencies.add(7ms);
    EXPECT_EQ(latencies.p95(), 7ms) << "what is long ago does not count";
}

}  // namespace
}  // namespace oavc::services
