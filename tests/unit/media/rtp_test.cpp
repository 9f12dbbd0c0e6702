#include "media/rtp.hpp"

#include "media/wrap.hpp"
#include "support/rtp_packets.hpp"

#include <gtest/gtest.h>

#include <array>
#include <span>

namespace oavc::media {
namespace {

using test::Bytes;
using test::rtp_with_csrc_extension_and_padding;

TEST(ParseRtp, ReadsEveryFieldBehindCsrcsExtensionAndPadding) {
    const auto bytes = rtp_with_csrc_extension_and_padding();
    const auto packet = parse_rtp(bytes);
    ASSERT_TRUE(packet);
    EXPECT_EQ(packet->payload_type, PayloadType{8});
    EXPECT_TRUE(packet->marker);
    EXPECT_EQ(packet->sequence_number, 0x1234);
    EXPECT_EQ(packet->timestamp, RtpTimestamp{0xDEADBEEF});
    EXPECT_EQ(packet->ssrc, Ssrc{0xCAFEBABE});
    ASSERT_EQ(packet->payload.size(), 2u);
    EXPECT_EQ(packet->payload[0], std::byte{0xAB});
    EXPECT_EQ(packet->payload[1], std::byte{0xCD});
}

TEST(ParseRtp, NoPrefixOfAValidPacketParsesOrReadsPastItsEnd) {
    const auto packet = rtp_with_csrc_extension_and_padding();
    for (std::size_t size = 0; size < packet.size(); ++size) {
        const Bytes prefix(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(size));
        EXPECT_TRUE(parse_rtp(prefix).has_error()) << size;
    }
    EXPECT_EQ(parse_rtp(packet)->payload.size(), 2u);
}

TEST(ParseRtp, NamesWhatIsWrong) {
    auto packet = rtp_with_csrc_extension_and_padding();
    EXPECT_EQ(parse_rtp(std::span{packet}.first(11)).error(), RtpErrc::truncated);

    auto version = packet;
    version[0] = std::byte{0x40};
    EXPECT_EQ(parse_rtp(version).error(), RtpErrc::bad_version);

    auto extension = packet;
    extension[22] = std::byte{0xFF};  // 65283 words
    EXPECT_EQ(parse_rtp(extension).error(), RtpErrc::truncated);

    auto none = packet;
    none.back() = std::byte{0};
    EXPECT_EQ(parse_rtp(none).error(), RtpErrc::bad_padding);
    auto more = packet;
    more.back() = std::byte{7};  // there are six octets behind the extension
    EXPECT_EQ(parse_rtp(more).error(), RtpErrc::bad_padding);
    auto all = packet;
    all.back() = std::byte{6};
    ASSERT_TRUE(parse_rtp(all));
    EXPECT_TRUE(parse_rtp(all)->payload.empty());

    Bytes padded_header(12, std::byte{0});
    padded_header[0] = std::byte{0xA0};
    EXPECT_EQ(parse_rtp(padded_header).error(), RtpErrc::bad_padding);
    EXPECT_FALSE(make_error_code(RtpErrc::bad_padding).message().empty());
}

TEST(BuildRtp, WritesWhatParseReads) {
    const std::array payload{std::byte{1}, std::byte{2}, std::byte{3}};
    RtpPacketView packet;
    packet.payload_type = {101};
    packet.marker = true;
    packet.sequence_number = 65'535;
    packet.timestamp = {0xFFFF'FFFF};
    packet.ssrc = {7};
    packet.payload = payload;
    std::array<std::byte, 15> buffer{};
    const auto built = build_rtp(packet, buffer);
    ASSERT_TRUE(built);
    ASSERT_EQ(built->size(), 15u);
    const auto again = parse_rtp(*built);
    ASSERT_TRUE(again);
    EXPECT_EQ(again->payload_type, packet.payload_type);
    EXPECT_TRUE(again->marker);
    EXPECT_EQ(again->sequence_number, 65'535);
    EXPECT_EQ(again->timestamp, packet.timestamp);
    EXPECT_EQ(again->ssrc, packet.ssrc);
    EXPECT_TRUE(std::ranges::equal(again->payload, payload));

    std::array<std::byte, 14> small{};
    EXPECT_EQ(build_rtp(packet, small).error(), RtpErrc::no_room);
}

TEST(RtpDemultiplexing, KnowsRtcpByItsPacketType) {
    EXPECT_TRUE(looks_like_rtcp(std::array{std::byte{0x80}, std::byte{200}}));
    EXPECT_FALSE(looks_like_rtcp(std::array{std::byte{0x80}, std::byte{0x80 | 0}}));
    EXPECT_FALSE(looks_like_rtcp(std::array{std::byte{0x80}, std::byte{0x80 | 101}}));
    EXPECT_FALSE(looks_like_rtcp(std::array{std::byte{0x80}}));
}

TEST(Wrap, DistancesAndUnwrappedNumbersCrossTheEndOfTheCounter) {
    EXPECT_EQ(wrap_distance<std::uint16_t>(0, 0x7FFF), 0x7FFF);
    EXPECT_EQ(wrap_distance<std::uint16_t>(0, 0x8000), -0x8000);
    EXPECT_EQ(wrap_distance<std::uint32_t>(0xFFFF'FFF0, 0x10), 0x20);
    // Three turns of the counter in steps that are sometimes backwards.
    std::int64_t reference = 65'530;
    for (std::int64_t n = 65'530; n < 3 * 65'536; ++n) {
        const auto value = n - (n % 7 == 0 ? 90 : 0);
        ASSERT_EQ(unwrap(reference, static_cast<std::uint16_t>(value)), value);
        reference = std::max(reference, value);
    }
}

}  // namespace
}  // namespace oavc::media
