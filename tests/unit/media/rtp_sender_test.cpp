#include "media/rtp_sender.hpp"

#include "media/level.hpp"
#include "support/rtp_packets.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>
#include <vector>

namespace oavc::media {
namespace {

const TimePoint t0{};

RtpSenderConfig config_with(RtpStart start, milliseconds ptime = 20ms) {
    RtpSenderConfig config;
    config.start = start;
    config.ptime = ptime;
    return config;
}

struct Sender {
    RtpSender sender;
    std::array<std::byte, RtpSender::max_datagram> buffer{};
    std::vector<test::Bytes> sent;  // keeps what the views below borrow
    std::vector<RtpPacketView> packets;

    explicit Sender(const RtpSenderConfig& config) : sender{config} {}

    void keep(std::span<const std::byte> datagram) {
        while (!datagram.empty()) {
            sent.emplace_back(datagram.begin(), datagram.end());
            packets.push_back(*parse_rtp(sent.back()));
            datagram = sender.next(buffer);
        }
    }
    void frame(Samples samples, TimePoint deadline) {
        keep(sender.build({samples, narrowband}, deadline, buffer));
    }
    void silence(TimePoint deadline) { keep(sender.build_silence(deadline, buffer)); }
};

TEST(RtpSender, SendsOnePacketPerFrameWithConsecutiveNumbers) {
    Sender leg{config_with({7, {1'000}, {99}})};
    const auto speech = test::tone(440, 480);
    for (std::size_t i = 0; i < 3; ++i) {
        leg.frame(std::span{speech}.subspan(160 * i, 160), t0 + i * 20ms);
    }
    ASSERT_EQ(leg.packets.size(), 3u);
    for (std::size_t i = 0; i < 3; ++i) {
        const auto& packet = leg.packets[i];
        EXPECT_EQ(packet.sequence_number, 7 + i);
        EXPECT_EQ(packet.timestamp, RtpTimestamp{static_cast<std::uint32_t>(1'000 + 160 * i)});
        EXPECT_EQ(packet.ssrc, Ssrc{99});
        EXPECT_EQ(packet.payload_type, PayloadType{0});
        EXPECT_EQ(packet.marker, i == 0);
        ASSERT_EQ(packet.payload.size(), 160u);
        for (std::size_t n = 0; n < 160; ++n) {
            ASSERT_EQ(packet.payload[n], std::byte{g711::ulaw_encode(speech[160 * i + n])});
        }
    }
    EXPECT_EQ(leg.sender.stats().packets, 3u);
    EXPECT_EQ(leg.sender.stats().octets, 480u);
}

TEST(RtpSender, MarksTheFirstPacketOfEachTalkspurtOnly) {
    Sender leg{config_with({})};
    const std::vector<Sample> frame(160, 1'000);
    const std::string plan = "..##..#.##";
    for (std::size_t i = 0; i < plan.size(); ++i) {
        if (plan[i] == '#') {
            leg.frame(frame, t0 + i * 20ms);
        } else {
            leg.silence(t0 + i * 20ms);
        }
    }
    std::string markers;
    for (const auto& packet : leg.packets)
        markers += packet.marker ? 'M' : '-';
    EXPECT_EQ(markers, "--M---M-M-") << "and RTP never stops";
}

TEST(RtpSender, TimestampsFollowTheDeadlinesWhenTicksAreSkipped) {
    Sender leg{config_with({0, {500}, {}})};
    const std::vector<Sample> frame(160, 1'000);
    for (const auto at : {0ms, 20ms, 120ms, 140ms})
        leg.frame(frame, t0 + at);
    ASSERT_EQ(leg.packets.size(), 4u);
    EXPECT_EQ(leg.packets[2].timestamp, RtpTimestamp{500 + 6 * 160});
    EXPECT_EQ(leg.packets[3].timestamp, RtpTimestamp{500 + 7 * 160});
    EXPECT_EQ(leg.packets[3].sequence_number, 3) << "nothing was lost";
    EXPECT_EQ(leg.sender.stats().skipped_ticks, 4u);
}

TEST(RtpSender, DeadlinesThatTrembleDoNotMoveTheClock) {
    Sender leg{config_with({0, {0}, {}})};
    const std::vector<Sample> frame(160, 1'000);
    for (int i = 0; i < 500; ++i)
        leg.frame(frame, t0 + i * 20ms + milliseconds{4 - i * 7 % 9});
    EXPECT_EQ(leg.packets.back().timestamp, RtpTimestamp{499 * 160});
    EXPECT_EQ(leg.sender.stats().skipped_ticks, 0u);
}

TEST(RtpSender, SkippedTicksAreRoundedToWholeOnes) {
    Sender leg{config_with({0, {0}, {}})};
    const std::vector<Sample> frame(160, 1'000);
    for (const auto at : {4ms, 20ms, 98ms, 127ms})
        leg.frame(frame, t0 + at);
    EXPECT_EQ(leg.packets[2].timestamp, RtpTimestamp{5 * 160});
    EXPECT_EQ(leg.packets[3].timestamp, RtpTimestamp{6 * 160});
}

TEST(RtpSender, HonoursEveryPacketTime) {
    const auto speech = test::tone(300, 160 * 60);
    for (const int ptime : {10, 20, 30, 40, 50, 60}) {
        Sender leg{config_with({0, {0}, {}}, milliseconds{ptime})};
        for (std::size_t i = 0; i < 60; ++i) {
            leg.frame(std::span{speech}.subspan(160 * i, 160), t0 + i * 20ms);
        }
        EXPECT_EQ(leg.packets.size(), 1'200u / static_cast<unsigned>(ptime)) << ptime;
        std::size_t at = 0;
        for (const auto& packet : leg.packets) {
            EXPECT_EQ(packet.payload.size(), static_cast<std::size_t>(ptime) * 8);
            EXPECT_EQ(packet.timestamp.value, at) << ptime;
            for (const auto byte : packet.payload) {
                ASSERT_EQ(byte, std::byte{g711::ulaw_encode(speech[at])}) << ptime << " at " << at;
                ++at;
            }
        }
    }
}

TEST(RtpSender, ATickSkippedWithinALongPacketDropsWhatWasGatheredAndKeepsTime) {
    Sender leg{config_with({0, {0}, {}}, 60ms)};
    const std::vector<Sample> frame(160, 1'000);
    for (const auto at : {0ms, 20ms, 80ms, 100ms, 120ms})
        leg.frame(frame, t0 + at);
    ASSERT_EQ(leg.packets.size(), 1u);
    EXPECT_EQ(leg.packets[0].timestamp, RtpTimestamp{4 * 160});
}

TEST(RtpSender, AShortFrameIsFilledUpAndALongOneCut) {
    Sender leg{config_with({})};
    leg.frame(std::vector<Sample>(10, 1'000), t0);
    leg.frame(std::vector<Sample>(500, 1'000), t0 + 20ms);
    ASSERT_EQ(leg.packets.size(), 2u);
    EXPECT_EQ(leg.packets[0].payload.size(), 160u);
    EXPECT_EQ(leg.packets[0].payload[10], g711::ulaw_silence);
    EXPECT_EQ(leg.packets[1].payload.size(), 160u);
}

TEST(RtpSender, ChangesItsFormatWithinTheStream) {
    Sender leg{config_with({100, {0}, {5}})};
    const std::vector<Sample> frame(160, 1'000);
    leg.frame(frame, t0);
    leg.sender.set_format(Codec::pcma, {8}, 40ms);
    leg.frame(frame, t0 + 20ms);
    leg.frame(frame, t0 + 40ms);
    ASSERT_EQ(leg.packets.size(), 2u);
    EXPECT_EQ(leg.packets[1].payload_type, PayloadType{8});
    EXPECT_EQ(leg.packets[1].sequence_number, 101);
    EXPECT_EQ(leg.packets[1].ssrc, Ssrc{5});
    EXPECT_EQ(leg.packets[1].timestamp, RtpTimestamp{160});
    EXPECT_EQ(leg.packets[1].payload[0], std::byte{g711::alaw_encode(1'000)});
}

TEST(RtpSender, SilenceIsTheCodecsOrComfortNoiseAtItsLevel) {
    for (const Codec codec : all_codecs) {
        auto config = config_with({});
        config.encoding = codec;
        AudioDecoder decoder{codec};
        const auto level = [&](const Sender& leg) {
            std::vector<Sample> pcm;
            std::array<Sample, 320> frame{};
            for (const auto& packet : leg.packets) {
                decoder.decode(packet.payload, frame);
                const auto decoded = std::span{frame}.first(samples_in(20ms, decoder.rate()));
                pcm.insert(pcm.end(), decoded.begin(), decoded.end());
            }
            return rms_dbfs(pcm);
        };
        Sender quiet{config};
        for (int i = 0; i < 10; ++i)
            quiet.silence(t0 + i * 20ms);
        EXPECT_LT(level(quiet), -70) << name(codec);

        config.comfort_noise_dbfs = -55;
        Sender noisy{config};
        for (int i = 0; i < 50; ++i)
            noisy.silence(t0 + i * 20ms);
        EXPECT_NEAR(level(noisy), -55, codec == Codec::opus ? 10 : 1.5) << name(codec);
        EXPECT_FALSE(noisy.packets[0].marker);
    }
}

TEST(RtpSender, StartsAnywhere) {
    std::set<std::uint32_t> seen;
    for (int i = 0; i < 50; ++i) {
        const auto start = RtpStart::random();
        seen.insert(start.ssrc.value);
        seen.insert(start.timestamp.value);
    }
    EXPECT_EQ(seen.size(), 100u);
    EXPECT_EQ(RtpStart::from_seed(5).ssrc, RtpStart::from_seed(5).ssrc);
    EXPECT_NE(RtpStart::from_seed(5).ssrc, RtpStart::from_seed(6).ssrc);
}

TEST(RtpSender, ReportsItselfForRtcp) {
    Sender leg{config_with({0, {1'000}, {}})};
    EXPECT_EQ(leg.sender.info(t0, {}), std::nullopt);
    const std::vector<Sample> frame(160, 1'000);
    leg.frame(frame, t0);
    leg.frame(frame, t0 + 20ms);
    const auto info = leg.sender.info(t0 + 50ms, {0x77});
    ASSERT_TRUE(info);
    EXPECT_EQ(info->packets, 2u);
    EXPECT_EQ(info->octets, 320u);
    EXPECT_EQ(info->rtp_timestamp, RtpTimestamp{1'000 + 400});
    EXPECT_EQ(info->ntp, NtpTime{0x77});
}

TEST(RtpSender, ABufferThatIsTooSmallSendsNothing) {
    RtpSender sender{config_with({})};
    std::array<std::byte, 100> small{};
    const std::vector<Sample> frame(160, 1'000);
    for (int i = 0; i < 10; ++i)
        EXPECT_TRUE(sender.build({frame, narrowband}, t0 + i * 20ms, small).empty());
    EXPECT_EQ(sender.stats().packets, 0u);
}

}  // namespace
}  // namespace oavc::media
