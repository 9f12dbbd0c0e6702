#pragma once

#include "base/result.hpp"
#include "media/frame.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::services {

/// slt, rms, awb (16 kHz), kal (8 kHz).
const std::vector<std::string_view>& flite_voices() noexcept;
bool is_flite_voice(std::string_view voice) noexcept;

/// Of the audio of a voice.
SampleRate flite_rate(std::string_view voice) noexcept;

/// Gets audio piece by piece, in order; false stops the synthesis.
using AudioSink = std::function<bool(media::Samples)>;

/// Synthesises `text` on this thread: about 70 times faster than real time (kal: 800). `speed` 1 is
/// normal, 2 twice as fast. Voices are shared: callable from any number of threads. Fails with
/// ServiceErrc::configuration for an unknown voice. Text without a letter or digit has no audio;
/// letters outside ASCII are spoken as their nearest ASCII ones.
Result<void> synthesize_flite_to(
    std::string_view text, std::string_view voice, double speed, const AudioSink& sink
);

struct SynthesizedSpeech {
    std::vector<media::Sample> samples;
    SampleRate rate;
};

/// All of it at once: what the test caller says.
Result<SynthesizedSpeech> synthesize_flite(
    std::string_view text, std::string_view voice = "slt", double speed = 1.0
);

}  // namespace oavc::services
