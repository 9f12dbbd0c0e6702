#pragma once

#include "caller/bench/run.hpp"

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::caller::bench {

/// The figures of a step that people compare, as numbers. Durations are in milliseconds.
enum class Measure : std::size_t {
    calls,
    cpu_share,  ///< of one core
    cpu_ms_per_call_second,
    resident_bytes,
    bytes_per_call,
    setup_p50,
    setup_p99,
    heard_p50,
    heard_p95,
    heard_p99,
    added_p50,
    added_p95,
    added_p99,
    barge_in_p50,
    barge_in_p95,
    lost,
    underruns,
    jitter_p99,
    largest_gap,
    generator_cpu_share,
    count_of_measures,
};
inline constexpr auto measures = static_cast<std::size_t>(Measure::count_of_measures);

/// As scripts know it.
std::string_view name_of(Measure measure) noexcept;

/// One value per measure; NaN where there is none.
class Row {
public:
    Row() noexcept;
    explicit Row(const Figures& figures) noexcept;
    double& at(Measure m) noexcept { return values_[static_cast<std::size_t>(m)]; }
    double at(Measure m) const noexcept { return values_[static_cast<std::size_t>(m)]; }

private:
    std::array<double, measures> values_;
};

/// The middle one, or the mean of the two in the middle; NaN are left out, and of none it is NaN.
double median(std::vector<double> values) noexcept;

/// The runs of one step: the same server, calls and part. Borrows the results.
struct Repetition {
    std::string what;  ///< "server", or "reflector"
    std::size_t calls{0};
    int part{1};
    std::vector<const Step*> runs;

    /// Runs that the generator did not spoil: the only ones that anything is said of.
    std::vector<const Step*> measured() const;
    /// More than half of these were, and the server lived through all.
    bool good() const;
    /// Why it is not good; empty: it is. Without any measured run: why there is none.
    std::string verdict() const;
    /// Of each measure by itself.
    Row medians() const;
};

/// Everything but the steps of a search, in the order of measuring.
std::vector<Repetition> repetitions(const Results& results);

}  // namespace oavc::caller::bench
