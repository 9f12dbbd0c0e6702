#include "caller/bench/figures.hpp"

#include <fmt/format.h>

namespace oavc::caller::bench {

namespace {

/// A slot that is this late delays packets visibly; one in a hundred may be.
constexpr milliseconds late_slot{5};
/// Beyond this nothing is left for reading and sending in time.
constexpr double busiest_generator = 0.95;

}  // namespace

void Figures::add_calls_of(const Figures& before) noexcept {
    placed += before.placed;
    answered += before.answered;
    refused += before.refused;
    failed += before.failed;
    dropped += before.dropped;
    setup.merge(before.setup);
    refusal.merge(before.refusal);
    first_audio.merge(before.first_audio);
}

std::string Figures::invalid_because() const {
    if (skipped_slots > 0) {
        return fmt::format("the generator stood still and skipped {} ms", skipped_slots);
    }
    if (receive_drops > 0) {
        return fmt::format(
            "the generator read too late: the kernel dropped {} packets", receive_drops
        );
    }
    if (send_errors > 0) return fmt::format("the kernel refused {} of our packets", send_errors);
    if (lateness.percentile(99) > late_slot) {
        return fmt::format(
            "the generator was late: {:.1f} ms at the 99th percentile",
            to_ms(lateness.percentile(99))
        );
    }
    const double seconds = std::chrono::duration<double>(window).count();
    if (seconds > 0 && generator_cpu_seconds / seconds > busiest_generator) {
        return fmt::format(
            "the generator's own core was full ({:.0f} %)", generator_cpu_seconds / seconds * 100
        );
    }
    return {};
}

std::string shortfall(const Figures& figures, const Criteria& criteria) {
    if (figures.failed > 0) return fmt::format("{} calls failed", figures.failed);
    if (figures.dropped > 0) return fmt::format("{} calls were dropped", figures.dropped);
    if (figures.refused > 0) return fmt::format("{} calls were refused", figures.refused);
    if (figures.wrong > 0) return fmt::format("{} packets were not the call's", figures.wrong);
    if (figures.lost > criteria.max_lost) return fmt::format("{} packets lost", figures.lost);
    if (figures.underruns > criteria.max_underruns) {
        return fmt::format(
            "{} gaps in the callers' ears, the longest of {:.0f} ms",
            figures.underruns,
            to_ms(figures.longest_underrun)
        );
    }
    const auto deviation = figures.deviation.percentile(99);
    if (deviation > criteria.max_deviation_p99) {
        return fmt::format("jitter {:.1f} ms at the 99th percentile", to_ms(deviation));
    }
    const auto heard = figures.heard_latency.percentile(95);
    if (heard > criteria.max_heard_p95) {
        return fmt::format("replies after {:.0f} ms at the 95th percentile", to_ms(heard));
    }
    if (static_cast<double>(figures.unanswered) >
        criteria.max_unanswered_share * static_cast<double>(figures.turns)) {
        return fmt::format("{} of {} turns without a reply", figures.unanswered, figures.turns);
    }
    return {};
}

}  // namespace oavc::caller::bench
