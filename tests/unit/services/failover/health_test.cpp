#include "services/failover/health.hpp"

#include "async/deadline.hpp"
#include "services/errors.hpp"
#include "support/comes_true.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace oavc::services {
namespace {

using test::comes_true;
using testing::HasSubstr;
using State = CircuitBreaker::State;

/// A provider that answers its probes as the test says. Any thread.
struct Server {
    std::atomic<bool> down{false};
    std::atomic<bool> frozen{false};
    std::atomic<int> probes{0};
    std::shared_ptr<Provider> provider;

    Server(
        ServiceKind kind,
        const std::string& name,
        bool fallback = false,
        const std::string& where = "ws://there:1"
    )
        : provider{std::make_shared<Provider>(
              Provider::Identity{kind, name, fallback, where},
              BreakerConfig{.consecutive_failures = 3, .open_for = 60s}
          )} {}

    Watched watched() {
        return {provider, [this](async::Shard&) { return answer(*this); }};
    }
    static asio::awaitable<Result<void>> answer(Server& self) {
        ++self.probes;
        while (self.frozen)
            co_await async::sleep_for(5ms);
        if (self.down) co_return make_error_code(ServiceErrc::unavailable);
        co_return Result<void>{};
    }
};

class HealthTest : public testing::Test {
protected:
    async::Shard shard{0};
    Server stt{ServiceKind::stt, "vosk"};
    Server llm{ServiceKind::llm, "llama"};
    Server spare{ServiceKind::llm, "ollama", true};
    std::optional<HealthMonitor> monitor;

    HealthMonitor& start(milliseconds interval = 60s) {
        shard.start();
        std::vector<Watched> all{stt.watched(), llm.watched(), spare.watched()};
        monitor.emplace(std::move(all), interval, shard, log::Logger{});
        monitor->start();
        return *monitor;
    }
    ~HealthTest() override {
        if (monitor) monitor->stop();
        shard.drain_and_join();
    }
};

TEST_F(HealthTest, AsksEverybodyAtStart) {
    auto& health = start();
    EXPECT_TRUE(health.wait_for_first_answers(30s));
    EXPECT_TRUE(health.usable());
    EXPECT_EQ(stt.probes + llm.probes + spare.probes, 3);
    const auto seen = health.snapshot();
    ASSERT_EQ(seen.size(), 3u);
    EXPECT_TRUE(seen[0].usable);
    EXPECT_THAT(describe(seen[0]), HasSubstr("stt  vosk ws://there:1: answers ("));
    EXPECT_THAT(describe(seen[2]), HasSubstr("(fallback)"));
}

TEST_F(HealthTest, OneUsableProviderOfEachKindIsEnough) {
    llm.down = true;
    auto& health = start();
    EXPECT_TRUE(health.wait_for_first_answers(30s));
    EXPECT_TRUE(health.usable()) << "the fallback answers";
    EXPECT_THAT(describe(health.snapshot()[1]), HasSubstr("does not answer: service unavailable"));
}

TEST_F(HealthTest, AKindWithoutAUsableProviderIsNotHidden) {
    llm.down = true;
    spare.down = true;
    auto& health = start();
    EXPECT_TRUE(health.wait_for_first_answers(30s));
    EXPECT_FALSE(health.usable());
}

TEST_F(HealthTest, NothingIsKnownBeforeTheFirstAnswer) {
    stt.frozen = true;
    auto& health = start();
    EXPECT_FALSE(health.wait_for_first_answers(50ms));
    EXPECT_FALSE(health.usable());
    EXPECT_THAT(describe(health.snapshot()[0]), HasSubstr("no answer yet"));
    stt.frozen = false;
    EXPECT_TRUE(health.wait_for_first_answers(30s));
    EXPECT_TRUE(health.usable());
}

TEST_F(HealthTest, EnginesInThisProcessAreWaitedForAndNobodyElse) {
    Server own{ServiceKind::stt, "own", false, ""};
    own.frozen = true;
    llm.frozen = true;
    shard.start();
    std::vector<Watched> both{own.watched(), llm.watched()};
    monitor.emplace(std::move(both), 60s, shard, log::Logger{});
    monitor->start();
    EXPECT_FALSE(monitor->wait_for_own_engines(50ms));
    own.frozen = false;
    EXPECT_TRUE(monitor->wait_for_own_engines(30s));
    EXPECT_FALSE(monitor->wait_for_first_answers(0ms));
    llm.frozen = false;
    EXPECT_TRUE(monitor->wait_for_first_answers(30s));
    monitor->stop();
    monitor.reset();
}

TEST_F(HealthTest, ABrokenProviderThatAnswersAgainMayBeTriedBeforeItsTime) {
    llm.down = true;
    auto& health = start(20ms);
    EXPECT_TRUE(comes_true([&] { return llm.provider->snapshot().breaker == State::open; }))
        << "failed probes open the breaker: no caller has to find out";
    llm.down = false;
    EXPECT_TRUE(comes_true([&] { return llm.provider->snapshot().breaker == State::half_open; }));
    EXPECT_TRUE(health.snapshot()[1].usable);
}

TEST_F(HealthTest, ABusyProviderIsNotProbed) {
    start(100ms);
    EXPECT_TRUE(monitor->wait_for_first_answers(30s));
    constexpr auto between_turns = 5ms;
    const int before = stt.probes;
    const auto until = Clock::now() + 400ms;
    while (Clock::now() < until) {
        stt.provider->begin(Clock::now())->responded(10ms);
        std::this_thread::sleep_for(between_turns);
    }
    EXPECT_EQ(stt.probes, before);
    EXPECT_TRUE(comes_true([&] { return llm.probes >= 3; })) << "an idle one is";
}

TEST(Provider, TellsMetricsWhatHappened) {
    metrics::Registry registry;
    Provider provider{
        {ServiceKind::llm, "ollama", false, ""},
        BreakerConfig{.consecutive_failures = 1, .open_for = 10s},
        &registry};
    const TimePoint now = Clock::now();
    provider.begin(now)->responded(250ms);
    { const auto abandoned = provider.begin(now); }
    provider.begin(now)->failed(make_error_code(ServiceErrc::timed_out), now);
    EXPECT_FALSE(provider.begin(now));
    provider.count_failover();
    provider.count_hedge(true);
    provider.publish({{"reconnects", 2}, {"lost", 0.5, metrics::Count::Unit::audio_seconds}});
    const auto text = registry.text();
    for (const auto* line : {
             R"(oavc_provider_requests_total{kind="llm",outcome="ok",provider="ollama"} 1)",
             R"(oavc_provider_requests_total{kind="llm",outcome="timed_out",provider="ollama"} 1)",
             R"(oavc_provider_requests_total{kind="llm",outcome="abandoned",provider="ollama"} 1)",
             R"(oavc_provider_requests_total{kind="llm",outcome="failed",provider="ollama"} 0)",
             R"(oavc_provider_failovers_total{kind="llm",provider="ollama"} 1)",
             R"(oavc_provider_hedges_total{kind="llm",outcome="won",provider="ollama"} 1)",
             R"(oavc_provider_breaker_opened_total{kind="llm",provider="ollama"} 1)",
             R"(oavc_provider_breaker_state{kind="llm",provider="ollama",state="open"} 1)",
             R"(oavc_provider_breaker_state{kind="llm",provider="ollama",state="closed"} 0)",
             R"(oavc_provider_latency_seconds_bucket{kind="llm",provider="ollama",le="0.3"} 1)",
             R"(oavc_provider_usable{kind="llm",provider="ollama"} 0)",
             R"(oavc_provider_events_total{event="reconnects",kind="llm",provider="ollama"} 2)",
             R"(oavc_provider_audio_seconds_total{audio="lost",kind="llm",provider="ollama"} 0.5)",
         }) {
        EXPECT_THAT(text, HasSubstr(line));
    }
}

}  // namespace
}  // namespace oavc::services
