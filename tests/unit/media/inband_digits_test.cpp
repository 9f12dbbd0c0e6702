#include "media/inband_digits.hpp"

#include "media/g711.hpp"
#include "media/resampler.hpp"
#include "support/alloc_guard.hpp"
#include "support/clips.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <numbers>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::media {
namespace {

/// ITU-T Q.23.
test::Pcm key(char digit, milliseconds length, SampleRate rate, double amplitude = 6'000) {
    constexpr std::string_view keys = "123A456B789C*0#D";
    constexpr std::array rows{697.0, 770.0, 852.0, 941.0};
    constexpr std::array columns{1'209.0, 1'336.0, 1'477.0, 1'633.0};
    const auto at = keys.find(digit);
    test::Pcm pcm(samples_in(length, rate));
    for (std::size_t i = 0; i < pcm.size(); ++i) {
        const double t = 2 * std::numbers::pi * static_cast<double>(i) / rate.hz;
        const double tone = std::sin(rows[at / 4] * t) + std::sin(columns[at % 4] * t);
        pcm[i] = static_cast<Sample>(amplitude * tone);
    }
    return pcm;
}

std::string heard(InbandDigits& digits, const test::Pcm& pcm, SampleRate rate) {
    std::string all;
    const auto frame = samples_in(frame_time, rate);
    for (std::size_t at = 0; at + frame <= pcm.size(); at += frame) {
        if (const auto digit = digits.on_frame(Samples{pcm}.subspan(at, frame))) all += *digit;
    }
    return all;
}

TEST(InbandDigits, HearsEveryKeyOnceAtEveryRateThroughG711) {
    for (const auto rate : {narrowband, wideband}) {
        InbandDigits digits{rate};
        test::Pcm pcm = test::silence(samples_in(100ms, rate));
        const std::string typed = "1234567890*#ABCD11";
        for (const char digit : typed) {
            test::append(pcm, key(digit, 80ms, rate));
            test::append(pcm, test::silence(samples_in(80ms, rate)));
        }
        for (auto& sample : pcm)
            sample = g711::ulaw_decode(g711::ulaw_encode(sample));
        EXPECT_EQ(heard(digits, pcm, rate), typed) << rate.hz;
    }
}

TEST(InbandDigits, ALongPressIsOneDigitAndAClickIsNone) {
    InbandDigits digits{narrowband};
    test::Pcm pcm = test::silence(800);
    test::append(pcm, key('5', 2'000ms, narrowband));
    test::append(pcm, test::silence(1'600));
    test::append(pcm, key('7', 20ms, narrowband));
    test::append(pcm, test::silence(1'600));
    EXPECT_EQ(heard(digits, pcm, narrowband), "5");
}

TEST(InbandDigits, AMinuteOfRealSpeechHasNone) {
    const auto path = test::shared_file("audio/jfk.wav");
    if (path.empty()) GTEST_SKIP() << "audio/jfk.wav is not in the shared folder (OAVC_SHARED)";
    const auto speech = *test::read_wav(path);
    // Eleven seconds, spoken at seven speeds, which moves every formant across the tones.
    double seconds = 0;
    for (const std::uint32_t speed : {75u, 85u, 95u, 100u, 110u, 125u, 140u}) {
        const SampleRate as_if{16'000 * speed / 100};
        for (const auto rate : {narrowband, wideband}) {
            const auto pcm = test::resample(speech, as_if, rate);
            InbandDigits digits{rate};
            EXPECT_EQ(heard(digits, pcm, rate), "") << speed;
            seconds += rate == wideband ? 0 : static_cast<double>(pcm.size()) / rate.hz;
        }
    }
    EXPECT_GE(seconds, 60);
}

TEST(InbandDigits, NothingIsAllocatedPerFrame) {
    InbandDigits digits{wideband};
    const auto pcm = key('5', 200ms, wideband);
    const test::AllocGuard guard;
    std::size_t found = 0;
    for (std::size_t at = 0; at < pcm.size(); at += 320)
        found += digits.on_frame(Samples{pcm}.subspan(at, 320)).has_value();
    EXPECT_EQ(found, 1u);
    EXPECT_EQ(guard.count(), 0u);
}

}  // namespace
}  // namespace oavc::media
