#pragma once

#include "media/frame.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace oavc::test {

/// Audio whose words can be counted: mark `n` is a stretch of samples of value n. Shows whether a
/// recogniser got all of it, once, in order.
inline std::vector<media::Sample> marked_audio(media::Sample mark, std::size_t samples) {
    return std::vector<media::Sample>(samples, mark);
}

/// "w1 w2 w3": the marks, each as often as it begins anew. Zeros are silence.
inline std::string words_of_marks(media::Samples audio) {
    std::string text;
    media::Sample last = 0;
    for (const auto sample : audio) {
        if (sample != last && sample != 0) {
            if (!text.empty()) text += ' ';
            text += 'w' + std::to_string(sample);
        }
        last = sample;
    }
    return text;
}

}  // namespace oavc::test
