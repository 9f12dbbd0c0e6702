#pragma once

#include "base/time.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace oavc::caller::bench {

/// Durations from 1 µs to 71 minutes, in buckets that are at most 1/64 of their value wide: a
/// percentile is off by 0.8 % at most. Below 64 µs every microsecond has its own. What is longer
/// counts as the longest. Fixed size, mergeable, never allocates.
class Histogram {
public:
    void add(Clock::duration value) noexcept {
        const auto count = std::chrono::duration_cast<microseconds>(value).count();
        const auto us = static_cast<std::uint64_t>(std::clamp<std::int64_t>(count, 0, longest));
        ++buckets_[bucket_of(us)];
        ++count_;
        sum_us_ += us;
        max_us_ = std::max(max_us_, us);
    }

    void merge(const Histogram& other) noexcept {
        for (std::size_t i = 0; i < buckets_.size(); ++i)
            buckets_[i] += other.buckets_[i];
        count_ += other.count_;
        sum_us_ += other.sum_us_;
        max_us_ = std::max(max_us_, other.max_us_);
    }

    std::uint64_t count() const noexcept { return count_; }
    microseconds max() const noexcept { return as_duration(max_us_); }
    microseconds mean() const noexcept { return as_duration(count_ == 0 ? 0 : sum_us_ / count_); }

    /// `percent` of the values are at or below the result (nearest rank; the middle of its bucket,
    /// but never more than max()). 0 of no values.
    microseconds percentile(double percent) const noexcept {
        if (count_ == 0) return microseconds{0};
        const auto wanted = std::max<std::uint64_t>(
            1, static_cast<std::uint64_t>(std::ceil(percent / 100.0 * static_cast<double>(count_)))
        );
        std::uint64_t seen = 0;
        for (std::size_t i = 0; i < buckets_.size(); ++i) {
            seen += buckets_[i];
            if (seen >= wanted) return as_duration(std::min(middle_of(i), max_us_));
        }
        return max();
    }

private:
    static constexpr unsigned sub_bits = 6;
    static constexpr std::uint64_t sub_buckets = 1U << sub_bits;
    static constexpr std::int64_t longest = (std::int64_t{1} << 32) - 1;

    static constexpr std::size_t bucket_of(std::uint64_t us) noexcept {
        if (us < sub_buckets) return static_cast<std::size_t>(us);
        const auto shift = static_cast<unsigned>(std::bit_width(us)) - 1 - sub_bits;
        return static_cast<std::size_t>((shift + 1) * sub_buckets + ((us >> shift) - sub_buckets));
    }
    static constexpr std::uint64_t middle_of(std::size_t bucket) noexcept {
        if (bucket < sub_buckets) return bucket;
        const auto shift = bucket / sub_buckets - 1;
        const std::uint64_t low = (bucket % sub_buckets + sub_buckets) << shift;
        return low + ((std::uint64_t{1} << shift) >> 1);
    }
    static microseconds as_duration(std::uint64_t us) noexcept {
        return microseconds{static_cast<std::int64_t>(us)};
    }

    // 32 bits of value: 26 octaves above the linear part.
    std::array<std::uint64_t, sub_buckets * (32 - sub_bits + 1)> buckets_{};
    std::uint64_t count_{0};
    std::uint64_t sum_us_{0};
    std::uint64_t max_us_{0};
};

}  // namespace oavc::caller::bench
