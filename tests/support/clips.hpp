#pragma once

#include "base/units.hpp"
#include "media/frame.hpp"

#include <speex/speex_resampler.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <vector>

/// Audio that tests and benchmarks listen to: recorded (from the shared folder, where there is
/// one) and made on the spot.
namespace oavc::test {

using Pcm = std::vector<media::Sample>;

/// A file of the shared folder: $OAVC_SHARED, else `shared` beside the checkout. Empty: not there.
inline std::filesystem::path shared_file(const std::string& name) {
    std::filesystem::path folder = std::filesystem::path{OAVC_SOURCE_DIR}.parent_path() / "shared";
    if (const char* set = std::getenv("OAVC_SHARED")) folder = set;
    const auto path = folder / name;
    return std::filesystem::exists(path) ? path : std::filesystem::path{};
}

inline std::vector<std::byte> read_bytes(const std::filesystem::path& path) {
    std::ifstream in{path, std::ios::binary};
    const std::string text{std::istreambuf_iterator<char>{in}, {}};
    std::vector<std::byte> bytes(text.size());
    std::memcpy(bytes.data(), text.data(), text.size());
    return bytes;
}

/// The samples of a 16-bit mono WAV file; nothing when it is not one.
inline std::optional<Pcm> read_wav(const std::filesystem::path& path) {
    const auto bytes = read_bytes(path);
    for (std::size_t at = 12; at + 8 <= bytes.size();) {
        std::uint32_t size = 0;
        std::memcpy(&size, &bytes[at + 4], sizeof size);
        if (std::memcmp(&bytes[at], "data", 4) == 0) {
            Pcm pcm(std::min<std::size_t>(size, bytes.size() - at - 8) / sizeof(media::Sample));
            std::memcpy(pcm.data(), &bytes[at + 8], pcm.size() * sizeof(media::Sample));
            return pcm;
        }
        at += 8 + size + (size & 1);
    }
    return std::nullopt;
}

inline Pcm resample(const Pcm& in, SampleRate from, SampleRate to) {
    int error = 0;
    auto* state = speex_resampler_init(1, from.hz, to.hz, 5, &error);
    speex_resampler_skip_zeros(state);
    Pcm out(in.size() * to.hz / from.hz + 1);
    auto consumed = static_cast<spx_uint32_t>(in.size());
    auto produced = static_cast<spx_uint32_t>(out.size());
    speex_resampler_process_int(state, 0, in.data(), &consumed, out.data(), &produced);
    speex_resampler_destroy(state);
    out.resize(produced);
    return out;
}

/// What one sample is after G.711 µ-law there and back.
inline media::Sample through_mulaw(media::Sample sample) {
    const int sign = sample < 0 ? -1 : 1;
    const int magnitude = std::min(std::abs(static_cast<int>(sample)), 32'635) + 132;
    int exponent = 7;
    while (exponent > 0 && (magnitude >> (exponent + 7)) == 0)
        --exponent;
    const int mantissa = (magnitude >> (exponent + 3)) & 15;
    const int decoded = ((mantissa * 8 + 132) << exponent) - 132;
    return static_cast<media::Sample>(sign * decoded);
}

/// Wideband audio as it sounds after a telephone call: 8 kHz, µ-law, and up again.
inline Pcm through_telephone(const Pcm& wide) {
    Pcm narrow = resample(wide, wideband, narrowband);
    std::ranges::transform(narrow, narrow.begin(), through_mulaw);
    return resample(narrow, narrowband, wideband);
}

inline Pcm silence(std::size_t samples) { return Pcm(samples, 0); }

/// White noise of a given root mean square.
inline Pcm noise(std::size_t samples, double rms, unsigned seed = 1) {
    std::minstd_rand random{seed};
    std::normal_distribution<double> normal{0, rms};
    Pcm pcm(samples);
    for (auto& sample : pcm) {
        sample = static_cast<media::Sample>(std::clamp(normal(random), -32'768.0, 32'767.0));
    }
    return pcm;
}

/// A vowel-like buzz: harmonics of 120 Hz under two formants, loudness at four syllables a second.
inline Pcm buzz(std::size_t samples, SampleRate rate) {
    constexpr double two_pi = 6.283185307179586;
    Pcm pcm(samples);
    for (std::size_t i = 0; i < samples; ++i) {
        const double t = static_cast<double>(i) / rate.hz;
        double sum = 0;
        for (int harmonic = 1; harmonic <= 25; ++harmonic) {
            const double f = 120.0 * harmonic;
            const double near_first = std::exp(-std::pow((f - 600) / 200, 2));
            const double near_second = std::exp(-std::pow((f - 1'500) / 300, 2));
            sum += (near_first + 0.5 * near_second + 0.02) * std::sin(two_pi * f * t);
        }
        const double syllables = 0.55 + 0.45 * std::sin(two_pi * 4 * t);
        pcm[i] = static_cast<media::Sample>(2'500 * syllables * sum);
    }
    return pcm;
}

inline void append(Pcm& to, const Pcm& more) { to.insert(to.end(), more.begin(), more.end()); }

}  // namespace oavc::test
