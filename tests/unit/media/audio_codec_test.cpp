#include "media/audio_codec.hpp"

#include "media/level.hpp"
#include "support/alloc_guard.hpp"
#include "support/clips.hpp"
#include "support/rtp_packets.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <random>
#include <vector>

namespace oavc::media {
namespace {

using test::Bytes;

const std::vector<Encoding> every_encoding{
    Codec::pcmu,
    Codec::pcma,
    Codec::g722,
    Codec::opus,
    Codec::l16,
    {Codec::l16, RtpClockRate{8'000}}};

std::string label(Encoding encoding) {
    return std::string{name(encoding.codec)} + "/" + std::to_string(encoding.clock.hz);
}

/// A vowel at the rate of the encoding.
test::Pcm speech(Encoding encoding, std::size_t samples) {
    static const auto wide = test::buzz(32'000, wideband);
    auto pcm = test::resample(wide, wideband, sample_rate(encoding));
    pcm.resize(samples);
    return pcm;
}

std::vector<Bytes> encode_all(AudioEncoder& encoder, Samples pcm, milliseconds ptime) {
    std::vector<Bytes> packets;
    const auto size = samples_in(ptime, encoder.rate());
    for (std::size_t at = 0; at + size <= pcm.size(); at += size) {
        Bytes payload(AudioEncoder::max_payload);
        payload.resize(encoder.encode(pcm.subspan(at, size), payload));
        packets.push_back(payload);
    }
    return packets;
}

/// How alike two signals are, best of all delays up to 20 ms: 1 is the same but for loudness.
double likeness(Samples a, Samples b) {
    double best = 0;
    for (std::size_t delay = 0; delay < 320; ++delay) {
        double ab = 0;
        double aa = 1;
        double bb = 1;
        for (std::size_t i = 0; i + delay < std::min({a.size(), b.size(), std::size_t{6'000}});
             ++i) {
            const double x = a[i];
            const double y = b[i + delay];
            ab += x * y;
            aa += x * x;
            bb += y * y;
        }
        best = std::max(best, ab / std::sqrt(aa * bb));
    }
    return best;
}

TEST(Codec, KnowsTheClockOfRtpFromTheRateOfItsSamples) {
    EXPECT_EQ(Encoding{Codec::g722}.clock, RtpClockRate{8'000}) << "RFC 3551 §4.5.2";
    EXPECT_EQ(sample_rate(Codec::g722), wideband);
    EXPECT_EQ(Encoding{Codec::opus}.clock, RtpClockRate{48'000});
    EXPECT_EQ(sample_rate(Codec::opus), wideband);
    EXPECT_EQ(sample_rate(Codec::pcma), narrowband);
    EXPECT_EQ(sample_rate(Codec::l16), wideband);
    EXPECT_EQ(sample_rate({Codec::l16, {8'000}}), narrowband);
}

TEST(Codec, IsFoundByItsRtpmapAndByItsStaticPayloadType) {
    EXPECT_EQ(encoding_from_rtpmap("pcmu", {8'000}), Encoding{Codec::pcmu});
    EXPECT_EQ(encoding_from_rtpmap("PCMA", {8'000}), Encoding{Codec::pcma});
    EXPECT_EQ(encoding_from_rtpmap("G722", {8'000}), Encoding{Codec::g722});
    EXPECT_EQ(encoding_from_rtpmap("OPUS", {48'000}, 2), Encoding{Codec::opus});
    EXPECT_EQ(encoding_from_rtpmap("L16", {16'000}), Encoding{Codec::l16});
    EXPECT_EQ(encoding_from_rtpmap("L16", {8'000}), (Encoding{Codec::l16, {8'000}}));
    EXPECT_EQ(encoding_from_rtpmap("opus", {48'000}), std::nullopt) << "RFC 7587: always /2";
    EXPECT_EQ(encoding_from_rtpmap("G722", {16'000}), std::nullopt);
    EXPECT_EQ(encoding_from_rtpmap("L16", {44'100}), std::nullopt);
    EXPECT_EQ(encoding_from_rtpmap("L16", {16'000}, 2), std::nullopt);
    EXPECT_EQ(encoding_from_rtpmap("PCMU", {16'000}), std::nullopt);
    EXPECT_EQ(encoding_from_rtpmap("PCM", {8'000}), std::nullopt);
    EXPECT_EQ(codec_from_static({0}), Codec::pcmu);
    EXPECT_EQ(codec_from_static({8}), Codec::pcma);
    EXPECT_EQ(codec_from_static({9}), Codec::g722);
    EXPECT_EQ(codec_from_static({11}), std::nullopt) << "L16 at 44.1 kHz";
    EXPECT_EQ(codec_from_static({3}), std::nullopt);
}

TEST(AudioCodec, SpeechSurvivesEveryCodecAtEveryPacketTime) {
    for (const auto encoding : every_encoding) {
        for (const int ptime : {10, 20, 30, 40, 50, 60}) {
            const bool possible = encoding.codec != Codec::opus || (ptime != 30 && ptime != 50);
            AudioEncoder encoder{encoding};
            AudioDecoder decoder{encoding};
            const auto original = speech(encoding, encoder.rate().hz * 3 / 5);
            std::vector<Sample> heard;
            for (const auto& payload : encode_all(encoder, original, milliseconds{ptime})) {
                const auto samples = samples_in(milliseconds{ptime}, decoder.rate());
                ASSERT_EQ(decoder.samples_in(payload), possible ? samples : 0) << label(encoding);
                std::array<Sample, 1'920> pcm{};
                ASSERT_EQ(decoder.decode(payload, pcm), possible ? samples : 0) << label(encoding);
                heard.insert(heard.end(), pcm.begin(), pcm.begin() + static_cast<int>(samples));
            }
            if (!possible) continue;
            EXPECT_GT(likeness(original, heard), 0.95) << label(encoding) << " " << ptime;
            EXPECT_NEAR(rms_dbfs(heard), rms_dbfs(original), 1) << label(encoding);
        }
    }
}

TEST(AudioCodec, WidebandKeepsWhatTheTelephoneCuts) {
    for (const auto encoding :
         {Encoding{Codec::g722}, Encoding{Codec::opus}, Encoding{Codec::l16}}) {
        AudioEncoder encoder{encoding};
        AudioDecoder decoder{encoding};
        const auto high = test::tone(6'000, 16'000, 8'000, 0, 16'000);  // beyond 4 kHz
        std::vector<Sample> heard;
        for (const auto& payload : encode_all(encoder, high, 20ms)) {
            std::array<Sample, 320> pcm{};
            decoder.decode(payload, pcm);
            heard.insert(heard.end(), pcm.begin(), pcm.end());
        }
        EXPECT_NEAR(rms_dbfs(Samples{heard}.last(8'000)), rms_dbfs(high), 3) << label(encoding);
    }
}

TEST(AudioCodec, L16IsInNetworkOrder) {
    AudioEncoder encoder{{Codec::l16, {8'000}}};
    const std::array<Sample, 3> pcm{0x0102, -2, -32'768};
    std::array<std::byte, 6> payload{};
    EXPECT_EQ(encoder.encode(pcm, payload), 6u);
    const std::array<unsigned, 6> expected{1, 2, 0xFF, 0xFE, 0x80, 0};
    for (std::size_t i = 0; i < 6; ++i)
        EXPECT_EQ(std::to_integer<unsigned>(payload[i]), expected[i]);
    AudioDecoder decoder{{Codec::l16, {8'000}}};
    std::array<Sample, 3> back{};
    EXPECT_EQ(decoder.decode(payload, back), 3u);
    EXPECT_EQ(back, pcm);
}

TEST(AudioCodec, SilenceIsSilent) {
    for (const auto encoding : every_encoding) {
        AudioEncoder encoder{encoding};
        AudioDecoder decoder{encoding};
        std::vector<Sample> heard;
        for (int i = 0; i < 20; ++i) {
            Bytes payload(AudioEncoder::max_payload);
            payload.resize(encoder.encode_silence(samples_in(20ms, encoder.rate()), payload));
            std::array<Sample, 320> pcm{};
            const auto samples = decoder.decode(payload, pcm);
            ASSERT_EQ(samples, samples_in(20ms, encoder.rate()));
            heard.insert(heard.end(), pcm.begin(), pcm.begin() + static_cast<int>(samples));
        }
        EXPECT_LT(rms_dbfs(heard), -60) << label(encoding);
    }
}

TEST(AudioCodec, ABufferThatIsTooSmallTakesNothing) {
    for (const auto encoding : every_encoding) {
        AudioEncoder encoder{encoding};
        const auto pcm = speech(encoding, samples_in(20ms, encoder.rate()));
        std::array<std::byte, 1> small{};
        EXPECT_EQ(encoder.encode(pcm, small), 0u) << label(encoding);
    }
}

TEST(AudioCodec, ALossIsMadeUpFromWhatWasHeardAndFades) {
    for (const auto encoding : every_encoding) {
        AudioEncoder encoder{encoding};
        AudioDecoder decoder{encoding};
        const auto frame = samples_in(20ms, encoder.rate());
        const auto original = speech(encoding, frame * 10);
        std::vector<Sample> pcm(frame);
        EXPECT_FALSE(decoder.conceal(pcm)) << label(encoding);
        EXPECT_EQ(rms_dbfs(pcm), silence_dbfs) << "nothing was heard yet";
        for (const auto& payload : encode_all(encoder, original, 20ms))
            decoder.decode(payload, pcm);
        const auto before = rms_dbfs(pcm);
        EXPECT_TRUE(decoder.conceal(pcm));
        EXPECT_NEAR(rms_dbfs(pcm), before, 10) << label(encoding);
        for (int i = 0; i < 4; ++i)
            decoder.conceal(pcm);
        EXPECT_LT(rms_dbfs(pcm), before - 10) << label(encoding);
        EXPECT_FALSE(decoder.conceal(pcm)) << "100 ms are over";
        EXPECT_EQ(rms_dbfs(pcm), silence_dbfs) << label(encoding);
    }
}

TEST(AudioCodec, OpusRecoversALostPacketFromTheNext) {
    AudioEncoder encoder{Codec::opus};
    const auto original = speech(Codec::opus, 320 * 60);
    const auto packets = encode_all(encoder, original, 20ms);
    AudioDecoder whole{Codec::opus};
    AudioDecoder lossy{Codec::opus};
    std::size_t carried = 0;
    std::size_t recovered = 0;
    std::vector<Sample> first;
    std::vector<Sample> second;
    for (std::size_t i = 0; i < packets.size(); ++i) {
        std::array<Sample, 320> pcm{};
        whole.decode(packets[i], pcm);
        first.insert(first.end(), pcm.begin(), pcm.end());
        carried += whole.carries_previous(packets[i]);
        if (i % 5 == 4) continue;  // lost
        if (i % 5 == 0 && i > 0) {
            if (lossy.recover(packets[i], pcm)) {
                ++recovered;
            } else {
                lossy.conceal(pcm);
            }
            second.insert(second.end(), pcm.begin(), pcm.end());
        }
        lossy.decode(packets[i], pcm);
        second.insert(second.end(), pcm.begin(), pcm.end());
    }
    EXPECT_GT(carried, packets.size() / 2);
    EXPECT_GE(recovered, 6u);
    EXPECT_GT(likeness(first, second), 0.97);
    std::array<Sample, 320> pcm{};
    EXPECT_FALSE(lossy.recover({}, pcm));
    AudioDecoder other{Codec::pcmu};
    EXPECT_FALSE(other.carries_previous(packets[0])) << "another codec has no such thing";
}

TEST(AudioCodec, NothingIsAllocatedPerPacket) {
    for (const auto encoding : every_encoding) {
        AudioEncoder encoder{encoding};
        AudioDecoder decoder{encoding};
        const auto pcm = speech(encoding, samples_in(20ms, encoder.rate()));
        std::array<std::byte, AudioEncoder::max_payload> payload{};
        std::array<Sample, 320> heard{};
        const test::AllocGuard guard;
        for (int i = 0; i < 100; ++i) {
            const auto size = encoder.encode(pcm, payload);
            const auto packet = std::span{payload}.first(size);
            if (i % 7 == 0) {
                decoder.conceal(heard);
            } else {
                if (i % 7 == 1) decoder.recover(packet, heard);
                decoder.decode(packet, heard);
            }
        }
        EXPECT_EQ(guard.count(), 0u) << label(encoding);
    }
}

TEST(AudioCodec, AnotherEncodingBeginsWithoutAPast) {
    AudioEncoder encoder{Codec::g722};
    AudioDecoder decoder{Codec::g722};
    decoder.prepare(Codec::opus);
    const auto one = speech(Codec::g722, 320);
    const test::AllocGuard guard;
    std::array<std::byte, 160> before{};
    std::array<std::byte, 160> after{};
    encoder.encode(one, before);
    std::array<Sample, 320> fresh{};
    decoder.decode(before, fresh);
    decoder.set(Codec::opus);
    EXPECT_EQ(decoder.rate(), wideband);
    std::array<Sample, 320> pcm{};
    EXPECT_FALSE(decoder.conceal(pcm)) << "Opus has heard nothing";
    decoder.set(Codec::g722);
    EXPECT_EQ(guard.count(), 0u) << "the decoder was prepared";
    decoder.decode(before, pcm);
    EXPECT_EQ(pcm, fresh);
    encoder.set(Codec::pcmu);
    encoder.set(Codec::g722);
    encoder.encode(one, after);
    EXPECT_EQ(before, after);
}

TEST(AudioCodec, GarbageNeverDecodesToMoreThanItSays) {
    std::mt19937 random{5};
    for (const auto encoding : every_encoding) {
        AudioDecoder decoder{encoding};
        for (int i = 0; i < 2'000; ++i) {
            Bytes payload(random() % 400);
            for (auto& byte : payload)
                byte = static_cast<std::byte>(random());
            std::array<Sample, AudioDecoder::max_opus_samples> pcm{};
            const auto samples = decoder.samples_in(payload);
            const auto decoded = decoder.decode(payload, pcm);
            EXPECT_TRUE(decoded <= samples || samples % 2 == 0) << label(encoding);
            if (encoding.codec == Codec::opus) EXPECT_TRUE(decoded == samples || decoded == 0);
            std::array<Sample, 320> end{};
            decoder.recover(payload, end);
        }
    }
}

}  // namespace
}  // namespace oavc::media
