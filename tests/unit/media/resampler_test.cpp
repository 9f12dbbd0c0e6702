#include "media/resampler.hpp"

#include "media/level.hpp"
#include "support/alloc_guard.hpp"
#include "support/rtp_packets.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

namespace oavc::media {
namespace {

struct Rates {
    std::uint32_t in;
    std::uint32_t out;
};
constexpr Rates pairs[] = {
    {22'050, 8'000},
    {24'000, 8'000},
    {16'000, 8'000},
    {8'000, 16'000},
    {48'000, 8'000},
    {44'100, 16'000},
    {11'025, 8'000},
    {11'127, 8'000},
    {8'000, 22'050},
    {24'000, 16'000},
    {8'000, 48'000}};

std::vector<Sample> resample(Resampler& resampler, Samples in, std::size_t chunk) {
    std::vector<Sample> out;
    for (std::size_t at = 0; at < in.size(); at += chunk) {
        resampler.process(in.subspan(at, std::min(chunk, in.size() - at)), out);
    }
    resampler.flush(out);
    return out;
}

// Signal to noise of `samples` against the best-fitting sine of `hz`, away from the ends.
double snr_of_tone(Samples samples, double hz, double rate) {
    samples = samples.subspan(200, samples.size() - 400);
    double cosine = 0;
    double sine = 0;
    const auto n = static_cast<double>(samples.size());
    const auto angle = [&](std::size_t i) {
        return 2 * std::numbers::pi * hz * static_cast<double>(i) / rate;
    };
    for (std::size_t i = 0; i < samples.size(); ++i) {
        cosine += samples[i] * std::cos(angle(i)) * 2 / n;
        sine += samples[i] * std::sin(angle(i)) * 2 / n;
    }
    double noise = 0;
    double signal = 0;
    for (std::size_t i = 0; i < samples.size(); ++i) {
        const double fitted = cosine * std::cos(angle(i)) + sine * std::sin(angle(i));
        signal += fitted * fitted;
        noise += (samples[i] - fitted) * (samples[i] - fitted);
    }
    return 10 * std::log10(signal / noise);
}

TEST(Resampler, KeepsTonesOfTheTelephoneBandCleanAndAtTheirLevel) {
    for (const auto [in, out] : pairs) {
        for (const double hz : {300.0, 1'000.0, 3'100.0}) {
            Resampler resampler{{in}, {out}};
            // Whole periods at the output, so that the fit is exact.
            const auto tone = test::tone(hz, in, 10'000, 0, in);
            const auto heard = resample(resampler, tone, in / 50);
            EXPECT_GT(snr_of_tone(heard, hz, out), 60) << in << "→" << out << " at " << hz;
            EXPECT_NEAR(
                rms_dbfs(std::span{heard}.subspan(200, heard.size() - 400)), rms_dbfs(tone), 0.3
            ) << in
              << "→" << out << " at " << hz;
        }
    }
}

TEST(Resampler, LetsNothingAboveTheNewBandFoldIntoIt) {
    Resampler resampler{wideband, narrowband};
    const auto heard = resample(resampler, test::tone(5'000, 16'000, 10'000, 0, 16'000), 320);
    EXPECT_LT(rms_dbfs(std::span{heard}.subspan(100, heard.size() - 200)), -80);
}

TEST(Resampler, MakesExactlyAsManySamplesAsTheUtteranceIsLong) {
    for (const auto [in, out] : pairs) {
        for (const std::size_t length : {0u, 1u, 2u, 159u, 441u, 1'000u, 22'050u, 33'333u}) {
            for (const std::size_t chunk : {7u, 441u, 100'000u}) {
                Resampler resampler{{in}, {out}};
                const auto heard =
                    resample(resampler, test::tone(440, length, 8'000, 0, in), chunk);
                EXPECT_EQ(heard.size(), (length * out + in - 1) / in)
                    << in << "→" << out << " of " << length;
            }
        }
    }
}

TEST(Resampler, ChunksOfAnySizeGiveTheSameSamplesInTheSamePlaces) {
    for (const auto [in, out] : pairs) {
        const auto tone = test::tone(440, in / 2, 8'000, 0, in);
        Resampler whole{{in}, {out}};
        Resampler pieces{{in}, {out}};
        const auto expected = resample(whole, tone, tone.size());
        EXPECT_EQ(resample(pieces, tone, 113), expected) << in << "→" << out;
        // Aligned: output sample n is the tone at time n / out.
        const auto ideal = test::tone(440, expected.size(), 8'000, 0, out);
        for (std::size_t i = 300; i + 300 < expected.size(); ++i) {
            ASSERT_NEAR(expected[i], ideal[i], 80) << in << "→" << out << " at " << i;
        }
    }
}

TEST(Resampler, NothingOfAnUtteranceLeaksIntoTheNext) {
    for (const auto [in, out] : pairs) {
        Resampler resampler{{in}, {out}};
        const std::vector<Sample> loud(in / 10, 20'000);
        const std::vector<Sample> quiet(in / 10, 0);
        std::vector<Sample> heard;
        resampler.process(loud, heard);
        resampler.reset();
        const auto after_reset = resample(resampler, quiet, 160);
        EXPECT_EQ(
            std::ranges::count(after_reset, 0), static_cast<std::ptrdiff_t>(after_reset.size())
        );
        EXPECT_EQ(after_reset.size(), out / 10);

        resampler.process(loud, heard);
        resampler.flush(heard);
        const auto after_flush = resample(resampler, quiet, 160);
        EXPECT_EQ(
            std::ranges::count(after_flush, 0), static_cast<std::ptrdiff_t>(after_flush.size())
        );
    }
}

TEST(Resampler, AnUtteranceAfterResetIsTheSameAsTheFirst) {
    Resampler resampler{{22'050}, {8'000}};
    const auto speech = test::tone(700, 10'000, 8'000, 0, 22'050);
    const auto first = resample(resampler, speech, 441);
    std::vector<Sample> broken_off;
    resampler.process(std::span{speech}.first(3'333), broken_off);
    resampler.reset();
    EXPECT_EQ(resample(resampler, speech, 441), first);
}

TEST(Resampler, EqualRatesAreTheIdentity) {
    Resampler resampler{narrowband, narrowband};
    const auto speech = test::tone(700, 333);
    EXPECT_EQ(resample(resampler, speech, 100), speech);
}

TEST(Resampler, DoesNotAllocateWhenGivenRoom) {
    Resampler resampler{{24'000}, {8'000}};
    const auto speech = test::tone(700, 480, 8'000, 0, 24'000);
    std::vector<Sample> out(resampler.max_output(480));
    const test::AllocGuard guard;
    for (int i = 0; i < 100; ++i)
        resampler.process(speech, std::span{out});
    resampler.flush(std::span{out});
    EXPECT_EQ(guard.count(), 0u);
}

}  // namespace
}  // namespace oavc::media
