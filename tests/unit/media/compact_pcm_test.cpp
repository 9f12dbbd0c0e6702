#include "media/compact_pcm.hpp"

#include "media/g711.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <numbers>
#include <vector>

namespace oavc::media {
namespace {

std::vector<Sample> kept(const std::vector<Sample>& samples, SampleRate rate) {
    const CompactPcm form{rate};
    std::vector<std::byte> bytes(form.bytes(samples.size()));
    form.pack(samples, bytes);
    std::vector<Sample> back(samples.size());
    form.unpack(bytes, back);
    return back;
}

std::vector<Sample> tone(double amplitude, std::size_t samples) {
    std::vector<Sample> made(samples);
    for (std::size_t i = 0; i < samples; ++i) {
        const auto phase = 2 * std::numbers::pi * 440 * static_cast<double>(i) / 8000;
        made[i] = static_cast<Sample>(amplitude * std::sin(phase));
    }
    return made;
}

TEST(CompactPcm, KeepsATelephonesAudioInAByteASample) {
    EXPECT_EQ(CompactPcm{narrowband}.bytes(160), 160u);
    std::vector<Sample> line;
    for (int code = 0; code < 256; ++code)
        line.push_back(g711::ulaw_decode(static_cast<std::uint8_t>(code)));
    EXPECT_EQ(kept(line, narrowband), line) << "what came as PCMU is not changed";
}

TEST(CompactPcm, CostsOtherNarrowAudioNoMoreThanTelephonyDoes) {
    for (const double amplitude : {300.0, 3'000.0, 30'000.0}) {
        const auto spoken = tone(amplitude, 8'000);
        const auto heard = kept(spoken, narrowband);
        double signal = 0;
        double noise = 0;
        for (std::size_t i = 0; i < spoken.size(); ++i) {
            signal += std::pow(spoken[i], 2);
            noise += std::pow(spoken[i] - heard[i], 2);
        }
        EXPECT_GT(10 * std::log10(signal / noise), 33) << amplitude;
    }
}

TEST(CompactPcm, KeepsWidebandExactly) {
    EXPECT_EQ(CompactPcm{wideband}.bytes(320), 640u);
    const auto speech = tone(12'345, 333);
    EXPECT_EQ(kept(speech, wideband), speech);
    EXPECT_TRUE(kept({}, wideband).empty());
}

}  // namespace
}  // namespace oavc::media
