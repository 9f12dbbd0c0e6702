#include "media/rtcp.hpp"

#include "support/rtp_packets.hpp"

#include <gtest/gtest.h>

#include <array>
#include <initializer_list>
#include <string>

namespace oavc::media {
namespace {

using test::Bytes;

Bytes octets(std::initializer_list<unsigned> values) {
    Bytes bytes;
    for (const unsigned value : values)
        bytes.push_back(static_cast<std::byte>(value));
    return bytes;
}

Bytes operator+(Bytes a, const Bytes& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

// An RR without blocks, the least that may begin a compound.
const Bytes empty_rr = octets({0x80, 201, 0, 1, 0, 0, 0, 9});

ReportBlock a_block() {
    ReportBlock block;
    block.ssrc = {0xAABB'CCDD};
    block.fraction_lost = 64;
    block.cumulative_lost = -3;
    block.highest_sequence = 0x0002'1234;
    block.jitter = 77;
    block.last_sr = 0x1111'2222;
    block.delay_since_last_sr = 0x0001'8000;
    return block;
}

SenderInfo an_info() {
    SenderInfo info;
    info.ntp = {0x0123'4567'89AB'CDEF};
    info.rtp_timestamp = {0xFFFF'FF00};
    info.packets = 1'000;
    info.octets = 160'000;
    return info;
}

TEST(Rtcp, ASenderReportWithCnameAndByeSurvivesBuildingAndParsing) {
    std::array<std::byte, 512> buffer{};
    const auto built = build_rtcp({{42}, an_info(), a_block(), "k3v9@call", true}, buffer);
    ASSERT_TRUE(built);
    EXPECT_EQ(built->size() % 4, 0u);
    auto compound = parse_rtcp(*built);
    ASSERT_TRUE(compound);

    const auto first = compound->next();
    ASSERT_TRUE(first);
    const auto report = parse_report(*first);
    ASSERT_TRUE(report);
    EXPECT_EQ(report->sender, Ssrc{42});
    EXPECT_EQ(report->info, an_info());
    ASSERT_EQ(report->blocks, 1u);
    EXPECT_EQ(report->block(0), a_block());

    const auto second = compound->next();
    ASSERT_TRUE(second);
    EXPECT_EQ(find_cname(*second), "k3v9@call");
    EXPECT_EQ(parse_report(*second).error(), RtcpErrc::wrong_type);
    EXPECT_FALSE(says_bye(*second, {42}));

    const auto third = compound->next();
    ASSERT_TRUE(third);
    EXPECT_TRUE(says_bye(*third, {42}));
    EXPECT_FALSE(says_bye(*third, {43}));
    EXPECT_EQ(compound->next(), std::nullopt);
}

TEST(Rtcp, CnamesOfEveryLengthEndOnAWordWithANullOctet) {
    for (std::size_t length = 0; length <= 255; ++length) {
        const std::string cname(length, 'x');
        std::array<std::byte, 512> buffer{};
        const auto built = build_rtcp({{1}, std::nullopt, std::nullopt, cname, false}, buffer);
        ASSERT_TRUE(built);
        auto compound = parse_rtcp(*built);
        ASSERT_TRUE(compound) << length;
        ASSERT_TRUE(compound->next());
        const auto sdes = compound->next();
        ASSERT_TRUE(sdes);
        EXPECT_EQ(find_cname(*sdes), cname);
        EXPECT_EQ(built->back(), std::byte{0});
    }
}

TEST(Rtcp, NoRoomIsAnErrorAtEverySize) {
    std::array<std::byte, 512> buffer{};
    const RtcpReport report{{1}, an_info(), a_block(), "abc", true};
    const auto whole = build_rtcp(report, buffer)->size();
    for (std::size_t size = 0; size < whole; ++size) {
        EXPECT_EQ(build_rtcp(report, std::span{buffer}.first(size)).error(), RtcpErrc::no_room);
    }
}

TEST(Rtcp, UnknownPacketsAreSkipped) {
    const auto extended_report = octets({0x80, 207, 0, 1, 1, 2, 3, 4});
    const auto bye = octets({0x81, 203, 0, 1, 0, 0, 0, 9});
    const auto bytes = empty_rr + extended_report + bye;
    auto compound = parse_rtcp(bytes);
    ASSERT_TRUE(compound);
    EXPECT_EQ(compound->next()->type, 201);
    EXPECT_EQ(compound->next()->type, 207);
    EXPECT_TRUE(says_bye(*compound->next(), {9}));
}

TEST(Rtcp, WhatA2ForbidsIsRefused) {
    const auto bye = octets({0x81, 203, 0, 1, 0, 0, 0, 9});
    const auto padding = octets({0xA0, 204, 0, 1, 0, 0, 0, 4});
    EXPECT_TRUE(parse_rtcp(empty_rr + padding));
    EXPECT_EQ(parse_rtcp({}).error(), RtcpErrc::truncated);
    EXPECT_EQ(parse_rtcp(bye).error(), RtcpErrc::bad_first);
    EXPECT_EQ(parse_rtcp(octets({0x00, 201, 0, 1, 0, 0, 0, 9})).error(), RtcpErrc::bad_version);
    EXPECT_EQ(parse_rtcp(octets({0x80, 201, 0, 2, 0, 0, 0, 9})).error(), RtcpErrc::truncated);
    EXPECT_EQ(parse_rtcp(empty_rr + octets({0x80})).error(), RtcpErrc::truncated);
    EXPECT_EQ(parse_rtcp(empty_rr + padding + bye).error(), RtcpErrc::bad_padding);
    EXPECT_EQ(
        parse_rtcp(empty_rr + octets({0xA0, 204, 0, 1, 0, 0, 0, 8})).error(), RtcpErrc::bad_padding
    );
    EXPECT_EQ(
        parse_rtcp(empty_rr + octets({0xA0, 204, 0, 1, 0, 0, 0, 0})).error(), RtcpErrc::bad_padding
    );
    EXPECT_EQ(
        parse_rtcp(empty_rr + octets({0xA0, 204, 0, 1, 0, 0, 0, 3})).error(), RtcpErrc::bad_padding
    );
    EXPECT_EQ(parse_rtcp(empty_rr + octets({0xA0, 204, 0, 0})).error(), RtcpErrc::bad_padding);
    EXPECT_EQ(
        parse_rtcp(octets({0xA0, 201, 0, 2, 0, 0, 0, 9, 0, 0, 0, 4}) + bye).error(),
        RtcpErrc::bad_first
    );
}

TEST(Rtcp, AReportThatCountsMoreBlocksThanItHoldsIsTruncated) {
    const auto bytes = octets({0x82, 201, 0, 7, 0, 0, 0, 9}) + Bytes(24);
    auto compound = parse_rtcp(bytes);
    ASSERT_TRUE(compound);
    EXPECT_EQ(parse_report(*compound->next()).error(), RtcpErrc::truncated);
}

TEST(Rtcp, ACnameBehindOtherItemsAndChunksIsFound) {
    // Chunk 1: NAME "ab", end. Chunk 2: TOOL "t", CNAME "c@d", end.
    const auto sdes = octets({0x82, 202, 0, 7,                                  //
                              0,    0,   0, 1, 2, 2, 'a', 'b', 0, 0,   0,   0,  //
                              0,    0,   0, 2, 6, 1, 't', 1,   3, 'c', '@', 'd', 0, 0, 0, 0});
    const auto bytes = empty_rr + sdes;
    auto compound = parse_rtcp(bytes);
    ASSERT_TRUE(compound);
    compound->next();
    EXPECT_EQ(find_cname(*compound->next()), "c@d");
}

TEST(Rtcp, NoPrefixOfAValidCompoundReadsPastItsEnd) {
    std::array<std::byte, 512> buffer{};
    const auto built = build_rtcp({{42}, an_info(), a_block(), "name", true}, buffer);
    ASSERT_TRUE(built);
    for (std::size_t size = 0; size < built->size(); ++size) {
        const Bytes prefix(built->begin(), built->begin() + static_cast<std::ptrdiff_t>(size));
        auto compound = parse_rtcp(prefix);  // whole packets at the front are a valid compound
        if (!compound) continue;
        while (const auto packet = compound->next()) {
            (void)parse_report(*packet);
            (void)find_cname(*packet);
        }
    }
}

TEST(NtpTime, CountsFrom1900InSecondsAndFractions) {
    using namespace std::chrono;
    EXPECT_EQ(to_ntp(system_clock::time_point{}).value, 2'208'988'800ull << 32);
    const auto half = to_ntp(system_clock::time_point{milliseconds{1'500}});
    EXPECT_EQ(half.value, (2'208'988'801ull << 32) + 0x8000'0000);
    EXPECT_EQ(
        half.middle(), static_cast<std::uint32_t>(((2'208'988'801ull & 0xFFFF) << 16) + 0x8000)
    );
}

TEST(RoundTrip, IsTheTimeSinceOurReportWithoutThePeersDelay) {
    // The example of RFC 3550 figure 2: 46864.500 − 46853.125 − 5.250 = 6.125 s.
    ReportBlock block;
    block.last_sr = 0xB705'2000;
    block.delay_since_last_sr = 0x0005'4000;
    const NtpTime now{std::uint64_t{0xB710'8000} << 16};
    EXPECT_EQ(round_trip(block, now), microseconds{6'125'000});

    block.delay_since_last_sr = 0x000C'0000;
    EXPECT_EQ(round_trip(block, now), std::nullopt) << "negative: somebody's clock was set";
    block.last_sr = 0;
    EXPECT_EQ(round_trip(block, now), std::nullopt) << "the peer has no report of ours";
}

TEST(RtcpInterval, IsFiveSecondsSpreadByHalfAndCompensated) {
    EXPECT_NEAR(to_ms(rtcp_interval(false, 0)), 2'500 / 1.21828, 1);
    EXPECT_NEAR(to_ms(rtcp_interval(false, 0xFFFF'FFFF)), 7'500 / 1.21828, 1);
    EXPECT_NEAR(to_ms(rtcp_interval(true, 0x8000'0000)), 2'500 / 1.21828, 1);
}

TEST(RtcpSession, TwoSidesMeasureTheRoundTripBetweenThem) {
    const TimePoint t0{};
    const std::chrono::system_clock::time_point w0{std::chrono::hours{450'000}};
    const auto wall = [&](TimePoint now) { return to_ntp(w0 + (now - t0)); };
    RtcpSession a{{{1}, "a", 11}, t0};
    RtcpSession b{{{2}, "b", 22}, t0};
    std::array<std::byte, RtcpSession::max_datagram> buffer{};

    auto now = a.next_deadline();
    EXPECT_GT(now, t0 + 1s);
    EXPECT_LT(now, t0 + 4s);
    SenderInfo info;
    info.ntp = wall(now);
    const auto sr = a.build(now, info, std::nullopt, buffer);
    ASSERT_FALSE(sr.empty());
    EXPECT_GT(a.next_deadline(), now + 2s);
    b.on_packet(sr, now + 30ms, wall(now + 30ms));

    ReportBlock about_a;
    about_a.ssrc = {1};
    about_a.fraction_lost = 26;
    about_a.cumulative_lost = 5;
    const auto rr = b.build(now + 1030ms, std::nullopt, about_a, buffer);
    now += 1080ms;
    a.on_packet(rr, now, wall(now));
    ASSERT_TRUE(a.stats().round_trip);
    EXPECT_NEAR(to_ms(*a.stats().round_trip), 80, 0.1);
    EXPECT_EQ(a.stats().remote_fraction_lost, 26);
    EXPECT_EQ(a.stats().remote_lost, 5);
    EXPECT_FALSE(a.stats().peer_said_bye);

    a.on_packet(b.build(now, std::nullopt, about_a, buffer, true), now, wall(now));
    EXPECT_TRUE(a.stats().peer_said_bye);
    a.on_packet(octets({1, 2, 3}), now, wall(now));
    EXPECT_EQ(a.stats().rejected, 1u);
    EXPECT_EQ(a.stats().received, 2u);
}

TEST(RtcpSession, NamesTheLastReportOfThePeerItReportsOnAndOfNobodyElse) {
    const TimePoint t0{};
    RtcpSession session{{{1}, "a", 11}, t0};
    std::array<std::byte, RtcpSession::max_datagram> buffer{};
    session.on_packet(*build_rtcp({{9}, an_info(), std::nullopt, "x", false}, buffer), t0, {});
    const auto block_about = [&](Ssrc ssrc) {
        ReportBlock about;
        about.ssrc = ssrc;
        auto compound = parse_rtcp(session.build(t0 + 1'500ms, std::nullopt, about, buffer));
        return parse_report(*compound->next())->block(0);
    };
    EXPECT_EQ(block_about({9}).last_sr, an_info().ntp.middle());
    EXPECT_EQ(block_about({9}).delay_since_last_sr, 0x0001'8000u);
    EXPECT_EQ(block_about({8}).last_sr, 0u);
    EXPECT_EQ(block_about({8}).delay_since_last_sr, 0u);
}

TEST(RtcpSession, IgnoresBlocksAboutSomebodyElse) {
    const TimePoint t0{};
    RtcpSession session{{{1}, "a", 11}, t0};
    std::array<std::byte, 512> buffer{};
    const auto other = build_rtcp({{9}, std::nullopt, a_block(), "x", false}, buffer);
    session.on_packet(*other, t0, {});
    EXPECT_EQ(session.stats().received, 1u);
    EXPECT_EQ(session.stats().remote_fraction_lost, 0);
}

}  // namespace
}  // namespace oavc::media
