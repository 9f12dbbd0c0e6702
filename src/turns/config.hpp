#pragma once

#include "base/time.hpp"

#include <cstddef>

namespace oavc::turns {

/// [interruption]. The strategies run together; the first that is sure interrupts.
struct InterruptionConfig {
    bool enabled{true};
    bool use_vad{true};
    bool use_volume{true};
    bool use_min_words{true};
    milliseconds vad_duration{160};     ///< vad: speech for this long
    std::size_t min_words{2};           ///< min_words: this many recognised words (P180)
    double volume_threshold{0.6};       ///< volume: 0 … 1, see AudioLevel (P181)
    milliseconds volume_duration{300};  ///< volume: louder than the threshold for this long (P181)
    milliseconds protection{0};  ///< after our first sample nobody can interrupt for this long
    /// Paused for possible speech that no strategy confirms within this: we go on at the same
    /// sample.
    milliseconds resume_after{600};
};

/// [turns]: every wait and every longest stay of the turn machine.
struct TurnConfig {
    milliseconds endpoint_silence{500};  ///< silence that ends a turn
    milliseconds longest_utterance{30'000};
    milliseconds final_transcript{6'000};  ///< end of utterance → final transcript
    milliseconds first_token{8'000};       ///< transcript → first token of the reply
    milliseconds next_token{8'000};
    milliseconds first_audio{5'000};  ///< sentence → first audio
    milliseconds longest_reply{120'000};
    milliseconds idle_prompt{15'000};  ///< both silent: we ask whether the caller is there
    std::size_t idle_prompts{2};       ///< so often, then goodbye
    /// Between our last word and hanging up or transferring: the other side's jitter buffer still
    /// plays it.
    milliseconds last_word_pause{200};
    /// The carrier does not confirm that the last word was heard: we believe it after this.
    milliseconds last_word_timeout{3'000};
    milliseconds longest_action{120'000};  ///< a transfer, or keys that we press
};

}  // namespace oavc::turns
