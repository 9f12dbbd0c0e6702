#include "media/wav.hpp"

#include "media/g711.hpp"
#include "support/rtp_packets.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

namespace oavc::media {
namespace {

using test::Bytes;

struct TemporaryFile {
    std::string path{std::filesystem::temp_directory_path() / ("oavc-wav-XXXXXX")};
    TemporaryFile() { ::close(::mkstemp(path.data())); }
    ~TemporaryFile() { std::filesystem::remove(path); }
};

void put(Bytes& out, std::string_view text) {
    for (const char c : text)
        out.push_back(static_cast<std::byte>(c));
}
void put(Bytes& out, std::uint32_t value, int size) {
    for (int i = 0; i < size; ++i)
        out.push_back(static_cast<std::byte>(value >> (8 * i) & 0xFF));
}

struct Wav {
    std::uint16_t encoding{1};
    std::uint16_t channels{1};
    std::uint32_t rate{8'000};
    std::uint16_t bits{16};
    Bytes data{};
    std::uint32_t claimed{0};  // data size in the header; 0: the true one
    bool extensible{false};
    bool other_chunks{false};

    Bytes bytes() const {
        Bytes out;
        put(out, "RIFF");
        put(out, 0xFFFF'FFFF, 4);
        put(out, "WAVE");
        if (other_chunks) {
            put(out, "LIST");
            put(out, 3, 4);
            put(out, "abc");
            put(out, 0, 1);  // padded to a word
        }
        put(out, "fmt ");
        put(out, extensible ? 40 : 16, 4);
        put(out, extensible ? 0xFFFE : encoding, 2);
        put(out, channels, 2);
        put(out, rate, 4);
        put(out, rate * channels * bits / 8, 4);
        put(out, channels * bits / 8u, 2);
        put(out, bits, 2);
        if (extensible) {
            put(out, 22, 2);
            put(out, bits, 2);
            put(out, 3, 4);
            put(out, encoding, 2);  // the GUID begins with the real format
            put(out, std::string_view{"\0\0\0\0\x10\0\x80\0\0\xAA\0\x38\x9B\x71", 14});
        }
        put(out, "data");
        put(out, claimed != 0 ? claimed : static_cast<std::uint32_t>(data.size()), 4);
        out.insert(out.end(), data.begin(), data.end());
        return out;
    }
};

Bytes pcm16(std::initializer_list<int> samples) {
    Bytes data;
    for (const int sample : samples)
        put(data, static_cast<std::uint16_t>(sample), 2);
    return data;
}

TEST(ParseWav, Reads16BitMono) {
    Wav wav;
    wav.data = pcm16({1, -2, 32'767, -32'768});
    const auto audio = parse_wav(wav.bytes());
    ASSERT_TRUE(audio);
    EXPECT_EQ(audio->rate, SampleRate{8'000});
    EXPECT_EQ(audio->channels, 1u);
    EXPECT_EQ(audio->samples, (std::vector<Sample>{1, -2, 32'767, -32'768}));
    EXPECT_EQ(audio->mono(), audio->samples);
}

TEST(ParseWav, ReadsStereoExtensibleBehindOtherChunks) {
    Wav wav;
    wav.channels = 2;
    wav.rate = 44'100;
    wav.extensible = true;
    wav.other_chunks = true;
    wav.data = pcm16({100, 300, -100, -300});
    const auto audio = parse_wav(wav.bytes());
    ASSERT_TRUE(audio);
    EXPECT_EQ(audio->rate, SampleRate{44'100});
    EXPECT_EQ(audio->frames(), 2u);
    EXPECT_EQ(audio->mono(), (std::vector<Sample>{200, -200}));
    EXPECT_EQ(audio->channel(0), (std::vector<Sample>{100, -100}));
    EXPECT_EQ(audio->channel(1), (std::vector<Sample>{300, -300}));
}

TEST(ParseWav, Reads8BitAndBothCompandingLaws) {
    Wav wav;
    wav.bits = 8;
    wav.data = {std::byte{0}, std::byte{128}, std::byte{255}};
    EXPECT_EQ(parse_wav(wav.bytes())->samples, (std::vector<Sample>{-32'768, 0, 32'512}));
    wav.encoding = 7;
    EXPECT_EQ(parse_wav(wav.bytes())->samples[1], g711::ulaw_decode(128));
    wav.encoding = 6;
    EXPECT_EQ(parse_wav(wav.bytes())->samples[1], g711::alaw_decode(128));
}

TEST(ParseWav, AStreamThatNeverLearntItsLengthEndsWithTheInput) {
    Wav wav;
    wav.data = pcm16({1, 2, 3});
    for (const std::uint32_t claimed : {0xFFFF'FFFFu, 0x7FFF'FFF0u}) {
        wav.claimed = claimed;
        EXPECT_EQ(parse_wav(wav.bytes())->samples.size(), 3u);
    }
    wav.claimed = 0;
    auto bytes = wav.bytes();
    for (std::size_t i = 40; i < 44; ++i)
        bytes[i] = std::byte{0};
    EXPECT_EQ(parse_wav(bytes)->samples.size(), 3u);
}

TEST(ParseWav, AnUnfinishedFrameIsLeftOut) {
    Wav wav;
    wav.channels = 2;
    wav.data = pcm16({1, 2, 3});
    EXPECT_EQ(parse_wav(wav.bytes())->samples.size(), 2u);
    wav.data.pop_back();
    EXPECT_EQ(parse_wav(wav.bytes())->samples.size(), 2u);
}

TEST(ParseWav, NamesWhatIsWrong) {
    Wav wav;
    wav.data = pcm16({1, 2, 3});
    const auto good = wav.bytes();
    EXPECT_EQ(parse_wav({}).error(), WavErrc::not_wav);
    EXPECT_EQ(parse_wav(Bytes(100)).error(), WavErrc::not_wav);
    for (std::size_t size = 12; size < 44; ++size) {
        EXPECT_EQ(parse_wav(std::span{good}.first(size)).error(), WavErrc::truncated) << size;
    }
    const auto error_of = [&](auto change) {
        auto broken = wav;
        change(broken);
        return parse_wav(broken.bytes()).error();
    };
    EXPECT_EQ(error_of([](Wav& w) { w.bits = 24; }), WavErrc::unsupported);
    EXPECT_EQ(error_of([](Wav& w) { w.encoding = 3; }), WavErrc::unsupported);
    EXPECT_EQ(error_of([](Wav& w) { w.channels = 6; }), WavErrc::unsupported);
    EXPECT_EQ(error_of([](Wav& w) { w.channels = 0; }), WavErrc::unsupported);
    EXPECT_EQ(error_of([](Wav& w) { w.rate = 0; }), WavErrc::unsupported);
}

TEST(ParseWav, NoByteOfTheHeaderCanMakeItReadPastTheEnd) {
    Wav wav;
    wav.extensible = true;
    wav.other_chunks = true;
    wav.data = pcm16({1, 2, 3});
    const auto good = wav.bytes();
    for (std::size_t i = 0; i < good.size(); ++i) {
        for (const int value : {0x00, 0x01, 0x7F, 0x80, 0xFF}) {
            auto bytes = good;
            bytes[i] = static_cast<std::byte>(value);
            if (const auto audio = parse_wav(bytes)) EXPECT_LE(audio->samples.size(), bytes.size());
        }
    }
}

TEST(WavWriter, WritesWhatReadReads) {
    const TemporaryFile file;
    {
        auto writer = WavWriter::open(file.path, {8'000}, 2);
        ASSERT_TRUE(writer);
        const std::vector<Sample> left(3'000, 1'000);
        const std::vector<Sample> right(2'000, -1'000);
        ASSERT_TRUE(writer->write_stereo(left, right));
        EXPECT_EQ(writer->frames(), 3'000u);
        ASSERT_TRUE(writer->close());
        ASSERT_TRUE(writer->close());
        EXPECT_EQ(writer->write(std::vector<Sample>(2)).error(), WavErrc::io);
    }
    EXPECT_EQ(std::filesystem::file_size(file.path), 44u + 12'000u);
    const auto audio = read_wav(file.path);
    ASSERT_TRUE(audio);
    EXPECT_EQ(audio->rate, SampleRate{8'000});
    ASSERT_EQ(audio->frames(), 3'000u);
    EXPECT_EQ(audio->channel(0), std::vector<Sample>(3'000, 1'000));
    EXPECT_EQ(audio->channel(1)[1'999], -1'000);
    EXPECT_EQ(audio->channel(1)[2'000], 0);
}

TEST(WavWriter, AFileThatWasNeverClosedIsStillReadable) {
    const TemporaryFile file;
    auto writer = WavWriter::open(file.path, {16'000}, 1);
    ASSERT_TRUE(writer);
    ASSERT_TRUE(writer->write(std::vector<Sample>(40'000, 5)));
    // The process dies here: what the buffer had given to the file is there.
    const auto audio = read_wav(file.path);
    ASSERT_TRUE(audio);
    EXPECT_GT(audio->frames(), 30'000u);

    auto moved = std::move(*writer);
    ASSERT_TRUE(moved.close());
    EXPECT_EQ(read_wav(file.path)->frames(), 40'000u);
}

TEST(WavWriter, SaysWhyAFileCannotBeOpened) {
    EXPECT_EQ(WavWriter::open("/nonexistent/x.wav", {8'000}, 1).error().value(), ENOENT);
    EXPECT_EQ(read_wav("/nonexistent/x.wav").error().value(), ENOENT);
    EXPECT_EQ(WavWriter::open("/dev/null", {8'000}, 3).error(), WavErrc::unsupported);
}

}  // namespace
}  // namespace oavc::media
