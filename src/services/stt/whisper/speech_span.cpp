#include "services/stt/whisper/speech_span.hpp"

#include "media/level.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>

namespace oavc::services::whisper {

namespace {

constexpr auto block = samples_in(20ms, rate);

}  // namespace

SpeechSpan measure_speech(media::Samples audio, double threshold_dbfs) noexcept {
    std::size_t begin = audio.size();
    std::size_t end = 0;
    for (std::size_t at = 0; at < audio.size(); at += block) {
        const auto size = std::min(block, audio.size() - at);
        if (media::rms_dbfs(audio.subspan(at, size)) < threshold_dbfs) continue;
        begin = std::min(begin, at);
        end = at + size;
    }
    if (end <= begin) return {.level_dbfs = media::rms_dbfs(audio)};
    const auto speech = audio.subspan(begin, end - begin);
    return {
        std::chrono::duration_cast<milliseconds>(duration_of(speech.size(), rate)),
        media::rms_dbfs(speech)};
}

std::size_t quietest_cut(media::Samples audio) noexcept {
    constexpr auto window = samples_in(100ms, rate);
    constexpr auto step = samples_in(10ms, rate);
    constexpr auto tail = samples_in(2000ms, rate);
    if (audio.size() <= window) return audio.size();
    const auto first = audio.size() - std::min(tail, audio.size());
    double quietest = std::numeric_limits<double>::max();
    std::size_t best = first;
    for (std::size_t at = first; at + window <= audio.size(); at += step) {
        const double level = media::rms_dbfs(audio.subspan(at, window));
        if (level >= quietest) continue;
        quietest = level;
        best = at;
    }
    return best + window / 2;
}

}  // namespace oavc::services::whisper
