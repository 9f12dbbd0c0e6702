#include "caller/measure.hpp"

#include "base/units.hpp"
#include "media/level.hpp"

#include <algorithm>
#include <cmath>

namespace oavc::caller {

void Activity::add(TimePoint at, media::Samples samples) {
    for (std::size_t i = 0; i < samples.size(); i += window_samples) {
        const auto window = samples.subspan(i, std::min(window_samples, samples.size() - i));
        if (!media::is_voiced(window)) continue;
        const TimePoint begin = at + duration_of(i, narrowband);
        const TimePoint end = begin + duration_of(window.size(), narrowband);
        if (!spans_.empty() && begin - spans_.back().end <= bridge) {
            spans_.back().end = std::max(spans_.back().end, end);
        } else {
            spans_.push_back({begin, end});
        }
    }
}

std::optional<TimePoint> Activity::last_voiced() const noexcept {
    if (spans_.empty()) return std::nullopt;
    return spans_.back().end;
}

std::optional<TimePoint> Activity::first_voiced(TimePoint from, TimePoint until) const noexcept {
    for (const VoicedSpan& span : spans_) {
        if (span.end <= from) continue;
        const TimePoint first = std::max(span.begin, from);
        if (first >= until) break;
        return first;
    }
    return std::nullopt;
}

std::optional<TimePoint> Activity::first_onset(TimePoint from, TimePoint until) const noexcept {
    for (const VoicedSpan& span : spans_) {
        if (span.begin >= until) break;
        if (span.begin >= from) return span.begin;
    }
    return std::nullopt;
}

std::optional<TimePoint> Activity::last_voiced(TimePoint from, TimePoint until) const noexcept {
    std::optional<TimePoint> last;
    for (const VoicedSpan& span : spans_) {
        if (span.begin >= until) break;
        if (span.end > from) last = std::min(span.end, until);
    }
    return last;
}

Clock::duration Activity::voiced_within(TimePoint from, TimePoint until) const noexcept {
    Clock::duration total{0};
    for (const VoicedSpan& span : spans_) {
        const TimePoint begin = std::max(span.begin, from);
        const TimePoint end = std::min(span.end, until);
        if (begin < end) total += end - begin;
    }
    return total;
}

std::optional<TimePoint> Activity::stops_after(
    TimePoint from, Clock::duration pause, TimePoint until
) const noexcept {
    std::optional<TimePoint> end;
    for (const VoicedSpan& span : spans_) {
        if (span.begin <= from) {
            if (from - span.end <= pause)
                end = span.end;  // spans are in order: the last one counts
        } else if (end && span.begin - *end <= pause && span.begin < until) {
            end = span.end;
        } else {
            break;
        }
    }
    return end;
}

std::vector<MeasuredTurn> measure_turns(
    std::span<const SpokenUtterance> utterances,
    const Activity& sent,
    const Activity& heard,
    TimePoint end
) {
    std::vector<MeasuredTurn> turns(utterances.size() + 1);
    turns[0].reply_begin = heard.first_voiced(TimePoint::min(), end);
    for (std::size_t i = 0; i < utterances.size(); ++i) {
        const SpokenUtterance& utterance = utterances[i];
        MeasuredTurn& before = turns[i];
        MeasuredTurn& turn = turns[i + 1];
        const TimePoint next = i + 1 < utterances.size() ? utterances[i + 1].begin : end;
        turn.first_sent = sent.first_voiced(utterance.begin, utterance.end);
        turn.last_sent = sent.last_voiced(utterance.begin, utterance.end);
        if (!turn.first_sent || !turn.last_sent) continue;

        TimePoint from = *turn.last_sent;
        if (utterance.interrupts) {
            const TimePoint onset = *turn.first_sent;
            if (const auto stopped = heard.stops_after(onset, reply_pause, *turn.last_sent)) {
                before.interrupted = true;
                before.barge_in = std::max(Clock::duration{0}, *stopped - onset);
                before.leaked = heard.voiced_within(*stopped, *turn.last_sent);
                from = std::max(from, *stopped);
            }
        }
        turn.reply_begin = heard.first_onset(from, next);
        if (turn.reply_begin) turn.heard_latency = *turn.reply_begin - *turn.last_sent;
    }
    for (std::size_t i = 0; i < turns.size(); ++i) {
        if (!turns[i].reply_begin) continue;
        TimePoint until = i < utterances.size() ? utterances[i].begin : end;
        if (turns[i].interrupted) until = *turns[i + 1].first_sent + *turns[i].barge_in;
        if (*turns[i].reply_begin >= until) {
            turns[i].reply_begin.reset(
            );  // began only after the next utterance had: not this one's
            continue;
        }
        turns[i].reply_end = heard.last_voiced(*turns[i].reply_begin, until);
    }
    return turns;
}

void RtpMeter::on_packet(
    std::uint16_t sequence_number, std::uint32_t timestamp, TimePoint arrived
) noexcept {
    if (received_ == 0) {
        first_ = highest_ = 0x10000U + sequence_number;  // one cycle of room for early reordering
    } else {
        const auto step = static_cast<std::int16_t>(
            static_cast<std::uint16_t>(sequence_number - static_cast<std::uint16_t>(highest_))
        );
        if (step > 0) highest_ += static_cast<std::uint32_t>(step);
        max_gap_ms_ = std::max(max_gap_ms_, to_ms(arrived - last_arrival_));
        const double transit_change =
            to_ms(arrived - last_arrival_) * 8.0 -
            static_cast<double>(static_cast<std::int32_t>(timestamp - last_timestamp_));
        jitter_ += (std::abs(transit_change) - jitter_) / 16.0;
    }
    ++received_;
    last_arrival_ = arrived;
    last_timestamp_ = timestamp;
}

std::uint64_t RtpMeter::lost() const noexcept {
    if (received_ == 0) return 0;
    const std::uint64_t expected = std::uint64_t{highest_} - first_ + 1;
    return expected > received_ ? expected - received_ : 0;
}

double percentile(std::vector<double> values, double percent) {
    if (values.empty()) return 0;
    std::sort(values.begin(), values.end());
    const double rank = std::ceil(percent / 100.0 * static_cast<double>(values.size()));
    const auto index = static_cast<std::size_t>(std::max(1.0, rank)) - 1;
    return values[std::min(index, values.size() - 1)];
}

}  // namespace oavc::caller
