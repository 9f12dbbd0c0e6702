#pragma once

// Callers for tests of recognition: synthesised speech as it arrives at the end of a telephone
// line.

#include "media/frame.hpp"
#include "media/resampler.hpp"
#include "services/tts/flite_voice.hpp"
#include "support/clips.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace oavc::test {

/// Second-order Butterworth filter.
inline Pcm filtered(const Pcm& in, double cutoff, SampleRate rate, bool high_pass) {
    constexpr double pi = 3.14159265358979;
    const double w = 2 * pi * cutoff / rate.hz;
    const double alpha = std::sin(w) / std::sqrt(2.0);
    const double cosine = std::cos(w);
    const double a0 = 1 + alpha;
    const double b0 = (high_pass ? 1 + cosine : 1 - cosine) / 2 / a0;
    const double b1 = (high_pass ? -2 : 2) * b0;
    const double a1 = -2 * cosine / a0;
    const double a2 = (1 - alpha) / a0;
    Pcm out;
    double x1 = 0;
    double x2 = 0;
    double y1 = 0;
    double y2 = 0;
    for (const double x : in) {
        const double y = b0 * x + b1 * x1 + b0 * x2 - a1 * y1 - a2 * y2;
        x2 = x1;
        x1 = x;
        y2 = y1;
        y1 = y;
        out.push_back(static_cast<media::Sample>(std::clamp(y, -32'768.0, 32'767.0)));
    }
    return out;
}

/// 16 kHz → 300 … 3400 Hz, 8 kHz, µ-law → 16 kHz: the oldest and poorest line there is.
inline Pcm through_old_telephone(const Pcm& wide) {
    Pcm narrow = resample(wide, wideband, narrowband);
    narrow = filtered(narrow, 300, narrowband, true);
    narrow = filtered(narrow, 3'400, narrowband, false);
    std::ranges::transform(narrow, narrow.begin(), through_mulaw);
    return resample(narrow, narrowband, wideband);
}

/// A synthesised caller after the telephone line, with 200 ms of silence before: 16 kHz.
inline Pcm phoned(std::string_view text, std::string_view voice = "rms") {
    const auto speech = services::synthesize_flite(text, voice).value();
    Pcm wide = silence(3'200);
    append(wide, resample(speech.samples, speech.rate, wideband));
    return through_old_telephone(wide);
}

/// Words missing, added or changed: edit distance.
inline double word_errors(
    const std::vector<std::string>& spoken, const std::vector<std::string>& heard
) {
    std::vector<std::size_t> row(heard.size() + 1);
    for (std::size_t j = 0; j < row.size(); ++j)
        row[j] = j;
    for (std::size_t i = 1; i <= spoken.size(); ++i) {
        std::size_t diagonal = std::exchange(row[0], i);
        for (std::size_t j = 1; j < row.size(); ++j) {
            const std::size_t change = diagonal + (spoken[i - 1] == heard[j - 1] ? 0 : 1);
            diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, change}));
        }
    }
    return static_cast<double>(row.back());
}

/// What a voice detector cuts out of a recording at 16 kHz: stretches of sound with 300 ms before
/// them, ended by 600 ms of quiet.
inline std::vector<Pcm> cut_at_pauses(const Pcm& wide) {
    constexpr std::size_t frame = 320;
    constexpr double loud = 400;
    std::vector<Pcm> parts;
    std::size_t begin = 0;
    std::size_t quiet = 0;
    bool inside = false;
    for (std::size_t at = 0; at + frame <= wide.size(); at += frame) {
        double energy = 0;
        for (std::size_t i = at; i < at + frame; ++i)
            energy += static_cast<double>(wide[i]) * wide[i];
        if (std::sqrt(energy / frame) > loud) {
            if (!inside) begin = at > 4'800 ? at - 4'800 : 0;
            inside = true;
            quiet = 0;
        } else if (inside && (quiet += frame) >= 9'600) {
            inside = false;
            parts.emplace_back(
                wide.begin() + static_cast<std::ptrdiff_t>(begin),
                wide.begin() + static_cast<std::ptrdiff_t>(at)
            );
        }
    }
    if (inside) parts.emplace_back(wide.begin() + static_cast<std::ptrdiff_t>(begin), wide.end());
    return parts;
}

}  // namespace oavc::test
