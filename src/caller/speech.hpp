#pragma once

#include "base/units.hpp"
#include "caller/conversation.hpp"
#include "caller/options.hpp"
#include "media/frame.hpp"

#include <string>
#include <vector>

namespace oavc::caller {

/// What is to be said, as audio of the telephone line. Throws std::runtime_error with a sentence
/// for the user: no such voice, no such file.
std::vector<Utterance> prepare_speech(
    const std::vector<Options::Speech>& speech, const std::string& voice
);

/// A whole recording at 8 kHz.
std::vector<media::Sample> at_line_rate(media::Samples samples, SampleRate rate);

/// Without the silence at both ends, but for the 100 ms in which a word softly begins or ends.
std::vector<media::Sample> trimmed(std::vector<media::Sample> samples);

}  // namespace oavc::caller
