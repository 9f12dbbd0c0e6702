#include "services/stt/whisper/hallucination_filter.hpp"

#include "services/detail/words.hpp"
#include "services/stt/whisper/text.hpp"

#include <algorithm>

namespace oavc::services::whisper {

namespace {

/// What no caller says as a whole utterance. A bare "thank you" is not here: callers do say that.
constexpr std::array<std::string_view, 20> known_phrases{
    // English
    "thanks for watching",
    "thank you for watching",
    "thank you so much for watching",
    "please subscribe",
    "please like and subscribe",
    "don't forget to subscribe",
    "subscribe to my channel",
    "see you in the next video",
    "subtitles by the amara org community",
    "transcribed by otter ai",
    // Turkish
    "altyazı m k",
    "altyazı mk",
    "izlediğiniz için teşekkürler",
    "izlediğiniz için teşekkür ederim",
    "izlediğiniz için teşekkür ederiz",
    "abone olmayı unutmayın",
    "beğenmeyi ve abone olmayı unutmayın",
    "kanalıma abone olun",
    "bir sonraki videoda görüşmek üzere",
    "videoyu beğenmeyi unutmayın",
};

/// Speech that lasts longer than this, at a speaker's pace, may well be the phrase itself.
constexpr milliseconds long_speech{2000};
constexpr double slow_pace = 8.0;  ///< characters per second; people say 12 to 20
constexpr double impossible_pace = 30.0;
/// Short clips must convince more.
constexpr milliseconds short_speech{1000};
constexpr double short_speech_margin = 0.2;
/// Audio this little above the gate counts as quiet.
constexpr double quiet_margin_db = 10.0;

double pace_of(std::string_view text, milliseconds length) noexcept {
    // No syllable is shorter than this: "yes" in 80 ms of speech is no wonder.
    const auto time = std::max(length, milliseconds{300});
    return static_cast<double>(count_characters(text)) * 1000.0 / static_cast<double>(time.count());
}

/// `part` stands in `whole` as whole words.
bool contains_words(const std::string& whole, const std::string& part) {
    return (" " + whole + " ").find(" " + part + " ") != std::string::npos;
}

}  // namespace

bool repeats_itself(const std::vector<std::string>& words) {
    constexpr std::size_t longest_phrase = 10;
    for (std::size_t period = 1; period <= longest_phrase; ++period) {
        const std::size_t allowed = period == 1 ? 5 : 3;
        std::size_t run = 0;  // words that equal the one a period earlier
        for (std::size_t i = period; i < words.size(); ++i) {
            run = words[i] == words[i - period] ? run + 1 : 0;
            if (run >= period * allowed) return true;
        }
    }
    // Within a word: "hahahahahaha", "aaaaaaaaaaaa".
    constexpr std::size_t longest_syllable = 6;
    constexpr std::size_t repeated_letters = 12;
    for (const auto& word : words) {
        for (std::size_t period = 1; period <= longest_syllable; ++period) {
            std::size_t run = 0;
            for (std::size_t i = period; i < word.size(); ++i) {
                run = word[i] == word[i - period] ? run + 1 : 0;
                if (run >= repeated_letters) return true;
            }
        }
    }
    return false;
}

HallucinationFilter::HallucinationFilter(const FasterWhisperConfig& config)
    : min_speech_{config.min_speech},
      min_level_dbfs_{config.min_level_dbfs},
      min_log_probability_{config.min_log_probability} {
    for (const auto phrase : known_phrases)
        phrases_.push_back(folded(phrase));
    for (const auto& phrase : config.ignored_phrases) {
        if (auto own = folded(phrase); !own.empty()) phrases_.push_back(std::move(own));
    }
    std::ranges::sort(phrases_);
}

std::optional<DropReason> HallucinationFilter::before_decoding(const SpeechSpan& speech
) const noexcept {
    if (speech.length == milliseconds{0}) return DropReason::too_quiet;
    if (speech.length < min_speech_) return DropReason::too_short;
    return std::nullopt;
}

HallucinationFilter::Verdict HallucinationFilter::after_decoding(
    const Decoded& decoded, const SpeechSpan& speech, std::string_view prompt
) const {
    Verdict verdict;
    const double needed =
        min_log_probability_ + (speech.length < short_speech ? short_speech_margin : 0.0);
    for (const auto& segment : decoded.segments) {
        const auto text = trimmed(segment.text);
        if (text.empty()) continue;
        if (!is_clean_utf8(text)) {
            verdict.dropped = DropReason::broken_text;
        } else if (segment.mean_log_probability < needed) {
            verdict.dropped = DropReason::low_probability;
        } else {
            if (!verdict.text.empty()) verdict.text += ' ';
            verdict.text += text;
        }
    }
    if (verdict.text.empty()) return verdict;
    if (const auto reason = judge(verdict.text, speech, prompt)) return {{}, reason};
    return verdict;
}

std::optional<DropReason> HallucinationFilter::judge(
    std::string_view text, const SpeechSpan& speech, std::string_view prompt
) const {
    const auto pace = pace_of(text, speech.length);
    if (pace > impossible_pace) return DropReason::too_fast;
    const auto words = words_of(text);
    if (repeats_itself(words)) return DropReason::repetition;
    const auto plain = join_words(words);
    if (std::ranges::binary_search(phrases_, plain) &&
        (speech.length < long_speech || pace < slow_pace)) {
        return DropReason::known_phrase;
    }
    const bool quiet = speech.level_dbfs < min_level_dbfs_ + quiet_margin_db;
    if (quiet && !plain.empty() && contains_words(folded(prompt), plain)) {
        return DropReason::prompt_echo;
    }
    return std::nullopt;
}

}  // namespace oavc::services::whisper
