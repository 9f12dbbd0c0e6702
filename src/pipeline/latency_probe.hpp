#pragma once

#include "base/time.hpp"
#include "pipeline/events.hpp"

#include <algorithm>
#include <optional>

namespace oavc::pipeline {

/// Stamps of one turn on the media clock, and the split of its latency. Each stage begins where the
/// one before ended, so the parts add up to the whole by construction; a stamp that never came (a
/// canned line needs no model) gives its stage zero.
class LatencyProbe {
public:
    void begin(TimePoint last_voiced) noexcept {
        *this = LatencyProbe{};
        last_voiced_ = last_voiced;
    }
    bool running() const noexcept { return last_voiced_.has_value(); }
    void on_turn_ended(TimePoint now) noexcept { endpoint_ = now; }
    void on_final(TimePoint now) noexcept { final_ = now; }
    void on_sentence(TimePoint now) noexcept {
        if (!sentence_) sentence_ = now;
    }
    void on_audio(TimePoint now) noexcept {
        if (!audio_) audio_ = now;
    }

    /// The first voiced sample leaves at `out`. Ends the turn's measurement.
    TurnLatency on_voiced_out(TimePoint out) noexcept {
        TurnLatency latency;
        TimePoint reached = *last_voiced_;
        const auto stage = [&](const std::optional<TimePoint>& end) {
            const auto until = std::clamp(end.value_or(reached), reached, std::max(out, reached));
            const auto length = std::chrono::duration_cast<microseconds>(until - reached);
            reached = until;
            return length;
        };
        latency.endpointing = stage(endpoint_);
        latency.stt = stage(final_);
        latency.llm = stage(sentence_);
        latency.tts = stage(audio_);
        latency.playout = stage(out);
        latency.heard = std::chrono::duration_cast<microseconds>(out - *last_voiced_);
        last_voiced_.reset();
        return latency;
    }

    void cancel() noexcept { last_voiced_.reset(); }

private:
    std::optional<TimePoint> last_voiced_;
    std::optional<TimePoint> endpoint_;
    std::optional<TimePoint> final_;
    std::optional<TimePoint> sentence_;
    std::optional<TimePoint> audio_;
};

}  // namespace oavc::pipeline
