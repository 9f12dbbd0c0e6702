#include "sip/offer_answer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
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

using enum AudioCodec;

MediaPreferences all_codecs() {
    MediaPreferences preferences;
    preferences.codecs = {opus, g722, pcmu, pcma, l16};
    return preferences;
}

LocalMedia ours_with_keys() {
    auto local = ours;
    for (std::size_t i = 0; i < local.srtp_keys.size(); ++i) {
        local.srtp_keys[i].bytes.fill(static_cast<std::byte>(i + 1));
    }
    return local;
}

MediaPreferences with_srtp(SrtpPolicy policy) {
    auto preferences = all_codecs();
    preferences.srtp = policy;
    return preferences;
}

const std::string crypto_80 =
    "a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^31\r\n";
const std::string crypto_32 =
    "a=crypto:4 AES_CM_128_HMAC_SHA1_32 inline:NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj\r\n";
const std::string crypto_256 =
    "a=crypto:1 AES_256_CM_HMAC_SHA1_80 "
    "inline:MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMA==\r\n";

TEST(MakeAnswer, TakesTheOfferersFirstCodecOfOurs) {
    struct Case {
        std::string media;
        AudioCodec codec;
        int payload_type;
    };
    for (const auto& [media, codec, payload_type] : {
             Case{"m=audio 6000 RTP/AVP 0 8\r\n", AudioCodec::pcmu, 0},
             Case{"m=audio 6000 RTP/AVP 8 0\r\n", AudioCodec::pcma, 8},
             Case{"m=audio 6000 RTP/AVP 18 99 8\r\n", AudioCodec::pcma, 8},
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
        "a=fmtp:96 0-15\r\na=ptime:30\r\na=rtcp-mux\r\na=sendrecv\r\n"
    );
    EXPECT_EQ(answer->audio.event_payload_type, 96);
    EXPECT_EQ(answer->audio.remote_address, "192.0.2.10");
    EXPECT_EQ(answer->audio.remote_port, 6000);
    EXPECT_TRUE(answer->audio.rtcp_mux);
    EXPECT_EQ(answer->audio.remote_rtcp_port, 6000);
}

TEST(MakeAnswer, KnowsWhereRtcpGoes) {
    const auto rtcp_of = [](const std::string& attributes) {
        const auto audio =
            make_answer(offer_of("m=audio 6000 RTP/AVP 0\r\n" + attributes), ours)->audio;
        return audio.remote_rtcp_address + ' ' + std::to_string(audio.remote_rtcp_port);
    };
    EXPECT_EQ(rtcp_of(""), "192.0.2.10 6001");
    EXPECT_EQ(rtcp_of("a=rtcp:7000\r\n"), "192.0.2.10 7000");
    EXPECT_EQ(rtcp_of("a=rtcp:7000 IN IP4 192.0.2.99\r\n"), "192.0.2.99 7000");
    EXPECT_EQ(rtcp_of("a=rtcp:7000\r\na=rtcp-mux\r\n"), "192.0.2.10 6000");
}

TEST(MakeAnswer, ReadsEveryCodecOfOursByItsRtpmap) {
    struct Case {
        std::string media;
        AudioCodec codec;
        std::uint32_t clock_rate;
        std::uint32_t sample_rate;
        std::string rtpmap;
    };
    for (const auto& [media, codec, clock, rate, rtpmap] : {
             Case{"9\r\n", g722, 8000, 16000, "9 G722/8000"},
             Case{"105\r\na=rtpmap:105 g722/8000/1\r\n", g722, 8000, 16000, "105 G722/8000"},
             Case{"111\r\na=rtpmap:111 OPUS/48000/2\r\n", opus, 48000, 16000, "111 opus/48000/2"},
             Case{"111\r\na=rtpmap:111 opus/48000\r\n", opus, 48000, 16000, "111 opus/48000/2"},
             Case{"99\r\na=rtpmap:99 L16/16000\r\n", l16, 16000, 16000, "99 L16/16000"},
             Case{"99\r\na=rtpmap:99 L16/8000\r\n", l16, 8000, 8000, "99 L16/8000"},
             Case{"8\r\n", pcma, 8000, 8000, "8 PCMA/8000"},
         }) {
        const auto answer =
            make_answer(offer_of("m=audio 6000 RTP/AVP " + media), ours, all_codecs());
        ASSERT_TRUE(answer.has_value()) << media;
        EXPECT_EQ(answer->audio.codec, codec) << media;
        EXPECT_EQ(answer->audio.clock_rate, clock) << media;
        EXPECT_EQ(sample_rate(answer->audio.format()).hz, rate) << media;
        EXPECT_NE(write_sdp(answer->sdp).find("a=rtpmap:" + rtpmap + "\r\n"), std::string::npos)
            << media;
    }
    for (const auto* media :
         {"10\r\n",
          "11\r\n",
          "96\r\na=rtpmap:96 L16/44100\r\n",
          "96\r\na=rtpmap:96 L16/16000/2\r\n",
          "96\r\na=rtpmap:96 G722/16000\r\n",
          "96\r\na=rtpmap:96 opus/16000/2\r\n",
          "96\r\n",
          "9\r\na=rtpmap:9 G729/8000\r\n"}) {
        EXPECT_EQ(
            make_answer(offer_of(std::string{"m=audio 6000 RTP/AVP "} + media), ours, all_codecs())
                .error(),
            SipErrc::no_common_codec
        ) << media;
    }
}

TEST(MakeAnswer, TellsAnOpusPeerWhatWeHearAndWant) {
    const auto answer = make_answer(
        offer_of("m=audio 6000 RTP/AVP 111\r\na=rtpmap:111 opus/48000/2\r\n"
                 "a=fmtp:111 minptime=10;useinbandfec=1\r\n"),
        ours,
        all_codecs()
    );
    ASSERT_EQ(answer->sdp.media[0].fmtps.size(), 1u);
    const auto& parameters = answer->sdp.media[0].fmtps[0].parameters;
    for (const auto* part : {"maxplaybackrate=16000", "useinbandfec=1", "stereo=0"}) {
        EXPECT_NE(parameters.find(part), std::string::npos) << part;
    }
}

TEST(MakeAnswer, KeepsTheOfferersOrderUnlessOursIsWanted) {
    const auto offer =
        offer_of("m=audio 6000 RTP/AVP 18 8 9 0 111\r\na=rtpmap:111 opus/48000/2\r\n");
    auto preferences = all_codecs();
    EXPECT_EQ(make_answer(offer, ours, preferences)->audio.codec, pcma);
    preferences.ours_first = true;
    EXPECT_EQ(make_answer(offer, ours, preferences)->audio.codec, opus);
    preferences.codecs = {g722, opus};
    EXPECT_EQ(make_answer(offer, ours, preferences)->audio.codec, g722);
    preferences.codecs = {l16};
    EXPECT_EQ(make_answer(offer, ours, preferences).error(), SipErrc::no_common_codec);
}

TEST(MakeAnswer, TakesDigitsOnTheCodecsClockBeforeOthers) {
    const std::string both =
        "a=rtpmap:101 telephone-event/8000\r\na=rtpmap:102 telephone-event/48000\r\n"
        "a=rtpmap:111 opus/48000/2\r\n";
    const auto with_opus =
        make_answer(offer_of("m=audio 6000 RTP/AVP 111 0 101 102\r\n" + both), ours, all_codecs());
    EXPECT_EQ(with_opus->audio.event_payload_type, 102);
    EXPECT_EQ(with_opus->sdp.media[0].formats, (std::vector<std::string>{"111", "102"}));
    EXPECT_EQ(with_opus->sdp.media[0].rtpmaps[1].clock_rate, 48000u);
    const auto with_pcmu =
        make_answer(offer_of("m=audio 6000 RTP/AVP 0 111 102 101\r\n" + both), ours, all_codecs());
    EXPECT_EQ(with_pcmu->audio.event_payload_type, 101);
    // Many phones name 8000 only, whatever the codec.
    const auto careless =
        make_answer(offer_of("m=audio 6000 RTP/AVP 111 101\r\n" + both), ours, all_codecs());
    EXPECT_EQ(careless->audio.event_payload_type, 101);
    EXPECT_EQ(careless->sdp.media[0].rtpmaps[1].clock_rate, 8000u);
}

TEST(MakeAnswer, TakesComfortNoiseIfItIsOfferedForTheCodecsClock) {
    const auto noise_of = [](const std::string& media) {
        return make_answer(offer_of("m=audio 6000 RTP/AVP " + media), ours, all_codecs())
            ->audio.noise_payload_type;
    };
    EXPECT_EQ(noise_of("0 13\r\n"), 13);
    EXPECT_EQ(noise_of("9 13 101\r\na=rtpmap:13 CN/8000\r\n"), 13);
    EXPECT_EQ(noise_of("0 107\r\na=rtpmap:107 cn/8000\r\n"), 107);
    EXPECT_EQ(noise_of("0 107\r\na=rtpmap:107 CN/16000\r\n"), std::nullopt);
    EXPECT_EQ(noise_of("111 13\r\na=rtpmap:111 opus/48000/2\r\n"), std::nullopt);
    EXPECT_EQ(noise_of("0\r\n"), std::nullopt);
    const auto answer = make_answer(offer_of("m=audio 6000 RTP/AVP 0 13\r\n"), ours);
    EXPECT_NE(write_sdp(answer->sdp).find("a=rtpmap:13 CN/8000\r\n"), std::string::npos);
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
             Case{"a=ptime:40\r\na=maxptime:35\r\n", 30},
         }) {
        const auto answer =
            make_answer(offer_of(std::string{"m=audio 6000 RTP/AVP 0\r\n"} + offered), ours);
        EXPECT_EQ(answer->audio.ptime, ptime) << offered;
        EXPECT_EQ(answer->sdp.media[0].ptime, ptime) << offered;
    }
}

TEST(MakeAnswer, SendsPacketTimesThatTheCodecHasAndThatFitEthernet) {
    const auto ptime_of = [](const std::string& media) {
        return make_answer(offer_of("m=audio 6000 RTP/AVP " + media), ours, all_codecs())
            ->audio.ptime;
    };
    const std::string opus_map = "96\r\na=rtpmap:96 opus/48000/2\r\n";
    EXPECT_EQ(ptime_of(opus_map + "a=ptime:30\r\n"), 20u);
    EXPECT_EQ(ptime_of(opus_map + "a=ptime:50\r\n"), 40u);
    EXPECT_EQ(ptime_of(opus_map + "a=ptime:60\r\n"), 60u);
    EXPECT_EQ(ptime_of(opus_map + "a=ptime:10\r\n"), 10u);
    EXPECT_EQ(ptime_of(opus_map + "a=ptime:60\r\na=maxptime:59\r\n"), 40u);
    EXPECT_EQ(ptime_of("97\r\na=rtpmap:97 L16/16000\r\na=ptime:60\r\n"), 40u);
    EXPECT_EQ(ptime_of("97\r\na=rtpmap:97 L16/8000\r\na=ptime:60\r\n"), 60u);
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

TEST(MakeAnswer, WhatWeWantNarrowsWhatIsAgreedOn) {
    auto local = ours;
    local.direction = Direction::sendonly;  // we hold, and they refresh the session meanwhile
    const auto direction = [&](const char* offered) {
        return make_answer(offer_of(std::string{"m=audio 6000 RTP/AVP 0\r\n"} + offered), local)
            ->audio.direction;
    };
    EXPECT_EQ(direction(""), Direction::sendonly);
    EXPECT_EQ(direction("a=sendonly\r\n"), Direction::inactive);
    EXPECT_EQ(direction("a=inactive\r\n"), Direction::inactive);
}

TEST(MakeAnswer, ReadsOverWhatBrowsersSayButNotOverTheirProfile) {
    const std::string lines =
        "a=group:BUNDLE audio\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n"
        "a=fingerprint:sha-256 00:11\r\na=setup:actpass\r\na=mid:audio\r\n"
        "a=candidate:1 1 UDP 1 192.0.2.1 6000 typ host\r\n";
    EXPECT_TRUE(make_answer(offer_of("m=audio 6000 RTP/AVP 0\r\n" + lines), ours).has_value());
    for (const auto* profile :
         {"RTP/SAVPF", "UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "TCP/RTP/AVP"}) {
        const auto media = "m=audio 6000 " + std::string{profile} + " 0\r\n" + lines;
        for (const auto policy : {SrtpPolicy::off, SrtpPolicy::optional, SrtpPolicy::required}) {
            EXPECT_EQ(
                make_answer(offer_of(media), ours_with_keys(), with_srtp(policy)).error(),
                SipErrc::no_common_security
            ) << profile;
        }
    }
}

TEST(SrtpAnswer, TakesTheFirstKeyItUnderstandsAndAnswersWithOurOwn) {
    const auto local = ours_with_keys();
    const auto offer = offer_of("m=audio 6000 RTP/SAVP 0\r\n" + crypto_256 + crypto_32 + crypto_80);
    const auto answer = make_answer(offer, local, with_srtp(SrtpPolicy::optional));
    ASSERT_TRUE(answer.has_value());
    const auto& srtp = answer->audio.srtp;
    ASSERT_TRUE(srtp.has_value());
    EXPECT_EQ(srtp->tag, 4u);
    EXPECT_EQ(srtp->suite, SrtpSuite::aes_cm_128_hmac_sha1_32);
    EXPECT_EQ(srtp->local, local.srtp_keys[1]);
    EXPECT_EQ(static_cast<char>(srtp->remote.bytes[0]), '7');
    EXPECT_EQ(answer->sdp.media[0].protocol, "RTP/SAVP");
    ASSERT_EQ(answer->sdp.media[0].crypto.size(), 1u);
    const auto said = parse_crypto(answer->sdp.media[0].crypto[0]);
    ASSERT_TRUE(said.has_value());
    EXPECT_EQ(said->tag, 4u);
    EXPECT_EQ(said->key, local.srtp_keys[1]);
}

TEST(SrtpAnswer, KeepsToThePolicy) {
    struct Case {
        std::string media;
        SrtpPolicy policy;
        std::optional<bool> encrypted;  // nothing: refused
    };
    const std::string avp = "m=audio 6000 RTP/AVP 0\r\n";
    const std::string savp = "m=audio 6000 RTP/SAVP 0\r\n";
    for (const auto& [media, policy, encrypted] : {
             Case{avp, SrtpPolicy::off, false},
             Case{avp + crypto_80, SrtpPolicy::off, false},
             Case{savp + crypto_80, SrtpPolicy::off, std::nullopt},
             Case{avp, SrtpPolicy::optional, false},
             Case{avp + crypto_80, SrtpPolicy::optional, true},
             Case{avp + crypto_256, SrtpPolicy::optional, false},
             Case{savp + crypto_80, SrtpPolicy::optional, true},
             Case{savp, SrtpPolicy::optional, std::nullopt},
             Case{savp + crypto_256, SrtpPolicy::optional, std::nullopt},
             Case{avp, SrtpPolicy::required, std::nullopt},
             Case{avp + crypto_32, SrtpPolicy::required, true},
             Case{savp + crypto_32, SrtpPolicy::required, true},
         }) {
        const auto answer = make_answer(offer_of(media), ours_with_keys(), with_srtp(policy));
        ASSERT_EQ(answer.has_value(), encrypted.has_value()) << media;
        if (!answer) {
            EXPECT_EQ(answer.error(), SipErrc::no_common_security) << media;
            continue;
        }
        EXPECT_EQ(answer->audio.srtp.has_value(), *encrypted) << media;
        EXPECT_EQ(answer->sdp.media[0].crypto.size(), *encrypted ? 1u : 0u) << media;
    }
}

TEST(SrtpAnswer, PrefersTheEncryptedOneOfTwoStreams) {
    const auto offer =
        offer_of("m=audio 6000 RTP/AVP 0\r\nm=audio 6002 RTP/SAVP 0\r\n" + crypto_80);
    const auto encrypted = make_answer(offer, ours_with_keys(), with_srtp(SrtpPolicy::optional));
    EXPECT_EQ(encrypted->audio.remote_port, 6002);
    EXPECT_EQ(encrypted->sdp.media[0].port, 0);
    const auto plain = make_answer(offer, ours_with_keys(), with_srtp(SrtpPolicy::off));
    EXPECT_EQ(plain->audio.remote_port, 6000);
    EXPECT_EQ(plain->sdp.media[1].port, 0);
}

TEST(MakeOffer, NamesEveryCodecAndDigitsOnEachClock) {
    EXPECT_EQ(
        write_sdp(make_offer(ours, all_codecs())),
        "v=0\r\no=- 4711 3 IN IP4 198.51.100.5\r\ns=-\r\nc=IN IP4 198.51.100.5\r\nt=0 0\r\n"
        "m=audio 35000 RTP/AVP 96 9 0 8 97 98 101 102 103\r\n"
        "a=rtpmap:96 opus/48000/2\r\na=rtpmap:9 G722/8000\r\na=rtpmap:0 PCMU/8000\r\n"
        "a=rtpmap:8 PCMA/8000\r\na=rtpmap:97 L16/16000\r\na=rtpmap:98 L16/8000\r\n"
        "a=rtpmap:101 telephone-event/8000\r\na=rtpmap:102 telephone-event/48000\r\n"
        "a=rtpmap:103 telephone-event/16000\r\n"
        "a=fmtp:96 maxplaybackrate=16000;sprop-maxcapturerate=16000;stereo=0;sprop-stereo=0;"
        "useinbandfec=1\r\n"
        "a=fmtp:101 0-15\r\na=fmtp:102 0-15\r\na=fmtp:103 0-15\r\n"
        "a=ptime:20\r\na=sendrecv\r\n"
    );
    MediaPreferences narrow;
    narrow.codecs = {pcma};
    EXPECT_EQ(make_offer(ours, narrow).media[0].formats, (std::vector<std::string>{"8", "101"}));
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

TEST(AcceptAnswer, TakesTheAnswerersChoiceAndNumbers) {
    const auto offer = make_offer(ours, all_codecs());
    const auto audio = accept_answer(
        offer,
        offer_of("m=audio 6000 RTP/AVP 120 0 126\r\na=rtpmap:120 opus/48000/2\r\n"
                 "a=rtpmap:126 telephone-event/48000\r\na=ptime:40\r\n"),
        all_codecs()
    );
    ASSERT_TRUE(audio.has_value());
    EXPECT_EQ(audio->format(), (PayloadFormat{120, opus, 48000}));
    EXPECT_EQ(audio->receives, (std::vector<PayloadFormat>{{96, opus, 48000}, {0, pcmu, 8000}}));
    EXPECT_EQ(audio->event_payload_type, 126);
    EXPECT_EQ(audio->received_event_payload_type, 102);
    EXPECT_EQ(audio->ptime, 40u);
}

TEST(AcceptAnswer, TakesNoCodecThatWasNotOffered) {
    MediaPreferences narrow;
    narrow.codecs = {pcmu};
    EXPECT_EQ(
        accept_answer(make_offer(ours, narrow), offer_of("m=audio 6000 RTP/AVP 8 9\r\n"), narrow)
            .error(),
        SipErrc::no_common_codec
    );
}

TEST(SrtpOffer, IsSettledByTheTagOfTheAnswer) {
    const auto local = ours_with_keys();
    for (const auto policy : {SrtpPolicy::optional, SrtpPolicy::required}) {
        const auto preferences = with_srtp(policy);
        const auto offer = make_offer(local, preferences);
        ASSERT_EQ(offer.media[0].crypto.size(), 2u);
        const auto& profile = offer.media[0].protocol;
        EXPECT_EQ(profile, policy == SrtpPolicy::required ? "RTP/SAVP" : "RTP/AVP");
        const auto answer = [&](const std::string& crypto) {
            return accept_answer(
                offer, offer_of("m=audio 6000 " + profile + " 0\r\n" + crypto), preferences
            );
        };
        auto right = crypto_32;
        right.replace(right.find(':') + 1, 1, "2");
        ASSERT_TRUE(answer(right).has_value());
        EXPECT_EQ(answer(right)->srtp->local, local.srtp_keys[1]);
        EXPECT_EQ(answer(right)->srtp->suite, SrtpSuite::aes_cm_128_hmac_sha1_32);
        // Another suite than the tag's, a tag that we did not offer, two lines, another suite.
        auto other = crypto_32;
        other.replace(other.find(':') + 1, 1, "1");
        for (const auto& wrong : {other, crypto_80, right + right, crypto_256}) {
            EXPECT_EQ(answer(wrong).error(), SipErrc::no_common_security) << wrong;
        }
        if (policy == SrtpPolicy::optional) {
            ASSERT_TRUE(answer("").has_value());
            EXPECT_FALSE(answer("")->srtp.has_value());
        } else {
            EXPECT_EQ(answer("").error(), SipErrc::no_common_security);
        }
    }
}

TEST(ListFormats, IsBoundedAndHarmless) {
    EXPECT_EQ(
        list_formats(offer_of("m=audio 6000 RTP/AVP 0 9 96 18\r\na=rtpmap:96 opus/48000/2\r\n"
                              "a=rtpmap:0 pcmu/8000\r\nm=video 1 RTP/AVP 31\r\n")),
        "PCMU/8000 G722 opus/48000 18"
    );
    std::string many = "m=audio 6000 RTP/AVP";
    for (int i = 96; i < 128; ++i)
        many += ' ' + std::to_string(i);
    many += "\r\n";
    for (int i = 96; i < 128; ++i)
        many += "a=rtpmap:" + std::to_string(i) + " evil\x1b[31m/8000\r\n";
    const auto list = list_formats(offer_of(many));
    EXPECT_LT(list.size(), 220u);
    EXPECT_EQ(list.find('\x1b'), std::string::npos);
}

class Dialog : public testing::Test {
protected:
    static Sdp parsed(const std::string& text) {
        auto sdp = parse_sdp(text);
        EXPECT_TRUE(sdp.has_value()) << text;
        return *sdp;
    }
    std::uint64_t version_of_answer(const std::string& media) {
        const auto answer = negotiation.answer(offer_of(media));
        EXPECT_TRUE(answer.has_value()) << media;
        return answer ? parsed(*answer).origin.version : 0;
    }

    MediaNegotiation negotiation{{"198.51.100.5", 35000, 4711, 1}, all_codecs()};
};

TEST_F(Dialog, OurVersionGrowsWithEachChangeAndOnlyThen) {
    EXPECT_EQ(version_of_answer("m=audio 6000 RTP/AVP 0\r\n"), 1u);
    const auto before = negotiation.audio();
    EXPECT_EQ(version_of_answer("m=audio 6000 RTP/AVP 0\r\n"), 1u);
    EXPECT_EQ(negotiation.audio(), before);
    EXPECT_EQ(version_of_answer("m=audio 6000 RTP/AVP 0\r\na=sendonly\r\n"), 2u);
    EXPECT_EQ(version_of_answer("m=audio 6000 RTP/AVP 0\r\n"), 3u);
    // Only they moved: what we say is what it was.
    EXPECT_EQ(version_of_answer("m=audio 6002 RTP/AVP 0\r\n"), 3u);
    EXPECT_EQ(negotiation.audio()->remote_port, 6002);
}

TEST_F(Dialog, TheCodecIsSwitchedByALaterOffer) {
    EXPECT_EQ(version_of_answer("m=audio 6000 RTP/AVP 0 9\r\n"), 1u);
    EXPECT_EQ(negotiation.audio()->codec, pcmu);
    EXPECT_EQ(version_of_answer("m=audio 6000 RTP/AVP 9\r\n"), 2u);
    EXPECT_EQ(negotiation.audio()->codec, g722);
    EXPECT_EQ(negotiation.audio()->offered.text, "G722");
}

TEST_F(Dialog, AnOfferThatDoesNotFitChangesNothing) {
    EXPECT_EQ(version_of_answer("m=audio 6000 RTP/AVP 0\r\n"), 1u);
    const auto before = negotiation.audio();
    EXPECT_EQ(
        negotiation.answer(offer_of("m=audio 6000 RTP/AVP 18\r\n")).error(),
        SipErrc::no_common_codec
    );
    EXPECT_EQ(negotiation.audio(), before);
    EXPECT_EQ(version_of_answer("m=audio 6000 RTP/AVP 0\r\n"), 1u);
}

TEST_F(Dialog, WeHoldAndResumeWithWhatIsInUse) {
    version_of_answer(
        "m=video 5000 RTP/AVP 31\r\n"
        "m=audio 6000 RTP/AVP 111 0 109\r\na=rtpmap:111 opus/48000/2\r\n"
        "a=rtpmap:109 telephone-event/48000\r\n"
    );
    negotiation.set_direction(Direction::sendonly);
    const auto hold = parsed(negotiation.offer());
    EXPECT_EQ(hold.origin.version, 2u);
    ASSERT_EQ(hold.media.size(), 2u);
    EXPECT_EQ(hold.media[0].port, 0);
    EXPECT_EQ(hold.media[1].formats, (std::vector<std::string>{"111", "109"}));
    EXPECT_EQ(hold.media[1].rtpmaps[1].clock_rate, 48000u);
    EXPECT_EQ(hold.media[1].direction, Direction::sendonly);
    EXPECT_EQ(negotiation.audio()->direction, Direction::sendrecv);  // not yet answered
    const auto answered = negotiation.accept(offer_of(
        "m=video 0 RTP/AVP 31\r\nm=audio 6000 RTP/AVP 111 109\r\n"
        "a=rtpmap:111 opus/48000/2\r\na=rtpmap:109 telephone-event/48000\r\na=recvonly\r\n"
    ));
    ASSERT_TRUE(answered.has_value()) << answered.error().message();
    EXPECT_EQ(negotiation.audio()->direction, Direction::sendonly);
    EXPECT_EQ(negotiation.audio()->event_payload_type, 109);

    negotiation.set_direction(Direction::sendrecv);
    EXPECT_EQ(parsed(negotiation.offer()).media[1].direction, Direction::sendrecv);
    negotiation.withdraw();  // refused with 491
    EXPECT_EQ(negotiation.audio()->direction, Direction::sendonly);
    EXPECT_FALSE(negotiation.has_offered());
}

TEST_F(Dialog, ACallOfOursIsSettledByItsAnswer) {
    const auto offer = parsed(negotiation.offer());
    EXPECT_EQ(offer.origin.version, 1u);
    EXPECT_FALSE(negotiation.audio().has_value());
    EXPECT_TRUE(
        negotiation.accept(offer_of("m=audio 6000 RTP/AVP 9 101\r\n"
                                    "a=rtpmap:101 telephone-event/8000\r\n"))
    );
    EXPECT_EQ(negotiation.audio()->codec, g722);
    EXPECT_EQ(negotiation.audio()->event_payload_type, 101);
    EXPECT_EQ(negotiation.accept(offer_of("")).error(), SipErrc::bad_answer);
}

TEST_F(Dialog, RekeyingGivesTheirNewKeyAndKeepsOurs) {
    MediaNegotiation secure{ours_with_keys(), with_srtp(SrtpPolicy::required)};
    const std::string savp = "m=audio 6000 RTP/SAVP 0\r\n";
    ASSERT_TRUE(secure.answer(offer_of(savp + crypto_80)).has_value());
    const auto first = *secure.audio()->srtp;
    auto new_key = crypto_80;
    new_key.replace(new_key.find("d0Rm"), 4, "AAAA");
    const auto answer = secure.answer(offer_of(savp + new_key));
    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ(secure.audio()->srtp->local, first.local);
    EXPECT_NE(secure.audio()->srtp->remote, first.remote);
    const auto reoffer = parsed(secure.offer());
    EXPECT_EQ(reoffer.media[0].protocol, "RTP/SAVP");
    ASSERT_EQ(reoffer.media[0].crypto.size(), 1u);
    EXPECT_EQ(parse_crypto(reoffer.media[0].crypto[0])->key, first.local);
}

}  // namespace
}  // namespace oavc::sip
