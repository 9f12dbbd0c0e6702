#include "media/vad_silero.hpp"

#include "gtest/gtest.h"
#include "media/detail/silero_model.hpp"
#include "media/detail/silero_net.hpp"
#include "media/vad_gate.hpp"
#include "support/alloc_guard.hpp"
#include "support/clips.hpp"
#include "support/silero_file.hpp"

#include <unistd.h>

#include <array>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace oavc::media {
namespace {

using detail::parse_silero;
using detail::SileroErrc;
using detail::SileroModel;
using detail::SileroState;
using test::SileroFileWriter;

constexpr std::size_t frame = samples_in(frame_time, wideband);

/// A file in the test's temporary folder, gone with the object.
class TemporaryFile {
public:
    explicit TemporaryFile(const std::vector<std::byte>& bytes) {
        static int count = 0;
        path_ = std::filesystem::path{::testing::TempDir()} /
                ("oavc-silero-" + std::to_string(::getpid()) + "-" + std::to_string(++count));
        std::ofstream out{path_, std::ios::binary};
        out.write(
            reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size())
        );
    }
    TemporaryFile(const TemporaryFile&) = delete;
    TemporaryFile& operator=(const TemporaryFile&) = delete;
    ~TemporaryFile() { std::filesystem::remove(path_); }
    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

TEST(ParseSilero, AcceptsAFileOfTheRightShape) {
    const auto model = parse_silero(test::silero_file());
    ASSERT_TRUE(model.has_value()) << model.error().what;
    EXPECT_GE(std::abs((*model)->output_bias), 1.0F / 16);
}

TEST(ParseSilero, PutsEachWeightWhereTheNetworkReadsIt) {
    // All weights are random except for one known first weight of the LSTM's input matrix.
    auto writer = SileroFileWriter{}.header().tensors("_model.decoder.rnn.weight_ih");
    const auto file =
        writer.tensor("_model.decoder.rnn.weight_ih", {128, 512}, false, 0x42280000).bytes();
    const auto model = parse_silero(file);
    ASSERT_TRUE(model.has_value());
    auto matrix = (*model)->lstm_input;
    EXPECT_EQ(matrix.at(0, 0), 42.0F);
    EXPECT_EQ(matrix.strip_at(0)[0], 42.0F);
    EXPECT_NE(matrix.at(1, 0), 42.0F);
    EXPECT_EQ(&matrix.at(3, 70), matrix.strip_at(64) + 3 * 64 + 6);
}

TEST(ParseSilero, NoPrefixOfAValidFileIsAccepted) {
    const auto file = test::silero_file();
    // Every length of the header and of the first tensor's, coarse steps through the weights.
    for (std::size_t size = 0; size < file.size(); size += size < 400 ? 1 : 4'999) {
        const auto parsed = parse_silero(std::span{file}.first(size));
        ASSERT_TRUE(parsed.has_error()) << size;
        EXPECT_LE(parsed.error().offset, size);
    }
    EXPECT_TRUE(parse_silero(std::span{file}.first(file.size() - 1)).has_error());
}

TEST(ParseSilero, TellsWhatIsWrong) {
    const auto code = [](const std::vector<std::byte>& file) {
        const auto parsed = parse_silero(file);
        return parsed ? error_code{} : parsed.error().code;
    };
    const auto half = test::silero_file();
    auto longer = half;
    longer.push_back(std::byte{0});
    auto huge = half;
    huge.resize(detail::max_silero_file + 1);
    auto other = half;
    other[0] = std::byte{'x'};

    EXPECT_EQ(code({}), SileroErrc::not_silero);
    EXPECT_EQ(code(other), SileroErrc::not_silero);
    EXPECT_EQ(code(huge), SileroErrc::not_silero);
    EXPECT_EQ(code(longer), SileroErrc::truncated);
    EXPECT_EQ(code(SileroFileWriter{}.header("silero-8k").bytes()), SileroErrc::not_silero);
    EXPECT_EQ(code(SileroFileWriter{}.header("silero-16k", 256).bytes()), SileroErrc::unsupported);
    EXPECT_EQ(code(SileroFileWriter{}.header().bytes()), SileroErrc::bad_tensor);
    EXPECT_EQ(
        code(SileroFileWriter{}.header().tensors("_model.decoder.decoder.2.bias").bytes()),
        SileroErrc::bad_tensor
    );
    EXPECT_EQ(
        code(SileroFileWriter{}.header().tensors().tensors().bytes()), SileroErrc::bad_tensor
    );
    EXPECT_EQ(
        code(SileroFileWriter{}.header().tensor("_model.decoder.rnn.bias_ih", {511}, false).bytes()
        ),
        SileroErrc::bad_tensor
    );
    EXPECT_EQ(
        code(SileroFileWriter{}.header().tensor("unheard of", {1}, false).bytes()),
        SileroErrc::bad_tensor
    );
    constexpr std::uint32_t not_a_number = 0x7FC00000;
    EXPECT_EQ(
        code(SileroFileWriter{}
                 .header()
                 .tensor("_model.decoder.rnn.bias_ih", {512}, false, not_a_number)
                 .bytes()),
        SileroErrc::bad_tensor
    );
}

TEST(ParseSilero, RefusesABasisThatCannotBeFolded) {
    const auto with = [](std::size_t spoilt) {
        return parse_silero(SileroFileWriter{}
                                .header()
                                .tensors("_model.stft.forward_basis_buffer")
                                .fourier(spoilt)
                                .bytes());
    };
    EXPECT_TRUE(with(SIZE_MAX).has_value());
    EXPECT_TRUE(with(128).has_value());  // the middle of a cosine is its own mirror image
    for (const std::size_t spoilt : {0u, 1u, 255u, 77u * 256 + 200, 129u * 256, 129u * 256 + 128}) {
        const auto parsed = with(spoilt);
        ASSERT_TRUE(parsed.has_error()) << spoilt;
        EXPECT_EQ(parsed.error().code, SileroErrc::unsupported);
    }
}

TEST(ParseSilero, SurvivesHeadersThatPromiseTooMuch) {
    for (const std::uint32_t lie : {0xFFFFFFFFu, 0x80000000u, 0x7FFFFFFFu, 65u}) {
        EXPECT_TRUE(parse_silero(SileroFileWriter{}.u32(0x67676d6c).u32(lie).bytes()).has_error());
        EXPECT_TRUE(
            parse_silero(SileroFileWriter{}.header().u32(lie).u32(4).u32(0).bytes()).has_error()
        );
        EXPECT_TRUE(
            parse_silero(SileroFileWriter{}.header().u32(1).u32(lie).u32(0).bytes()).has_error()
        );
        EXPECT_TRUE(parse_silero(SileroFileWriter{}
                                     .header()
                                     .u32(1)
                                     .u32(26)
                                     .u32(0)
                                     .u32(lie)
                                     .text("_model.decoder.rnn.bias_ih")
                                     .bytes())
                        .has_error());
    }
}

TEST(ParseSilero, AChangedByteIsRefusedOrHarmless) {
    const auto file = test::silero_file();
    std::minstd_rand random{5};
    for (int round = 0; round < 300; ++round) {
        auto changed = file;
        // Half of the changes hit the header, where each byte counts.
        const std::size_t where = random() % (round % 2 == 0 ? 200 : file.size());
        changed[where] ^= static_cast<std::byte>(1 + random() % 255);
        const auto parsed = parse_silero(changed);
        if (!parsed) continue;
        SileroState state;
        const std::array<float, SileroModel::window> window{};
        const float probability = detail::silero_net()(**parsed, state, window);
        EXPECT_TRUE(probability >= 0 && probability <= 1) << where;
    }
}

TEST(SileroNet, BothInstructionSetsAgree) {
    const auto model = parse_silero(test::silero_file());
    ASSERT_TRUE(model.has_value());
    SileroState fast;
    SileroState baseline;
    std::minstd_rand random{3};
    std::uniform_real_distribution<float> uniform{-1, 1};
    for (int round = 0; round < 20; ++round) {
        std::array<float, SileroModel::window> window;
        for (auto& sample : window)
            sample = uniform(random);
        EXPECT_NEAR(
            detail::silero_net()(**model, fast, window),
            detail::silero_net_baseline(**model, baseline, window),
            1e-3
        );
    }
}

TEST(SileroNet, StaysFiniteOnTheLoudestInput) {
    const auto model = parse_silero(test::silero_file());
    ASSERT_TRUE(model.has_value());
    SileroState state;
    std::array<float, SileroModel::window> window;
    for (std::size_t i = 0; i < window.size(); ++i)
        window[i] = i % 2 == 0 ? 1.0F : -1.0F;
    for (int round = 0; round < 100; ++round) {
        const float probability = detail::silero_net()(**model, state, window);
        ASSERT_TRUE(probability >= 0 && probability <= 1);
    }
}

TEST(SileroVad, DecidesEvery512SamplesAndSaysWhichItJudged) {
    const TemporaryFile file{test::silero_file()};
    const auto factory = make_silero_vad(file.path(), 0.5);
    ASSERT_TRUE(factory.has_value()) << factory.error();
    const auto engine = (*factory)->make(SampleRate{48'000});
    EXPECT_EQ(engine->input_rate(), wideband);
    const auto pcm = test::noise(100 * frame, 3'000);
    const auto allocations = test::allocations();
    engine->process({Samples{pcm}.first(frame), wideband});
    engine->process({Samples{pcm}.first(frame), wideband});  // its first window
    engine->reset();
    EXPECT_EQ(test::allocations(), allocations);

    SileroState state;
    const auto model = parse_silero(test::silero_file());
    float expected = 0;
    std::size_t windows = 0;
    for (std::size_t at = 0; at < pcm.size(); at += frame) {
        const auto decisions = engine->process({Samples{pcm}.subspan(at, frame), wideband});
        const std::size_t end = at + frame;
        ASSERT_EQ(decisions.size(), end / SileroModel::window - windows);
        if (!decisions.empty()) {
            std::array<float, SileroModel::window> window;
            for (std::size_t i = 0; i < window.size(); ++i) {
                window[i] = static_cast<float>(pcm[windows * window.size() + i]) / 32'768.0F;
            }
            expected = detail::silero_net()(**model, state, window);
            ++windows;
            const auto& decision = decisions[0];
            EXPECT_EQ(decision.speech_probability, expected);
            EXPECT_EQ(decision.voiced, expected >= 0.5F);
            EXPECT_EQ(decision.age, end - windows * SileroModel::window);
            EXPECT_EQ(decision.span, SileroModel::window);
        }
    }
    EXPECT_EQ(windows, 62u);
}

TEST(SileroVad, ResetMakesItAsNewAndEnginesDoNotDisturbEachOther) {
    const TemporaryFile file{test::silero_file()};
    const auto factory = make_silero_vad(file.path(), 0.5);
    ASSERT_TRUE(factory.has_value());
    const auto used = (*factory)->make(wideband);
    const auto fresh = (*factory)->make(wideband);
    const auto pcm = test::noise(31 * frame, 3'000);
    const auto other = test::noise(31 * frame, 9'000, 2);
    for (std::size_t at = 0; at < pcm.size(); at += frame) {
        used->process({Samples{other}.subspan(at, frame), wideband});
    }
    used->reset();
    const auto disturber = (*factory)->make(wideband);
    for (std::size_t at = 0; at < pcm.size(); at += frame) {
        const FrameView view{Samples{pcm}.subspan(at, frame), wideband};
        const auto decisions = used->process(view);
        disturber->process({Samples{other}.subspan(at, frame), wideband});
        const auto expected = fresh->process(view);
        ASSERT_EQ(decisions.size(), expected.size());
        for (std::size_t i = 0; i < decisions.size(); ++i)
            EXPECT_EQ(decisions[i].speech_probability, expected[i].speech_probability);
    }
}

TEST(SileroVad, ABrokenModelIsNamedWithItsPlace) {
    auto bytes = test::silero_file();
    bytes.resize(1'000);
    const TemporaryFile file{bytes};
    const auto factory = make_silero_vad(file.path(), 0.5);
    ASSERT_TRUE(factory.has_error());
    EXPECT_NE(factory.error().find(file.path().string()), std::string::npos);
    EXPECT_NE(factory.error().find("ends too early"), std::string::npos);
    EXPECT_TRUE(make_silero_vad(::testing::TempDir(), 0.5).has_error());  // a folder
}

TEST(SileroVad, RealSpeechIsHeardWhereItIs) {
    const auto model = test::shared_file("models/ggml-silero-v6.2.0.bin");
    const auto wav = test::shared_file("audio/jfk.wav");
    if (model.empty() || wav.empty())
        GTEST_SKIP() << "no shared/models and shared/audio (OAVC_SHARED)";
    const auto factory = make_silero_vad(model, 0.5);
    ASSERT_TRUE(factory.has_value()) << factory.error();

    auto pcm = test::noise(20 * frame, 30);
    test::append(pcm, *test::read_wav(wav));
    test::append(pcm, test::noise(60 * frame, 30));
    const auto engine = (*factory)->make(wideband);
    SpeechDetector detector{wideband, 60ms, 300ms};
    std::vector<SpeechEvent> events;
    for (std::size_t at = 0; at + frame <= pcm.size(); at += frame) {
        const auto decisions = engine->process({Samples{pcm}.subspan(at, frame), wideband});
        if (auto event = detector.on_frame(decisions, frame)) events.push_back(*event);
    }
    ASSERT_GE(events.size(), 4u);  // the speech has pauses
    EXPECT_FALSE(detector.speaking());
    const auto ms = [](SamplePosition at) { return static_cast<double>(at) / 16.0; };
    EXPECT_NEAR(ms(events.front().first_voiced), 400 + 320, 100);  // he begins 0.3 s into the clip
    EXPECT_NEAR(ms(events.back().last_voiced), 400 + 10'600, 300);
}

}  // namespace
}  // namespace oavc::media
