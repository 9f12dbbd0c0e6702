#include "caller/bench/scraped_histogram.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>
#include <system_error>

namespace oavc::caller::bench {

namespace {

constexpr std::size_t most_buckets = 200;

std::optional<double> number(std::string_view text) {
    if (text == "+Inf") return HUGE_VAL;
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value))
        return std::nullopt;
    return value;
}

}  // namespace

std::optional<ScrapedHistogram> ScrapedHistogram::read(
    std::string_view metrics, std::string_view name
) {
    const std::string bucket = std::string{name} + "_bucket{le=\"";
    const std::string sum = std::string{name} + "_sum ";
    ScrapedHistogram out;
    while (!metrics.empty()) {
        auto line = metrics.substr(0, metrics.find('\n'));
        metrics.remove_prefix(std::min(line.size() + 1, metrics.size()));
        if (line.starts_with(sum)) {
            const auto value = number(line.substr(sum.size()));
            if (!value) return std::nullopt;
            out.sum_s_ = *value;
        }
        if (!line.starts_with(bucket)) continue;
        line.remove_prefix(bucket.size());
        constexpr std::string_view after_bound = "\"} ";
        const auto end = line.find(after_bound);
        if (end == std::string_view::npos || out.buckets_.size() == most_buckets)
            return std::nullopt;
        const auto bound = number(line.substr(0, end));
        const auto count = number(line.substr(end + after_bound.size()));
        // What a double holds exactly.
        if (!bound || !count || *count < 0 || *count > 0x1p53) return std::nullopt;
        const auto values = static_cast<std::uint64_t>(*count);
        if (!out.buckets_.empty() &&
            (*bound <= out.buckets_.back().bound_s || values < out.buckets_.back().count))
            return std::nullopt;
        out.buckets_.push_back({*bound, values});
    }
    if (out.buckets_.size() < 2 || !std::isinf(out.buckets_.back().bound_s)) return std::nullopt;
    return out;
}

std::optional<ScrapedHistogram> ScrapedHistogram::since(const ScrapedHistogram& before) const {
    if (before.buckets_.size() != buckets_.size()) return std::nullopt;
    ScrapedHistogram out = *this;
    out.sum_s_ -= before.sum_s_;
    std::uint64_t below = 0;
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
        const Bucket& then = before.buckets_[i];
        Bucket& bucket = out.buckets_[i];
        if (then.bound_s != bucket.bound_s || then.count > bucket.count) return std::nullopt;
        bucket.count -= then.count;
        if (bucket.count < below) return std::nullopt;
        below = bucket.count;
    }
    return out;
}

double ScrapedHistogram::mean_s() const noexcept {
    return count() == 0 ? 0 : sum_s_ / static_cast<double>(count());
}

double ScrapedHistogram::percentile_s(double percent) const noexcept {
    if (count() == 0) return 0;
    const double rank = percent / 100 * static_cast<double>(count());
    const auto in = std::find_if(buckets_.begin(), buckets_.end(), [rank](const Bucket& bucket) {
        return static_cast<double>(bucket.count) >= rank && bucket.count > 0;
    });
    const auto last = buckets_.end() - 1;
    if (in >= last) return (last - 1)->bound_s;
    const double low = in == buckets_.begin() ? 0 : (in - 1)->bound_s;
    const double below = in == buckets_.begin() ? 0 : static_cast<double>((in - 1)->count);
    const double inside = static_cast<double>(in->count) - below;
    return low + (in->bound_s - low) * (inside > 0 ? (rank - below) / inside : 1);
}

}  // namespace oavc::caller::bench
