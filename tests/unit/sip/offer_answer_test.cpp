#include "sip/offer_answer.hpp"

#include <gtest/gtest.h>

#include <string>

namespace oavc::sip {
namespace {

Sdp offer_of(const std::string& media, const std::string& connection = "IN IP4 192.0.2.10") {
    auto sdp = parse_sdp(
        "v=0\r\no=caller 100 1 IN IP4 192.0.2.10\r\ns=-\r\nc=" + connection + "\r\nt=11 22\r\n" +
        media
    );
    EXPECT_TRUE(sdp.has_value());
    return *sdp;
}

const LocalMedia ours{"198.51.100.5", 35000, 4711, 3};

TEST(MakeAnswer, TakesTheOfferersFirstCodecOfOurs) {
    struct Case {
        std::string media;
        AudioCodec codec;
        int payload_type;
    };
    for (const auto& [media, codec, payload_type] : {
             Case{"m=audio 6000 RTP/AVP 0 8\r\n", AudioCodec::pcmu, 0},
             Case{"m=audio 6000 RTP/AVP 8 0\r\n", AudioCodec::pcma, 8},
             Case{"m=audio 6000 RTP/AVP 18 9 8\r\n", AudioCodec::pcma, 8},
             Case{"m=audio 6000 RTP/AVP 97\r\na=rtpmap:97 pcmu/8000\r\n", AudioCodec::pcmu, 97},
             Case{"m=audio 6000 RTP/AVP 96 0\r\na=rtpmap:96 PCMU/16000\r\n", AudioCodec::pcmu, 0},
         }) {
        const auto answer = make_answer(offer_of(media), ours);
        ASSERT_TRUE(answer.has_value()) << media;
        EXPECT_EQ(answer->audio.codec, codec) << media;
        EXPECT_EQ(answer->audio.payload_type, payload_type) << media;
        EXPECT_EQ(answer->sdp.media[0].formats.front(), std::to_string(payload_type)) << media;
    }
}

TEST(MakeAnswer, WritesExactlyThis) {
    const auto offer = offer_of(
        "m=audio 6000 RTP/AVP 8 0 96\r\na=rtpmap:96 telephone-event/8000\r\na=fmtp:96 0-16\r\n"
        "a=ptime:30\r\na=rtcp-mux\r\n"
    );
    const auto answer = make_answer(offer, ours);
    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ(
        write_sdp(answer->sdp),
        "v=0\r\no=- 4711 3 IN IP4 198.51.100.5\r\ns=-\r\nc=IN IP4 198.51.100.5\r\nt=11 22\r\n"
        "m=audio 35000 RTP/AVP 8 96\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:96 telephone-event/8000\r\n"
        "a=fmtp:96 0-15\r\na=ptime:30\r\na=sendrecv\r\n"
    );
    EXPECT_EQ(answer->audio.event_payload_type, 96);
    EXPECT_EQ(answer->audio.remote_address, "192.0.2.10");
    EXPECT_EQ(answer->audio.remote_port, 6000);
    EXPECT_EQ(answer->audio.remote_rtcp_port, 6001);
}

TEST(MakeAnswer, SendsThePacketTimeThatWasAskedForIfItCan) {
    struct Case {
        const char* offered;
        unsigned ptime;
    };
    for (const auto& [offered, ptime] : {
             Case{"", 20},
             Case{"a=ptime:10\r\n", 10},
             Case{"a=ptime:60\r\n", 60},
             Case{"a=ptime:80\r\n", 20},
             Case{"a=ptime:25\r\n", 20},
             Case{"a=ptime:0\r\n", 20},
             Case{"a=ptime:40\r\na=maxptime:30\r\n", 30},
             Case{"a=maxptime:5\r\n", 10},
         }) {
        const auto answer =
            make_answer(offer_of(std::string{"m=audio 6000 RTP/AVP 0\r\n"} + offered), ours);
        EXPECT_EQ(answer->audio.ptime, ptime) << offered;
        EXPECT_EQ(answer->sdp.media[0].ptime, ptime) << offered;
    }
}

TEST(MakeAnswer, NamesNoTelephoneEventThatWasNotOffered) {
    const auto answer = make_answer(offer_of("m=audio 6000 RTP/AVP 0\r\n"), ours);
    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ(answer->audio.event_payload_type, std::nullopt);
    EXPECT_EQ(answer->sdp.media[0].formats, std::vector<std::string>{"0"});
    // Digits on another clock than the audio's are not ours to take.
    const auto wideband = make_answer(
        offer_of("m=audio 6000 RTP/AVP 0 97\r\na=rtpmap:97 telephone-event/16000\r\n"), ours
    );
    EXPECT_EQ(wideband->audio.event_payload_type, std::nullopt);
}

TEST(MakeAnswer, MirrorsTheDirection) {
    struct Case {
        const char* offered;
        Direction answered;
    };
    for (const auto& [offered, answered] : {
             Case{"", Direction::sendrecv},
             Case{"a=sendrecv\r\n", Direction::sendrecv},
             Case{"a=sendonly\r\n", Direction::recvonly},
             Case{"a=recvonly\r\n", Direction::sendonly},
             Case{"a=inactive\r\n", Direction::inactive},
         }) {
        const auto answer =
            make_answer(offer_of(std::string{"m=audio 6000 RTP/AVP 0\r\n"} + offered), ours);
        EXPECT_EQ(answer->audio.direction, answered) << offered;
        EXPECT_EQ(answer->sdp.media[0].direction, answered) << offered;
    }
}

TEST(MakeAnswer, AnAddressOfZerosMeansThatTheCallerReceivesNothing) {
    const auto held = make_answer(offer_of("m=audio 6000 RTP/AVP 0\r\n", "IN IP4 0.0.0.0"), ours);
    EXPECT_EQ(held->audio.direction, Direction::recvonly);
    EXPECT_EQ(held->audio.remote_port, 0);
    EXPECT_EQ(held->audio.remote_address, "");
    const auto dead =
        make_answer(offer_of("m=audio 6000 RTP/AVP 0\r\na=recvonly\r\n", "IN IP6 ::"), ours);
    EXPECT_EQ(dead->audio.direction, Direction::inactive);
}

TEST(MakeAnswer, RefusesEveryOtherStreamInItsPlace) {
    const auto answer = make_answer(
        offer_of("m=image 4000 udptl t38\r\n"
                 "m=audio 4002 RTP/SAVP 0\r\n"
                 "m=audio 4004 RTP/AVP 0\r\n"
                 "m=audio 4006 RTP/AVP 0\r\n"
                 "m=video 4008 RTP/AVP 31 32\r\n"),
        ours
    );
    ASSERT_TRUE(answer.has_value());
    ASSERT_EQ(answer->sdp.media.size(), 5u);
    const auto& media = answer->sdp.media;
    EXPECT_EQ(media[0].port, 0);
    EXPECT_EQ(media[0].protocol, "udptl");
    EXPECT_EQ(media[1].port, 0);
    EXPECT_EQ(media[2].port, 35000);
    EXPECT_EQ(media[3].port, 0);
    EXPECT_EQ(media[4].port, 0);
    EXPECT_EQ(media[4].formats, std::vector<std::string>{"31"});
    EXPECT_EQ(answer->audio.remote_port, 4004);
}

TEST(MakeAnswer, HasNoneWhenNothingIsInCommon) {
    for (const auto* media : {
             "",
             "m=audio 6000 RTP/AVP 18\r\na=rtpmap:18 G729/8000\r\n",
             "m=audio 6000 RTP/SAVP 0\r\n",
             "m=audio 0 RTP/AVP 0\r\n",
             "m=video 6000 RTP/AVP 0\r\n",
             "m=audio 6000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000/2\r\n",
             "m=audio 6000 RTP/AVP 101\r\na=rtpmap:101 telephone-event/8000\r\n",
         }) {
        EXPECT_EQ(make_answer(offer_of(media), ours).error(), SipErrc::no_common_codec) << media;
    }
}

TEST(MakeAnswer, SpeaksIpv6WhenOurAddressIsOne) {
    const auto answer = make_answer(
        offer_of("m=audio 6000 RTP/AVP 0\r\n", "IN IP6 2001:db8::1"), {"2001:db8::2", 35000, 1, 1}
    );
    EXPECT_NE(write_sdp(answer->sdp).find("c=IN IP6 2001:db8::2\r\n"), std::string::npos);
    EXPECT_EQ(answer->audio.remote_address, "2001:db8::1");
}

TEST(AcceptAnswer, SettlesALateOffer) {
    const auto offer = make_offer(ours, AudioCodec::pcmu);
    const auto accepted = accept_answer(
        offer, offer_of("m=audio 6000 RTP/AVP 0 99\r\na=rtpmap:99 telephone-event/8000\r\n")
    );
    ASSERT_TRUE(accepted.has_value());
    EXPECT_EQ(accepted->remote_port, 6000);
    EXPECT_EQ(accepted->event_payload_type, 99);
    EXPECT_EQ(accepted->direction, Direction::sendrecv);
    const auto held = accept_answer(offer, offer_of("m=audio 6000 RTP/AVP 0\r\na=recvonly\r\n"));
    EXPECT_EQ(held->direction, Direction::sendonly);
}

TEST(AcceptAnswer, RefusesWhatDoesNotFitTheOffer) {
    const auto offer = make_offer(ours, AudioCodec::pcmu);
    EXPECT_EQ(accept_answer(offer, offer_of("")).error(), SipErrc::bad_answer);
    EXPECT_EQ(
        accept_answer(offer, offer_of("m=audio 6000 RTP/AVP 18\r\n")).error(),
        SipErrc::no_common_codec
    );
    EXPECT_EQ(
        accept_answer(offer, offer_of("m=audio 0 RTP/AVP 0\r\n")).error(), SipErrc::no_common_codec
    );
}

}  // namespace
}  // namespace oavc::sip
