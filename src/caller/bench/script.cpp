#include "caller/bench/script.hpp"

#include "base/assert.hpp"
#include "base/units.hpp"
#include "caller/measure.hpp"
#include "caller/speech.hpp"
#include "media/comfort_noise.hpp"
#include "media/g711.hpp"
#include "services/tts/flite_voice.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace oavc::caller::bench {

namespace {

/// One to six seconds each, without a pause inside that would end the turn.
constexpr std::array<std::string_view, 12> sentences{
    "yes please",
    "where is my card",
    "what is my balance today",
    "i would like to speak about my account",
    "what are your opening hours at the main branch",
    "can you tell me when my new card will be delivered to me",
    "please tell me about the savings accounts that you offer this year",
    "i have been waiting for my courier since monday and nobody has called me",
    "could you tell me which of your branches is the nearest one to the railway station",
    "i moved to another city last week and i need to change the address of my new card",
    "i want to know how much money i have in my account and when the next payment is going out",
    "somebody told me that the rates of your savings accounts have changed and i want to hear "
    "what they are",
};
constexpr std::array<std::string_view, 3> voices{"slt", "rms", "kal"};

std::vector<Clip> synthesise() {
    std::vector<Clip> clips;
    for (std::size_t i = 0; i < sentences.size(); ++i) {
        const auto voice = voices[i % voices.size()];
        const auto spoken = services::synthesize_flite(sentences[i], voice);
        if (spoken.has_error()) {
            throw std::runtime_error{fmt::format(
                "the callers' voice {} does not speak: {}", voice, spoken.error().message()
            )};
        }
        clips.push_back(make_clip(trimmed(at_line_rate(spoken->samples, spoken->rate))));
    }
    return clips;
}

}  // namespace

Clip make_clip(media::Samples speech) {
    Clip clip;
    const std::size_t frames = (speech.size() + frame_bytes - 1) / frame_bytes;
    clip.ulaw.assign(frames * frame_bytes, media::g711::ulaw_silence);
    media::g711::ulaw_encode(speech, clip.ulaw);
    Activity activity;
    activity.add(TimePoint{}, speech);
    if (!activity.spans().empty()) {
        clip.first_voiced = activity.spans().front().begin - TimePoint{};
        clip.last_voiced = activity.spans().back().end - TimePoint{};
    }
    return clip;
}

Script::Script(Habits habits) : Script{habits, synthesise()} {}

Script::Script(Habits habits, std::vector<Clip> clips)
    : habits_{habits},
      clips_{std::move(clips)},
      pause_(pause_frames * frame_bytes, media::g711::ulaw_silence) {
    OAVC_ASSERT(!clips_.empty());
    std::sort(clips_.begin(), clips_.end(), [](const Clip& a, const Clip& b) {
        return a.ulaw.size() < b.ulaw.size();
    });
    if (habits_.noise_dbfs > -100) {
        std::vector<media::Sample> noise(pause_.size());
        media::ComfortNoise{habits_.noise_dbfs, 1}.fill(noise);
        media::g711::ulaw_encode(noise, pause_);
    }
}

}  // namespace oavc::caller::bench
