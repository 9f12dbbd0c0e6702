#include "observability/process_metrics.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace oavc::metrics {
namespace {

constexpr std::string_view line =
    "4242 (o) a vc) S 1 4242 4242 0 -1 4194304 900 0 0 0 250 50 0 0 20 0 7 0 123456 104857600 "
    "2560 18446744073709551615 1 1 0 0 0 0 0 0 0\n";

TEST(ProcessStat, IsReadBehindANameWithBracketsAndBlanks) {
    const auto stat = parse_process_stat(line);
    ASSERT_TRUE(stat);
    EXPECT_EQ(stat->cpu_ticks, 300u);
    EXPECT_EQ(stat->threads, 7u);
    EXPECT_EQ(stat->start_ticks, 123456u);
    EXPECT_EQ(stat->virtual_bytes, 104857600u);
    EXPECT_EQ(stat->resident_pages, 2560u);
}

TEST(ProcessStat, IsNothingWhenCutShort) {
    const auto cut = line.find(" 2560 ");
    for (std::size_t size = 0; size <= cut; ++size)
        EXPECT_FALSE(parse_process_stat(line.substr(0, size))) << size;
    EXPECT_FALSE(parse_process_stat(""));
}

TEST(ProcessMetrics, AreThoseOfThisProcess) {
    Registry registry;
    ProcessMetrics process{registry};
    double burnt = 0;
    for (int i = 0; i < 30'000'000; ++i)
        burnt += static_cast<double>(i) * 1e-9;
    EXPECT_GT(burnt, 0);
    process.update();
    EXPECT_GT(registry.gauge("process_resident_memory_bytes", "").value(), 1e6);
    EXPECT_GT(registry.gauge("process_open_fds", "").value(), 2);
    EXPECT_GE(
        registry.gauge("process_max_fds", "").value(),
        registry.gauge("process_open_fds", "").value()
    );
    EXPECT_GE(registry.gauge("process_threads", "").value(), 1);
    EXPECT_GT(registry.counter("process_cpu_seconds_total", "").value(), 0);
    EXPECT_GT(registry.gauge("process_start_time_seconds", "").value(), 1.6e9);
}

}  // namespace
}  // namespace oavc::metrics
