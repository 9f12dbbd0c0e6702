#include "transports/rtp/frame_converter.hpp"

#include "support/alloc_guard.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <numbers>
#include <vector>

namespace oavc::transports::rtp {
namespace {

/// One second of a 440 Hz tone in frames of 20 ms at `from`, as it comes out at `to`.
std::vector<media::Sample> converted(SampleRate from, SampleRate to) {
    FrameConverter converter{from, to};
    std::vector<media::Sample> out;
    out.reserve(2 * to.hz);
    std::array<media::Sample, 320> frame{};
    const auto size = samples_in(frame_time, from);
    std::size_t n = 0;
    for (int i = 0; i < 50; ++i) {
        for (std::size_t k = 0; k < size; ++k, ++n) {
            const auto phase = 2 * std::numbers::pi * 440 * static_cast<double>(n) / from.hz;
            frame[k] = static_cast<media::Sample>(std::lround(10'000 * std::sin(phase)));
        }
        const test::AllocGuard guard;
        const auto result = converter.convert({media::Samples{frame}.first(size), from});
        EXPECT_EQ(guard.count(), 0u);
        EXPECT_EQ(result.rate, to);
        EXPECT_EQ(result.samples.size(), samples_in(frame_time, to));
        out.insert(out.end(), result.samples.begin(), result.samples.end());
    }
    return out;
}

TEST(FrameConverter, GivesOneWholeFrameForEachWithoutASeam) {
    for (const auto& [from, to] : {std::pair{narrowband, wideband}, {wideband, narrowband}}) {
        const auto out = converted(from, to);
        ASSERT_EQ(out.size(), to.hz);
        // What comes out is the tone, 4 ms late: no sample is missing, doubled or invented.
        const auto lead = samples_in(milliseconds{4}, to);
        double error = 0;
        for (std::size_t n = lead + 200; n < out.size(); ++n) {
            const auto phase = 2 * std::numbers::pi * 440 * static_cast<double>(n - lead) / to.hz;
            error = std::max(error, std::abs(out[n] - 10'000 * std::sin(phase)));
        }
        EXPECT_LT(error, 150) << from.hz << " to " << to.hz;
    }
}

TEST(FrameConverter, AfterAResetNothingOfBeforeIsHeard) {
    FrameConverter converter{narrowband, wideband};
    std::array<media::Sample, 160> loud;
    loud.fill(8'000);
    converter.convert({loud, narrowband});
    converter.reset();
    const std::array<media::Sample, 160> silence{};
    for (const auto sample : converter.convert({silence, narrowband}).samples) {
        ASSERT_EQ(sample, 0);
    }
}

}  // namespace
}  // namespace oavc::transports::rtp
