#include "observability/metrics.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>

namespace oavc::metrics {
namespace {

using testing::HasSubstr;

TEST(Metrics, AreWrittenAsPrometheusReadsThem) {
    Registry registry;
    const auto calls = registry.counter("oavc_calls_total", "Calls.", {{"outcome", "ok"}});
    const auto active = registry.gauge("oavc_calls_active", "Calls now.");
    const auto latency = registry.histogram("oavc_wait_seconds", "Waits.", {0.5, 1});
    calls.add();
    calls.add(2);
    active.set(7);
    latency.observe(0.25);
    latency.observe(3.5);
    const auto text = registry.text();
    EXPECT_THAT(
        text, HasSubstr("# HELP oavc_calls_total Calls.\n# TYPE oavc_calls_total counter\n")
    );
    EXPECT_THAT(text, HasSubstr("oavc_calls_total{outcome=\"ok\"} 3\n"));
    EXPECT_THAT(text, HasSubstr("oavc_calls_active 7\n"));
    EXPECT_THAT(text, HasSubstr("oavc_wait_seconds_bucket{le=\"0.5\"} 1\n"));
    EXPECT_THAT(text, HasSubstr("oavc_wait_seconds_bucket{le=\"1\"} 1\n"));
    EXPECT_THAT(text, HasSubstr("oavc_wait_seconds_bucket{le=\"+Inf\"} 2\n"));
    EXPECT_THAT(text, HasSubstr("oavc_wait_seconds_sum 3.75\n"));
    EXPECT_THAT(text, HasSubstr("oavc_wait_seconds_count 2\n"));
    EXPECT_EQ(text.back(), '\n');
}

TEST(Metrics, TheSameNameAndLabelsAreTheSameSeries) {
    Registry registry;
    registry.counter("oavc_calls_total", "Calls.", {{"outcome", "ok"}}).add();
    registry.counter("oavc_calls_total", "Calls.", {{"outcome", "ok"}}).add();
    const auto other = registry.counter("oavc_calls_total", "Calls.", {{"outcome", "failed"}});
    EXPECT_EQ(registry.counter("oavc_calls_total", "Calls.", {{"outcome", "ok"}}).value(), 2);
    EXPECT_EQ(other.value(), 0);
}

TEST(Metrics, LabelValuesAreEscaped) {
    Registry registry;
    registry.gauge("oavc_thing", "A \"thing\".", {{"name", "a\"b\\c\nd"}}).set(1);
    EXPECT_THAT(registry.text(), HasSubstr(R"(oavc_thing{name="a\"b\\c\nd"} 1)"));
}

TEST(Metrics, WhatOthersCountIsTakenOver) {
    Registry registry;
    const auto counter = registry.counter("oavc_things_total", "Things.");
    counter.advance_to(5);
    counter.advance_to(5);
    counter.advance_to(3);  // a counter never falls
    EXPECT_EQ(counter.value(), 5);
    counter.advance_to(6);
    EXPECT_EQ(counter.value(), 6);
    const auto lag = registry.histogram("oavc_lag_seconds", "Lag.", {0.1, 1});
    lag.add({2, 1, 1}, 4.5);
    EXPECT_THAT(registry.text(), HasSubstr("oavc_lag_seconds_bucket{le=\"1\"} 3\n"));
    EXPECT_THAT(registry.text(), HasSubstr("oavc_lag_seconds_bucket{le=\"+Inf\"} 4\n"));
    EXPECT_THAT(registry.text(), HasSubstr("oavc_lag_seconds_sum 4.5\n"));
}

TEST(Metrics, HandlesOfNoRegistryDoNothing) {
    Counter{}.add();
    Counter{}.advance_to(1);
    Histogram{}.add({1}, 1);
    Gauge{}.set(1);
    Histogram{}.observe(1);
    EXPECT_EQ(Counter{}.value(), 0);
}

TEST(Metrics, NamesThatPrometheusForbidsAreRefused) {
    Registry registry;
    EXPECT_THROW(registry.counter("oavc calls", "Calls."), std::invalid_argument);
}

/// Prometheus's own judgement, where it is installed (Debian package prometheus).
TEST(Metrics, PassPromtool) {
    if (std::system("command -v promtool >/dev/null") != 0) GTEST_SKIP() << "no promtool here";
    Registry registry;
    registry.counter("oavc_calls_total", "Calls.", {{"outcome", "ok"}}).add();
    registry.gauge("oavc_calls_active", "Calls now.").set(1);
    registry.histogram("oavc_wait_seconds", "Waits.", turn_seconds).observe(0.3);
    const auto path = testing::TempDir() + "oavc_metrics.txt";
    std::ofstream{path} << registry.text();
    EXPECT_EQ(std::system(("promtool check metrics <" + path).c_str()), 0);
    std::remove(path.c_str());
}

}  // namespace
}  // namespace oavc::metrics
