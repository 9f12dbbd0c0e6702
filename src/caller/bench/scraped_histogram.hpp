#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace oavc::caller::bench {

/// A histogram of the server's as its /metrics tells it (Prometheus text format 0.0.4): how many
/// values were at most as large as each bound. Seconds. Sans-I/O.
class ScrapedHistogram {
public:
    struct Bucket {
        double bound_s;       ///< values are at most this; the last one's is infinity
        std::uint64_t count;  ///< of all values up to `bound_s`, as Prometheus counts them
    };

    /// The series `name` without labels. Nothing: it is not there, or is no histogram.
    static std::optional<ScrapedHistogram> read(std::string_view metrics, std::string_view name);

    /// What came after `before` was read. Nothing: another histogram, or the server began anew.
    std::optional<ScrapedHistogram> since(const ScrapedHistogram& before) const;

    std::uint64_t count() const noexcept { return buckets_.empty() ? 0 : buckets_.back().count; }
    double mean_s() const noexcept;
    /// As Prometheus' histogram_quantile: even within a bucket, from 0 within the first, and the
    /// highest finite bound for what lies above it. 0 of no values.
    double percentile_s(double percent) const noexcept;
    const std::vector<Bucket>& buckets() const noexcept { return buckets_; }

private:
    std::vector<Bucket> buckets_;  ///< bounds ascend, counts never fall; at least two
    double sum_s_{0};
};

}  // namespace oavc::caller::bench
