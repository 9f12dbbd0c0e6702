#include "base/bytes.hpp"
#include "base/random.hpp"
#include "base/ring.hpp"
#include "base/units.hpp"

#include <gtest/gtest.h>

#include <array>
#include <set>
#include <string>

namespace oavc {
namespace {

TEST(ByteReader, ReadsBigEndianAndRemembersAShortRead) {
    constexpr std::string_view text{"\x01\x02\x03\x04\x05\x06\x07", 7};
    ByteReader in{as_bytes(text)};
    EXPECT_EQ(in.u8(), 1u);
    EXPECT_EQ(in.u16(), 0x0203u);
    EXPECT_EQ(in.u24(), 0x040506u);
    EXPECT_FALSE(in.truncated());
    EXPECT_EQ(in.u16(), 0u) << "one byte is left";
    EXPECT_TRUE(in.truncated());
    EXPECT_TRUE(in.rest().empty());
}

TEST(ByteReader, NeverTakesMoreThanThereIs) {
    ByteReader in{as_bytes("abc")};
    EXPECT_TRUE(in.take(SIZE_MAX).empty());
    EXPECT_TRUE(in.truncated());
}

TEST(ByteWriter, WritesWhatByteReaderReadsAndDropsWhatDoesNotFit) {
    std::array<std::byte, 15> buffer{};
    ByteWriter out{buffer};
    out.u16(0xBEEF);
    out.u32(0xDEADBEEF);
    out.u64(42);
    EXPECT_FALSE(out.overflowed());
    out.u16(1);
    EXPECT_TRUE(out.overflowed());
    EXPECT_EQ(out.size(), 14u);

    ByteReader in{out.written()};
    EXPECT_EQ(in.u16(), 0xBEEFu);
    EXPECT_EQ(in.u32(), 0xDEADBEEFu);
    EXPECT_EQ(in.u64(), 42u);
}

TEST(Ring, IsFirstInFirstOutAcrossItsSeamAndRefusesWhenFull) {
    Ring<int, 3> ring;
    int next = 0;
    int expected = 0;
    for (int round = 0; round < 10; ++round) {
        while (ring.try_push(next))
            ++next;
        EXPECT_TRUE(ring.full());
        EXPECT_EQ(ring[2], expected + 2);
        EXPECT_EQ(ring.front(), expected++);
        ring.pop();
        EXPECT_EQ(ring.front(), expected++);
        ring.pop();
    }
    EXPECT_EQ(next, 21);
}

TEST(Units, ConvertBetweenSamplesAndTime) {
    EXPECT_EQ(samples_in(20ms, SampleRate{44'100}), 882u);
    EXPECT_EQ(duration_of(882, SampleRate{44'100}), 20ms);
    EXPECT_EQ(duration_of(std::size_t{3'600} * 48'000, SampleRate{48'000}), 1h);
}

TEST(Random, GivesHexadecimalThatDoesNotRepeat) {
    std::set<std::string> seen;
    for (int i = 0; i < 1'000; ++i) {
        const auto text = random_hex(8);
        EXPECT_EQ(text.size(), 16u);
        EXPECT_EQ(text.find_first_not_of("0123456789abcdef"), std::string::npos);
        EXPECT_TRUE(seen.insert(text).second);
    }
}

TEST(Random, JitterKeepsAtLeastHalfOfAWait) {
    std::set<Clock::duration> seen;
    for (int i = 0; i < 1'000; ++i) {
        const auto wait = with_jitter(10s);
        EXPECT_GE(wait, 5s);
        EXPECT_LT(wait, 10s);
        seen.insert(wait);
    }
    EXPECT_GT(seen.size(), 100u);
    EXPECT_EQ(with_jitter({}), Clock::duration{});
}

}  // namespace
}  // namespace oavc
