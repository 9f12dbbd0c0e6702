#include "media/detail/polyphase.hpp"

#include "media/comfort_noise.hpp"
#include "media/detail/low_pass.hpp"
#include "media/level.hpp"
#include "support/rtp_packets.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <numbers>
#include <numeric>
#include <span>
#include <string>
#include <vector>

namespace oavc::media::detail {
namespace {

struct Rates {
    std::uint32_t in;
    std::uint32_t out;

    std::uint32_t slower() const { return std::min(in, out); }
};
constexpr Rates pairs[] = {
    {8'000, 16'000},
    {16'000, 8'000},
    {24'000, 8'000},
    {32'000, 8'000},
    {48'000, 8'000},
    {48'000, 16'000},
    {8'000, 24'000},
    {8'000, 48'000},
    {22'050, 8'000},
    {44'100, 8'000},
    {22'050, 16'000},
    {24'000, 16'000},
    {8'000, 22'050}};

std::unique_ptr<ResamplerEngine> ours(Rates rates, PolyphaseKernel kernel = polyphase_kernel()) {
    const auto common = std::gcd(rates.in, rates.out);
    return make_polyphase_resampler(
        PolyphaseFilter::of(rates.out / common, rates.in / common), kernel
    );
}

std::vector<Sample> resample(ResamplerEngine& engine, Samples in) {
    std::vector<Sample> out(engine.max_output(in.size()) + engine.max_output(0));
    const auto written = engine.process(in, out);
    out.resize(written + engine.flush(std::span{out}.subspan(written)));
    return out;
}

double decibels(double ratio) { return 20 * std::log10(std::max(ratio, 1e-9)); }

/// 0.3 s of a sine of `hz` through an engine, seen away from its ends.
class Heard {
public:
    static constexpr double amplitude = 20'000;

    Heard(ResamplerEngine& engine, double hz, Rates rates)
        : rate_{rates.out},
          samples_{resample(engine, test::tone(hz, rates.in * 3 / 10, amplitude, 0, rates.in))} {}

    /// Of the component at `hz`, a multiple of 5, against the sine that went in.
    double gain_db(double hz) const { return decibels(std::abs(component(hz)) / amplitude); }

    /// Of the component at `hz` against all else.
    double snr_db(double hz) const {
        const auto sine = component(hz);
        double signal = 0;
        double noise = 0;
        for (std::size_t i = begin(); i < end(); ++i) {
            const double fitted = (sine * std::polar(1.0, angle(hz, i))).real();
            signal += fitted * fitted;
            noise += (samples_[i] - fitted) * (samples_[i] - fitted);
        }
        return 10 * std::log10(signal / noise);
    }

    /// Of all there is, in the same measure.
    double gain_of_all_db() const {
        const auto seen = Samples{samples_}.subspan(begin(), end() - begin());
        return decibels(std::sqrt(2 * mean_square(seen)) / amplitude);
    }

private:
    // 0.05 s at either end: what is between holds whole periods.
    std::size_t begin() const { return rate_ / 20; }
    std::size_t end() const { return rate_ / 4; }
    double angle(double hz, std::size_t i) const {
        return 2 * std::numbers::pi * hz * static_cast<double>(i) / rate_;
    }
    std::complex<double> component(double hz) const {
        std::complex<double> sum;
        for (std::size_t i = begin(); i < end(); ++i)
            sum += static_cast<double>(samples_[i]) * std::polar(1.0, -angle(hz, i));
        return sum * 2.0 / static_cast<double>(end() - begin());
    }

    std::uint32_t rate_;
    std::vector<Sample> samples_;
};

/// The worst of tones all over the band of the slower rate that is to be kept (at 8 kHz: 300 Hz to
/// 3.2 kHz), and of what is not to be there.
struct Quality {
    double ripple{0};     ///< dB
    double snr{200};      ///< dB
    double beyond{-200};  ///< dB: images above the slower rate's band, or tones from there in it
};

Quality measure(ResamplerEngine& engine, Rates rates) {
    Quality worst;
    const double slower = rates.slower();
    const auto at = [&](double part) { return std::round(slower * part / 5) * 5; };
    for (double part = 0.0375; part < 0.401; part += 0.03625) {
        const Heard heard{engine, at(part), rates};
        worst.ripple = std::max(worst.ripple, std::abs(heard.gain_db(at(part))));
        worst.snr = std::min(worst.snr, heard.snr_db(at(part)));
        if (rates.out > rates.in) {
            worst.beyond = std::max(worst.beyond, heard.gain_db(slower - at(part)));
        }
    }
    if (rates.in > rates.out) {
        for (double part = 0.5125; part < rates.in / slower / 2; part += 0.075) {
            const Heard heard{engine, at(part), rates};
            worst.beyond = std::max(worst.beyond, heard.gain_of_all_db());
        }
    }
    return worst;
}

TEST(Polyphase, KeepsTheBandAndNothingElseAsWellAsSpeexDoes) {
    for (const auto rates : pairs) {
        SCOPED_TRACE(std::to_string(rates.in) + " to " + std::to_string(rates.out));
        const auto quality = measure(*ours(rates), rates);
        const auto of_speex = measure(*make_speex_resampler({rates.in}, {rates.out}), rates);
        RecordProperty(
            "quality_" + std::to_string(rates.in) + "_" + std::to_string(rates.out),
            "ripple " + std::to_string(quality.ripple) + " dB, SNR " + std::to_string(quality.snr) +
                " dB, beyond the band " + std::to_string(quality.beyond) + " dB"
        );
        EXPECT_LT(quality.ripple, 0.005);
        EXPECT_GT(quality.snr, 87);
        EXPECT_LT(quality.beyond, -87);
        EXPECT_LT(quality.ripple, of_speex.ripple + 0.002);
        EXPECT_GT(quality.snr, of_speex.snr - 1);
        EXPECT_LT(quality.beyond, of_speex.beyond + 1);
    }
}

TEST(Polyphase, AnyProcessorMakesTheSameOfItButForTheLastBit) {
    for (const auto rates : pairs) {
        std::vector<Sample> noise(rates.in / 5);
        ComfortNoise{-12, 1}.fill(noise);
        const auto fused = resample(*ours(rates), noise);
        const auto plain = resample(*ours(rates, polyphase_kernel_baseline), noise);
        ASSERT_EQ(fused.size(), plain.size());
        for (std::size_t i = 0; i < fused.size(); ++i)
            ASSERT_NEAR(fused[i], plain[i], 1) << rates.in << " to " << rates.out << " at " << i;
    }
}

TEST(Polyphase, WhatIsTooLoudIsHeldAtFullScale) {
    for (const auto rates : pairs) {
        std::vector<Sample> square(rates.in / 5);
        for (std::size_t i = 0; i < square.size(); ++i)
            square[i] = i * 200 / rates.in % 2 == 0 ? 32'767 : -32'768;
        const auto heard = resample(*ours(rates), square);
        for (std::size_t i = 0; i < heard.size(); ++i) {
            // Overshoots beside an edge wrap to the other sign where nothing holds them.
            const double half_waves = static_cast<double>(i) * 200 / rates.out;
            const double since_edge = half_waves - std::floor(half_waves);
            if (since_edge < 0.125 || since_edge > 0.875) continue;
            ASSERT_EQ(heard[i] > 0, static_cast<int>(half_waves) % 2 == 0)
                << rates.in << " to " << rates.out;
        }
        EXPECT_EQ(*std::ranges::max_element(heard), 32'767);
        EXPECT_EQ(*std::ranges::min_element(heard), -32'768);
    }
}

TEST(Polyphase, ASampleAppearsThreeMillisecondsLater) {
    for (const auto rates : pairs) {
        const auto engine = ours(rates);
        const std::vector<Sample> second(rates.in);
        std::vector<Sample> out(engine->max_output(second.size()));
        const auto written = engine->process(second, out);
        const double late = 1 - static_cast<double>(written) / rates.out;
        // Whole vectors of inputs, whole outputs.
        EXPECT_NEAR(
            late,
            static_cast<double>(low_pass_reach) / rates.slower(),
            4.0 / rates.in + 1.0 / rates.out
        ) << rates.in
          << " to " << rates.out;
    }
}

TEST(Polyphase, IsForAllUsualRatesAndRefusesTheRest) {
    EXPECT_TRUE(PolyphaseFilter::is_possible(160, 441));
    EXPECT_TRUE(PolyphaseFilter::is_possible(320, 147));  // 22.05 to 48 kHz
    EXPECT_TRUE(PolyphaseFilter::is_possible(640, 147));  // 11.025 to 48 kHz
    EXPECT_FALSE(PolyphaseFilter::is_possible(1, 7));     // more taps than there is room for
    EXPECT_FALSE(PolyphaseFilter::is_possible(7, 1));
    EXPECT_FALSE(PolyphaseFilter::is_possible(8'000, 11'127));  // 3 MiB
    EXPECT_FALSE(PolyphaseFilter::is_possible(0, 1));
    EXPECT_FALSE(PolyphaseFilter::is_possible(4'000'000'000, 4'000'000'001));
}

TEST(Polyphase, WritesNoMoreThanItSays) {
    for (const auto rates : pairs) {
        const auto engine = ours(rates);
        for (const std::size_t length : {1u, 5u, 23u, 24u, 25u, 48u, 319u, 320u, 321u, 1'000u}) {
            const auto tone = test::tone(440, length, 8'000, 0, rates.in);
            for (int i = 0; i < 20; ++i) {
                // A span of its own, so that the sanitizer sees what is written beyond it.
                std::vector<Sample> out(engine->max_output(length));
                EXPECT_LE(engine->process(tone, out), out.size());
            }
            std::vector<Sample> out(engine->max_output(0));
            EXPECT_LE(engine->flush(out), out.size());
        }
    }
}

}  // namespace
}  // namespace oavc::media::detail
