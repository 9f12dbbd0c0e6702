#include "caller/speech.hpp"

#include "caller/measure.hpp"
#include "media/level.hpp"
#include "media/resampler.hpp"
#include "media/wav.hpp"
#include "services/tts/flite_voice.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace oavc::caller {

std::vector<media::Sample> at_line_rate(media::Samples samples, SampleRate rate) {
    media::Resampler resampler{rate, narrowband};
    std::vector<media::Sample> out;
    resampler.process(samples, out);
    resampler.flush(out);
    return out;
}

std::vector<media::Sample> trimmed(std::vector<media::Sample> samples) {
    constexpr std::size_t step = Activity::window_samples;
    const media::Samples all{samples};
    std::size_t begin = 0;
    while (begin + step <= all.size() && !media::is_voiced(all.subspan(begin, step)))
        begin += step;
    std::size_t end = all.size();
    while (end >= begin + step && !media::is_voiced(all.subspan(end - step, step)))
        end -= step;
    if (begin + step > end) return {};
    constexpr std::size_t margin = samples_in(100ms, narrowband);
    begin -= std::min(begin, margin);
    end = std::min(end + margin, samples.size());
    return {
        samples.begin() + static_cast<std::ptrdiff_t>(begin),
        samples.begin() + static_cast<std::ptrdiff_t>(end)};
}

std::vector<Utterance> prepare_speech(
    const std::vector<Options::Speech>& speech, const std::string& voice
) {
    std::vector<Utterance> utterances;
    for (const Options::Speech& item : speech) {
        Utterance utterance;
        utterance.interrupts = item.interrupts;
        utterance.label = item.value;
        if (item.kind == Options::Speech::Kind::text) {
            const auto spoken = services::synthesize_flite(item.value, voice);
            if (spoken.has_error()) {
                throw std::runtime_error{fmt::format(
                    "cannot say \"{}\" with the voice {}: {}",
                    item.value,
                    voice,
                    spoken.error().message()
                )};
            }
            utterance.text = item.value;
            utterance.samples = trimmed(at_line_rate(spoken->samples, spoken->rate));
        } else {
            const auto recording = media::read_wav(item.value);
            if (recording.has_error()) {
                throw std::runtime_error{
                    fmt::format("cannot play {}: {}", item.value, recording.error().message())};
            }
            utterance.samples = at_line_rate(recording->mono(), recording->rate);
        }
        if (utterance.samples.empty()) {
            throw std::runtime_error{fmt::format("there is nothing to hear in \"{}\"", item.value)};
        }
        utterances.push_back(std::move(utterance));
    }
    return utterances;
}

}  // namespace oavc::caller
