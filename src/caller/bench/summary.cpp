#include "caller/bench/summary.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <utility>

namespace oavc::caller::bench {

namespace {

constexpr double none = std::numeric_limits<double>::quiet_NaN();

double percentile(const Histogram& histogram, double percent) noexcept {
    return histogram.count() == 0 ? none : to_ms(histogram.percentile(percent));
}

double percentile(const std::optional<ScrapedHistogram>& histogram, double percent) noexcept {
    return !histogram || histogram->count() == 0 ? none : histogram->percentile_s(percent) * 1e3;
}

}  // namespace

std::string_view name_of(Measure measure) noexcept {
    static constexpr std::array<std::string_view, measures> names{
        "mean_calls",
        "cpu_share",
        "cpu_ms_per_call_second",
        "resident_bytes",
        "bytes_per_call",
        "setup_ms_p50",
        "setup_ms_p99",
        "heard_latency_ms_p50",
        "heard_latency_ms_p95",
        "heard_latency_ms_p99",
        "added_latency_ms_p50",
        "added_latency_ms_p95",
        "added_latency_ms_p99",
        "barge_in_ms_p50",
        "barge_in_ms_p95",
        "lost",
        "underruns",
        "gap_deviation_ms_p99",
        "largest_gap_ms",
        "generator_cpu_share",
    };
    return names[static_cast<std::size_t>(measure)];
}

Row::Row() noexcept { values_.fill(none); }

Row::Row(const Figures& f) noexcept : Row{} {
    const double window = std::chrono::duration<double>(f.window).count();
    at(Measure::calls) = f.mean_calls();
    if (f.server) {
        at(Measure::cpu_share) = f.cpu_share();
        at(Measure::cpu_ms_per_call_second) = f.cpu_ms_per_call_second();
        at(Measure::resident_bytes) = static_cast<double>(f.server->resident_bytes);
    }
    if (const auto bytes = f.bytes_per_call(); bytes > 0)
        at(Measure::bytes_per_call) = static_cast<double>(bytes);
    at(Measure::setup_p50) = percentile(f.setup, 50);
    at(Measure::setup_p99) = percentile(f.setup, 99);
    at(Measure::heard_p50) = percentile(f.heard_latency, 50);
    at(Measure::heard_p95) = percentile(f.heard_latency, 95);
    at(Measure::heard_p99) = percentile(f.heard_latency, 99);
    at(Measure::added_p50) = percentile(f.added, 50);
    at(Measure::added_p95) = percentile(f.added, 95);
    at(Measure::added_p99) = percentile(f.added, 99);
    at(Measure::barge_in_p50) = percentile(f.barge_in, 50);
    at(Measure::barge_in_p95) = percentile(f.barge_in, 95);
    at(Measure::lost) = static_cast<double>(f.lost);
    at(Measure::underruns) = static_cast<double>(f.underruns);
    at(Measure::jitter_p99) = percentile(f.deviation, 99);
    at(Measure::largest_gap) = to_ms(std::max(f.largest_gap, f.longest_underrun));
    if (window > 0) at(Measure::generator_cpu_share) = f.generator_cpu_seconds / window;
}

double median(std::vector<double> values) noexcept {
    std::erase_if(values, [](double value) { return std::isnan(value); });
    if (values.empty()) return none;
    std::sort(values.begin(), values.end());
    const std::size_t middle = values.size() / 2;
    return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

std::vector<const Step*> Repetition::measured() const {
    std::vector<const Step*> out;
    std::copy_if(runs.begin(), runs.end(), std::back_inserter(out), [](const Step* run) {
        return run->invalid.empty();
    });
    return out;
}

bool Repetition::good() const { return verdict().empty(); }

std::string Repetition::verdict() const {
    const auto of_runs = [this](std::size_t count, std::string_view why) {
        if (runs.size() == 1) return std::string{why};
        return fmt::format("{} of {} runs: {}", count, runs.size(), why);
    };
    for (const Step* step : runs) {
        if (!step->figures.server) return of_runs(1, step->shortfall);
    }
    const auto valid = measured();
    if (valid.empty()) return "not measured: " + runs.front()->invalid;
    std::size_t bad = 0;
    std::string_view why;
    for (const Step* step : valid) {
        if (step->good()) continue;
        if (bad++ == 0) why = step->shortfall;
    }
    return 2 * bad < valid.size() ? std::string{} : of_runs(bad, why);
}

Row Repetition::medians() const {
    std::vector<Row> rows;
    for (const Step* step : measured())
        rows.emplace_back(step->figures);
    Row out;
    for (std::size_t i = 0; i < measures; ++i) {
        const auto measure = static_cast<Measure>(i);
        std::vector<double> values;
        for (const Row& row : rows)
            values.push_back(row.at(measure));
        out.at(measure) = median(std::move(values));
    }
    return out;
}

std::vector<Repetition> repetitions(const Results& results) {
    std::vector<Repetition> out;
    for (const Step& step : results.steps) {
        if (step.run == 0) continue;
        auto found = std::find_if(out.begin(), out.end(), [&step](const Repetition& r) {
            return r.what == step.what && r.calls == step.figures.target && r.part == step.part;
        });
        if (found == out.end()) {
            out.push_back({step.what, step.figures.target, step.part, {}});
            found = out.end() - 1;
        }
        found->runs.push_back(&step);
    }
    return out;
}

}  // namespace oavc::caller::bench
