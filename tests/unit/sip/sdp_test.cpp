#include "sip/sdp.hpp"

#include <gtest/gtest.h>

#include <string>

namespace oavc::sip {
namespace {

constexpr std::string_view typical =
    "v=0\r\n"
    "o=caller 100 7 IN IP4 192.0.2.10\r\n"
    "s=-\r\n"
    "c=IN IP4 192.0.2.10\r\n"
    "t=0 0\r\n"
    "m=audio 6000 RTP/AVP 0 8 101\r\n"
    "a=rtpmap:0 PCMU/8000\r\n"
    "a=rtpmap:8 PCMA/8000\r\n"
    "a=rtpmap:101 telephone-event/8000\r\n"
    "a=fmtp:101 0-15\r\n"
    "a=ptime:20\r\n"
    "a=maxptime:40\r\n"
    "a=sendonly\r\n";

std::string replace_all(std::string text, std::string_view from, std::string_view to) {
    for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
        text.replace(at, from.size(), to);
    }
    return text;
}

TEST(ParseSdp, ReadsWhatAVoiceCallNeeds) {
    const auto sdp = parse_sdp(typical);
    ASSERT_TRUE(sdp.has_value()) << sdp.error().what;
    EXPECT_EQ(sdp->origin.session_id, 100u);
    EXPECT_EQ(sdp->origin.version, 7u);
    ASSERT_EQ(sdp->media.size(), 1u);
    const auto& audio = sdp->media[0];
    EXPECT_EQ(audio.type, "audio");
    EXPECT_EQ(audio.port, 6000);
    EXPECT_EQ(audio.protocol, "RTP/AVP");
    EXPECT_EQ(audio.formats, (std::vector<std::string>{"0", "8", "101"}));
    ASSERT_EQ(audio.rtpmaps.size(), 3u);
    EXPECT_EQ(audio.rtpmaps[2].encoding, "telephone-event");
    EXPECT_EQ(audio.rtpmaps[2].clock_rate, 8000u);
    ASSERT_EQ(audio.fmtps.size(), 1u);
    EXPECT_EQ(audio.fmtps[0].parameters, "0-15");
    EXPECT_EQ(audio.ptime, 20u);
    EXPECT_EQ(audio.maxptime, 40u);
    EXPECT_EQ(sdp->direction_of(audio), Direction::sendonly);
    EXPECT_EQ(sdp->connection_of(audio)->address, "192.0.2.10");
}

TEST(ParseSdp, WhatItWritesItReadsAgain) {
    const auto sdp = parse_sdp(typical);
    ASSERT_TRUE(sdp.has_value());
    EXPECT_EQ(write_sdp(*sdp), typical);
}

TEST(ParseSdp, TakesLineFeedsAloneTrailingBlanksAndAMissingLastLineEnd) {
    auto loose = replace_all(std::string{typical}, "\r\n", " \t\n");
    loose.resize(loose.size() - 3);
    const auto sdp = parse_sdp(loose);
    ASSERT_TRUE(sdp.has_value()) << sdp.error().what;
    EXPECT_EQ(write_sdp(*sdp), typical);
}

TEST(ParseSdp, TakesLinesThatWereDamagedOnTheirWay) {
    for (const auto* line_end : {"\n", "\r", "\r\n\r\n", "\n\r\n", "\r\r\n", " \r\n"}) {
        const auto sdp = parse_sdp(replace_all(std::string{typical}, "\r\n", line_end));
        ASSERT_TRUE(sdp.has_value()) << sdp.error().what;
        EXPECT_EQ(write_sdp(*sdp), typical);
    }
}

TEST(ParseSdp, ReadsKeysAndWhereRtcpGoes) {
    const std::string text =
        "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
        "m=audio 4000 RTP/SAVP 0\r\na=rtcp:4017 IN IP6 2001:db8::1\r\na=rtcp-mux\r\n"
        "a=crypto:1 SUITE inline:KEY\r\na=crypto:2 OTHER inline:KEY\r\n";
    const auto sdp = parse_sdp(text);
    ASSERT_TRUE(sdp.has_value());
    const auto& audio = sdp->media[0];
    EXPECT_EQ(audio.rtcp_connection->address, "2001:db8::1");
    EXPECT_TRUE(audio.rtcp_mux);
    EXPECT_EQ(audio.crypto, (std::vector<std::string>{"1 SUITE inline:KEY", "2 OTHER inline:KEY"}));
    EXPECT_EQ(write_sdp(*sdp), text);
    std::string many = text;
    for (std::size_t i = 0; i < 2 * max_sdp_crypto; ++i)
        many += "a=crypto:3 X inline:Y\r\n";
    EXPECT_EQ(parse_sdp(many)->media[0].crypto.size(), max_sdp_crypto);
}

TEST(ParseSdp, TheConnectionOfAStreamIsItsOwnBeforeTheSessions) {
    const auto sdp = parse_sdp(
        "v=0\r\no=- 1 1 IN IP6 ::1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
        "m=audio 4000 RTP/AVP 0\r\nc=IN IP6 2001:db8::7\r\n"
        "m=video 4002 RTP/AVP 96\r\n"
    );
    ASSERT_TRUE(sdp.has_value());
    EXPECT_EQ(sdp->connection_of(sdp->media[0])->address, "2001:db8::7");
    EXPECT_TRUE(sdp->connection_of(sdp->media[0])->ipv6);
    EXPECT_EQ(sdp->connection_of(sdp->media[1])->address, "192.0.2.1");
}

TEST(ParseSdp, AStreamInUseNeedsAConnectionAndARefusedOneDoesNot) {
    const std::string head = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n";
    EXPECT_EQ(parse_sdp(head + "m=audio 4000 RTP/AVP 0\r\n").error().code, SipErrc::no_connection);
    EXPECT_TRUE(parse_sdp(head + "m=audio 0 RTP/AVP 0\r\n").has_value());
}

TEST(ParseSdp, ADirectionOfTheSessionHoldsForStreamsThatSayNothing) {
    const auto sdp = parse_sdp(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\na=inactive\r\n"
        "m=audio 4000 RTP/AVP 0\r\nm=audio 4002 RTP/AVP 0\r\na=recvonly\r\n"
    );
    ASSERT_TRUE(sdp.has_value());
    EXPECT_EQ(sdp->direction_of(sdp->media[0]), Direction::inactive);
    EXPECT_EQ(sdp->direction_of(sdp->media[1]), Direction::recvonly);
}

TEST(ParseSdp, ReadsOverAttributesThatItDoesNotKnowOrCannotRead) {
    const auto sdp = parse_sdp(
        "v=0\r\no=- 99999999999999999999999 1 IN IP4 192.0.2.1\r\ns= \r\nc=IN IP4 "
        "224.2.1.1/127/3\r\n"
        "b=AS:64\r\nt=0 0\r\na=group:BUNDLE 0\r\n"
        "m=audio 4000/2 RTP/AVP 0\r\na=rtcp-mux\r\na=rtpmap:x\r\na=rtpmap:300 PCMU/8000\r\n"
        "a=rtpmap:0 PCMU/8000/1\r\na=ptime:20.0\r\na=ice-ufrag:abcd\r\na=rtcp:4017 IN IP4 "
        "192.0.2.1\r\n"
    );
    ASSERT_TRUE(sdp.has_value()) << sdp.error().what;
    EXPECT_EQ(sdp->connection->address, "224.2.1.1");
    EXPECT_EQ(sdp->media[0].port, 4000);
    EXPECT_EQ(sdp->media[0].rtpmaps.size(), 1u);
    EXPECT_EQ(sdp->media[0].ptime, 20u);
    EXPECT_EQ(sdp->media[0].rtcp_port, 4017);
}

TEST(ParseSdp, ADescriptionWithoutAnOriginCanStillBeWritten) {
    const auto sdp = parse_sdp("v=0\nc=IN IP4 192.0.2.1\nm=audio 9 RTP/AVP 0\n");
    ASSERT_TRUE(sdp.has_value());
    EXPECT_TRUE(parse_sdp(write_sdp(*sdp)).has_value());
}

TEST(ParseSdp, SaysWhereAndWhyItRefuses) {
    const auto cases = {
        "",
        "hello",
        "v=1\r\n",
        "v=0\r\nx\r\n",
        "v=0\r\no=broken\r\n",
        "v=0\r\nc=IN IP5 1\r\n",
        "v=0\r\nm=audio\r\n",
        "v=0\r\nm=audio 70000 RTP/AVP 0\r\n",
        "v=0\r\nm=audio 1 RTP/AVP\r\n",
        "o=- 1 1 IN IP4 1.2.3.4\r\nv=0\r\n",
    };
    for (const auto* text : cases) {
        const auto sdp = parse_sdp(text);
        ASSERT_TRUE(sdp.has_error()) << text;
        EXPECT_EQ(sdp.error().code, SipErrc::bad_sdp) << text;
        EXPECT_FALSE(sdp.error().what.empty());
    }
    EXPECT_EQ(parse_sdp("v=0\r\nc=IN IP5 1\r\n").error().offset, 5u);
}

TEST(ParseSdp, EveryBoundIsKept) {
    EXPECT_EQ(parse_sdp(std::string(max_sdp_bytes + 1, 'x')).error().code, SipErrc::too_long);
    std::string lines = "v=0\n";
    for (std::size_t i = 0; i < max_sdp_lines; ++i)
        lines += "i=x\n";
    EXPECT_EQ(parse_sdp(lines).error().code, SipErrc::too_long);
    std::string streams = "v=0\nc=IN IP4 192.0.2.1\n";
    for (std::size_t i = 0; i < max_sdp_streams; ++i)
        streams += "m=audio 1 RTP/AVP 0\n";
    EXPECT_TRUE(parse_sdp(streams).has_value());
    EXPECT_EQ(parse_sdp(streams + "m=audio 1 RTP/AVP 0\n").error().code, SipErrc::too_long);
    std::string formats = "v=0\nc=IN IP4 192.0.2.1\nm=audio 1 RTP/AVP";
    for (std::size_t i = 0; i <= max_sdp_formats; ++i)
        formats += " 0";
    EXPECT_EQ(parse_sdp(formats).error().code, SipErrc::bad_sdp);
}

TEST(ParseSdp, NoPrefixOrSingleByteErrorOfADescriptionBreaksIt) {
    for (std::size_t size = 0; size < typical.size(); ++size) {
        (void)parse_sdp(typical.substr(0, size));
        std::string damaged{typical};
        for (const char byte : {'\0', '\xff', '=', '\n'}) {
            damaged[size] = byte;
            (void)parse_sdp(damaged);
        }
    }
}

}  // namespace
}  // namespace oavc::sip
