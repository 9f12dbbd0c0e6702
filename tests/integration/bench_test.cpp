// The load generator against the real server, both as they are run.

#include "caller/bench/run.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string_view>
#include <thread>
#include <utility>

namespace oavc::caller::bench {
namespace {

class Silent final : public BenchObserver {
public:
    explicit Silent(std::function<void()> while_measuring = {})
        : while_measuring_{std::move(while_measuring)} {}
    void on_phase(std::string_view) override {}
    void on_progress(std::string_view phase, const Engine&) override {
        if (phase == "measuring" && while_measuring_) while_measuring_();
    }
    void on_step(const Step&) override {}

private:
    std::function<void()> while_measuring_;
};

Options small_load() {
    Options options;
    options.mode = Options::Mode::calls;
    options.calls = 20;
    options.duration = 5s;
    options.warm_up = 1s;
    options.program = OAVC_BINARY;
    // A busy test machine is no reason to refuse.
    options.settings = {"limits.max_lag=0s", "vad.engine=webrtc"};
    return options;
}

TEST(Bench, MeasuresTwentyTalkingCallersOnTheWire) {
    Silent observer;
    const auto results = run_bench(small_load(), observer, [](Engine*) {});
    ASSERT_EQ(results.steps.size(), 1u) << results.verdict;
    const Figures& f = results.steps.front().figures;
    EXPECT_GE(f.answered, 20u);
    EXPECT_EQ(f.failed + f.dropped + f.refused, 0u);
    EXPECT_EQ(f.setup.count(), f.answered);
    EXPECT_NEAR(f.mean_calls(), 20, 2);
    EXPECT_GT(f.sent, 20u * 200);
    EXPECT_GT(f.received, 20u * 150);
    EXPECT_EQ(f.lost, 0u);
    EXPECT_EQ(f.wrong, 0u);
    EXPECT_GT(f.turns, 5u);
    EXPECT_GT(f.heard_latency.count(), 0u);
    // The end of a turn is waited for, and no reply takes longer than callers wait.
    EXPECT_GT(f.heard_latency.percentile(50), 100ms);
    EXPECT_LT(f.heard_latency.max(), 7s);
    // Of that only what follows the end of the turn is the connector's.
    ASSERT_TRUE(f.added.has_value());
    EXPECT_GT(f.added->count(), 0u);
    EXPECT_LT(f.added->percentile_s(50), to_ms(f.heard_latency.percentile(50)) / 1e3);
    EXPECT_GT(f.generator_cpu_seconds, 0);
    ASSERT_TRUE(f.server.has_value());
    EXPECT_GT(f.server->cpu_seconds, 0);
    EXPECT_GT(f.server->resident_bytes, 1'000'000u);
}

TEST(Bench, SaysNothingAboutTheServerWhenItStoodStillItself) {
    Silent observer{[] { std::this_thread::sleep_for(600ms); }};
    auto options = small_load();
    options.duration = 2s;
    const auto results = run_bench(options, observer, [](Engine*) {});
    ASSERT_EQ(results.steps.size(), 1u);
    EXPECT_THAT(results.steps.front().invalid, testing::HasSubstr("stood still"));
    EXPECT_THAT(results.verdict, testing::HasSubstr("not measured"));
}

TEST(Bench, MeasuresTheFloorInTheSameRun) {
    Silent observer;
    auto options = small_load();
    options.duration = 2s;
    options.reflector = true;
    options.repeat = 2;
    const auto results = run_bench(options, observer, [](Engine*) {});
    ASSERT_EQ(results.steps.size(), 4u) << results.verdict;
    EXPECT_EQ(results.steps[2].what, "server") << "in turns";
    EXPECT_EQ(results.steps[2].run, 2);
    const Step& floor = results.steps.back();
    EXPECT_EQ(floor.what, "reflector");
    EXPECT_NEAR(floor.figures.mean_calls(), 20, 2);
    EXPECT_EQ(floor.figures.lost, 0u);
    EXPECT_EQ(floor.shortfall.find("reply"), std::string::npos)
        << "a reflector answers nobody: " << floor.shortfall;
    ASSERT_TRUE(results.multiple_of_floor().has_value());
    EXPECT_GT(*results.multiple_of_floor(), 1.0) << "a server that does more costs more";
}

}  // namespace
}  // namespace oavc::caller::bench
