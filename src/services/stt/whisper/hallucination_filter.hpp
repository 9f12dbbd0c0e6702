#pragma once

#include "services/stt/whisper/speech_span.hpp"
#include "services/stt/whisper/whisper_engine.hpp"

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::services::whisper {

/// Why nothing was taken from an utterance.
enum class DropReason {
    too_quiet,        ///< before decoding: nothing above min_level_dbfs
    too_short,        ///< before decoding: less speech than min_speech
    broken_text,      ///< no UTF-8
    low_probability,  ///< the model itself did not believe it
    too_fast,         ///< more text than anyone says in that time
    repetition,       ///< one phrase over and over
    known_phrase,     ///< what Whisper learnt from subtitles and says on silence
    prompt_echo,      ///< our own prompt, on quiet audio
};
inline constexpr std::array<std::string_view, 8> drop_reasons{
    "too_quiet",
    "too_short",
    "broken_text",
    "low_probability",
    "too_fast",
    "repetition",
    "known_phrase",
    "prompt_echo"};
constexpr std::string_view name_of(DropReason reason) noexcept {
    return drop_reasons[static_cast<std::size_t>(reason)];
}

/// Keeps out of the conversation what Whisper invents. On silence, noise, breathing and clips under
/// a second it writes what its training material held there: thanks for watching, credits of
/// subtitles, one phrase again and again. Does not look at no_speech_probability, which whisper.cpp
/// 1.9 does not compute. Sans-I/O, immutable, any thread.
class HallucinationFilter {
public:
    explicit HallucinationFilter(const FasterWhisperConfig& config);

    /// Is this worth a decode at all?
    std::optional<DropReason> before_decoding(const SpeechSpan& speech) const noexcept;

    struct Verdict {
        std::string text;                   ///< empty: nothing was recognised, or all of it dropped
        std::optional<DropReason> dropped;  ///< all of it, or the last segment that was
    };
    Verdict after_decoding(
        const Decoded& decoded, const SpeechSpan& speech, std::string_view prompt
    ) const;

private:
    std::optional<DropReason> judge(
        std::string_view text, const SpeechSpan& speech, std::string_view prompt
    ) const;

    const milliseconds min_speech_;
    const double min_level_dbfs_;
    const double min_log_probability_;
    std::vector<std::string> phrases_;  ///< folded, sorted
};

/// True when one word stands more than five times in a row, several words more than three times, or
/// a few letters over and over. Folded words.
bool repeats_itself(const std::vector<std::string>& words);

}  // namespace oavc::services::whisper
