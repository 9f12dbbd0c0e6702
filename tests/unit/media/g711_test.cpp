#include "media/g711.hpp"

#include "media/detail/g711_loops.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace oavc::media {
namespace {

// The laws as ITU-T G.711 writes them: a table of decision values, and for each interval between
// two of them its character signal and the value half-way that it decodes to.
struct Interval {
    int from;     // decision value that opens the interval, on the standard's scale
    int decoded;  // quantised value
};

// Table 2a: eight segments of 16 intervals (the first interval, around zero, is half as wide) on a
// scale to 8159. Values in between are (33 + 2m) 2^s − 33 …
std::vector<Interval> ulaw_intervals() {
    std::vector<Interval> intervals;
    for (int segment = 0; segment < 8; ++segment) {
        for (int step = 0; step < 16; ++step) {
            const int width = 2 << segment;
            const int decoded = ((33 + 2 * step) << segment) - 33;
            const int from = decoded - width / 2;
            intervals.push_back({from < 0 ? 0 : from, decoded});
        }
    }
    return intervals;
}

// Table 1a: the first two segments have the same width; scale to 4096.
std::vector<Interval> alaw_intervals() {
    std::vector<Interval> intervals;
    for (int segment = 0; segment < 8; ++segment) {
        const int width = segment < 2 ? 2 : 2 << (segment - 1);
        const int start = segment == 0 ? 0 : 32 << (segment - 1);
        for (int step = 0; step < 16; ++step) {
            const int from = start + step * width;
            intervals.push_back({from, from + width / 2});
        }
    }
    return intervals;
}

int interval_of(const std::vector<Interval>& intervals, double value) {
    int found = 0;
    for (int i = 0; i < 128; ++i) {
        if (value >= intervals[static_cast<std::size_t>(i)].from) found = i;
    }
    return found;
}

constexpr int min16 = std::numeric_limits<Sample>::min();
constexpr int max16 = std::numeric_limits<Sample>::max();

TEST(G711, UlawEncodesEverySampleAsTheDecisionValuesOfTable2aSay) {
    const auto intervals = ulaw_intervals();
    for (int sample = min16; sample <= max16; ++sample) {
        // 14 bits of the standard; the lower two of ours decide nothing, towards zero by one's
        // complement as in G.191.
        const int magnitude = (sample < 0 ? ~sample : sample) / 4;
        const int interval = interval_of(intervals, magnitude);
        // The sign bit is 1 for positive values; all bits of the magnitude are inverted (table 2a).
        const int expected = (sample < 0 ? 0x00 : 0x80) | (~interval & 0x7F);
        ASSERT_EQ(g711::ulaw_encode(static_cast<Sample>(sample)), expected) << sample;
    }
}

TEST(G711, AlawEncodesEverySampleAsTheDecisionValuesOfTable1aSay) {
    const auto intervals = alaw_intervals();
    for (int sample = min16; sample <= max16; ++sample) {
        const double magnitude = (sample < 0 ? ~sample : sample) / 8.0;
        const int interval = interval_of(intervals, magnitude);
        const int expected = ((sample < 0 ? 0x00 : 0x80) | interval) ^ 0x55;  // even bits inverted
        ASSERT_EQ(g711::alaw_encode(static_cast<Sample>(sample)), expected) << sample;
    }
}

TEST(G711, UlawDecodesEveryCodeToTheQuantisedValueOfTable2a) {
    const auto intervals = ulaw_intervals();
    for (int code = 0; code < 256; ++code) {
        const int value = 4 * intervals[static_cast<std::size_t>(~code & 0x7F)].decoded;
        EXPECT_EQ(
            g711::ulaw_decode(static_cast<std::uint8_t>(code)), (code & 0x80) != 0 ? value : -value
        );
    }
    EXPECT_EQ(g711::ulaw_decode(0x80), 4 * 8031) << "the largest value of table 2a";
}

TEST(G711, AlawDecodesEveryCodeToTheQuantisedValueOfTable1a) {
    const auto intervals = alaw_intervals();
    for (int code = 0; code < 256; ++code) {
        const int value = 8 * intervals[static_cast<std::size_t>((code ^ 0x55) & 0x7F)].decoded;
        EXPECT_EQ(
            g711::alaw_decode(static_cast<std::uint8_t>(code)),
            ((code ^ 0x55) & 0x80) != 0 ? value : -value
        );
    }
    EXPECT_EQ(g711::alaw_decode(0xAA), 8 * 4032) << "the largest value of table 1a";
}

TEST(G711, AQuantisedValueSurvivesTheNextEncoding) {
    for (int code = 0; code < 256; ++code) {
        const auto c = static_cast<std::uint8_t>(code);
        EXPECT_EQ(g711::ulaw_decode(g711::ulaw_encode(g711::ulaw_decode(c))), g711::ulaw_decode(c));
        EXPECT_EQ(g711::alaw_encode(g711::alaw_decode(c)), c);
    }
}

TEST(G711, SpansConvertAsManySamplesAsBothSidesHold) {
    const std::array<Sample, 4> pcm{0, -1, 1'000, -32'768};
    std::array<std::byte, 3> coded{};
    std::array<Sample, 8> decoded{};
    EXPECT_EQ(g711::ulaw_encode(pcm, coded), 3u);
    EXPECT_EQ(g711::ulaw_decode(coded, decoded), 3u);
    EXPECT_NEAR(decoded[2], 1'000, 32);
    EXPECT_EQ(g711::alaw_encode(pcm, coded), 3u);
    EXPECT_EQ(g711::alaw_decode(coded, decoded), 3u);
    EXPECT_NEAR(decoded[2], 1'000, 32);
    EXPECT_EQ(decoded[3], 0) << "beyond what was converted nothing is written";
    EXPECT_EQ(g711::alaw_encode(Samples{}, coded), 0u);
}

/// Every sample and every code, by pieces of `length`, against the conversion of single ones.
void expect_same_as_one_by_one(const detail::G711Loops& loops, std::size_t length) {
    std::vector<Sample> samples;
    for (int sample = min16; sample <= max16; ++sample)
        samples.push_back(static_cast<Sample>(sample));
    std::vector<std::byte> codes;
    for (int code = 0; code < 256; ++code)
        codes.push_back(static_cast<std::byte>(code));

    std::vector<std::byte> ulaw(samples.size());
    std::vector<std::byte> alaw(samples.size());
    for (std::size_t at = 0; at < samples.size(); at += length) {
        const auto count = std::min(length, samples.size() - at);
        loops.ulaw_encode(&samples[at], &ulaw[at], count);
        loops.alaw_encode(&samples[at], &alaw[at], count);
    }
    for (std::size_t i = 0; i < samples.size(); ++i) {
        ASSERT_EQ(ulaw[i], std::byte{g711::ulaw_encode(samples[i])}) << samples[i];
        ASSERT_EQ(alaw[i], std::byte{g711::alaw_encode(samples[i])}) << samples[i];
    }

    std::vector<Sample> from_ulaw(codes.size());
    std::vector<Sample> from_alaw(codes.size());
    for (std::size_t at = 0; at < codes.size(); at += length) {
        const auto count = std::min(length, codes.size() - at);
        loops.ulaw_decode(&codes[at], &from_ulaw[at], count);
        loops.alaw_decode(&codes[at], &from_alaw[at], count);
    }
    for (std::size_t i = 0; i < codes.size(); ++i) {
        const auto code = std::to_integer<std::uint8_t>(codes[i]);
        ASSERT_EQ(from_ulaw[i], g711::ulaw_decode(code)) << i;
        ASSERT_EQ(from_alaw[i], g711::alaw_decode(code)) << i;
    }
}

TEST(G711, AnyProcessorConvertsWholeFramesAsItConvertsSingleSamples) {
    for (const std::size_t length : {1u, 7u, 31u, 33u, 80u, 160u, 1'001u}) {
        SCOPED_TRACE(length);
        expect_same_as_one_by_one(detail::g711_loops(), length);
        expect_same_as_one_by_one(detail::g711_loops_baseline, length);
    }
}

TEST(G711, SilenceDecodesToAlmostNothing) {
    EXPECT_EQ(std::byte{g711::ulaw_encode(0)}, g711::ulaw_silence);
    EXPECT_EQ(std::byte{g711::alaw_encode(0)}, g711::alaw_silence);
    EXPECT_EQ(g711::ulaw_decode(std::to_integer<std::uint8_t>(g711::ulaw_silence)), 0);
    EXPECT_LE(std::abs(g711::alaw_decode(std::to_integer<std::uint8_t>(g711::alaw_silence))), 8);
}

}  // namespace
}  // namespace oavc::media
