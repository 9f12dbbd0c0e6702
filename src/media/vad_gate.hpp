#pragma once

#include "base/time.hpp"
#include "base/units.hpp"
#include "media/vad.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>

namespace oavc::media {

/// A sample's place in a stream: samples since the detector's first frame, at its rate.
using SamplePosition = std::uint64_t;

struct SpeechEvent {
    enum class Kind { started, stopped };
    Kind kind;
    SamplePosition first_voiced;  ///< where the first voiced audio of this speech begins
    SamplePosition last_voiced;   ///< where its last voiced audio so far ends (one past it)
    SamplePosition decided_at;    ///< end of the frame that settled it

    friend constexpr bool operator==(const SpeechEvent&, const SpeechEvent&) = default;
};

/// Turns per-frame decisions into "speech started" and "speech stopped", in sample time.
///
/// Starts once the voiced audio outweighs the unvoiced by `min_speech` (a leaky sum: a syllable's
/// short dip does not begin the count anew, a train of clicks never adds up). Stops after
/// `min_silence` of judged audio without a voiced sample. Either may be zero: at once. Audio that
/// was called unvoiced may be called voiced later: the onset is then where it was after all.
/// Sans-I/O; no allocation. Thread: its owner's.
class SpeechDetector {
public:
    /// `hang_over`: the engine's. Voiced audio of that length before a pause is taken for pause.
    SpeechDetector(
        SampleRate rate,
        milliseconds min_speech,
        milliseconds min_silence,
        milliseconds hang_over = milliseconds{0}
    ) noexcept;

    /// The engine's answer to the next frame of `frame_samples` samples. At most one event.
    std::optional<SpeechEvent> on_frame(VadDecisions decisions, std::size_t frame_samples) noexcept;

    bool speaking() const noexcept { return speaking_; }
    /// Some voiced audio was heard that is not (yet) enough for `started`.
    bool maybe_speaking() const noexcept { return !speaking_ && evidence_ > 0; }
    SamplePosition position() const noexcept { return position_; }
    /// End of the last voiced audio of the current or latest speech; 0: none yet. Steps back by the
    /// hang-over once a pause shows it.
    SamplePosition last_voiced() const noexcept { return last_voiced_; }

    /// Forgets a running or possible speech without an event; the position goes on.
    void reset() noexcept;

private:
    std::optional<SpeechEvent> on_voiced(SamplePosition begin, SamplePosition end) noexcept;
    void on_unvoiced(SamplePosition begin, SamplePosition end) noexcept;

    const std::uint64_t min_speech_;   ///< samples
    const std::uint64_t min_silence_;  ///< samples
    const std::uint64_t hang_over_;    ///< samples

    SamplePosition position_{0};      ///< samples consumed
    SamplePosition judged_{0};        ///< end of the audio judged so far
    SamplePosition voiced_to_{0};     ///< end of the voiced audio counted so far
    SamplePosition first_voiced_{0};  ///< of the running or possible speech
    SamplePosition last_voiced_{0};
    SamplePosition run_began_{0};  ///< of voiced audio without a gap
    bool in_run_{false};
    std::uint64_t evidence_{0};  ///< voiced minus unvoiced samples of a possible speech, ≥ 0
    bool speaking_{false};
};

}  // namespace oavc::media
