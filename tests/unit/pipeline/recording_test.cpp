#define OAVC_ALLOC_GUARD_IMPLEMENTATION  // this test program's

#include "pipeline/recording.hpp"

#include "media/wav.hpp"
#include "pipeline/recording_tape.hpp"
#include "pipeline/sealed_recording.hpp"
#include "support/alloc_guard.hpp"
#include "support/temporary_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

namespace oavc::pipeline {
namespace {

using media::Sample;
using Side = RecordingTape::Side;

constexpr std::string_view key_text =
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

std::vector<Sample> tone(milliseconds length, Sample level) {
    return std::vector<Sample>(samples_in(length, narrowband), level);
}

class TapeTest : public testing::Test {
protected:
    const TimePoint began = TimePoint{} + 1h;
    RecordingTape tape{narrowband, began, 2s};

    /// Everything until `length` after the beginning; left and right.
    std::vector<Sample> all(milliseconds length) {
        std::vector<Sample> out(2 * samples_in(length, narrowband));
        tape.drain(out);
        return out;
    }
    static Sample left(const std::vector<Sample>& audio, milliseconds at) {
        return audio[2 * samples_in(at, narrowband)];
    }
    static Sample right(const std::vector<Sample>& audio, milliseconds at) {
        return audio[2 * samples_in(at, narrowband) + 1];
    }
};

TEST_F(TapeTest, PutsEachSideWhereItBelongsInTime) {
    tape.put(Side::caller, tone(20ms, 100), began);
    tape.put(Side::caller, tone(20ms, 101), began + 35ms);  // jitter: no seam
    tape.put(Side::us, tone(20ms, 7), began + 500ms);
    const auto audio = all(600ms);
    EXPECT_EQ(left(audio, 0ms), 100);
    EXPECT_EQ(left(audio, 20ms), 101);
    EXPECT_EQ(left(audio, 45ms), 0);
    EXPECT_EQ(right(audio, 499ms), 0);
    EXPECT_EQ(right(audio, 500ms), 7);
    EXPECT_EQ(left(audio, 500ms), 0);
}

TEST_F(TapeTest, WhatWasCutShortIsNotHeard) {
    tape.put(Side::us, tone(400ms, 9), began + 100ms);
    tape.cut(began + 200ms);
    tape.put(Side::us, tone(20ms, 8), began + 300ms);
    const auto audio = all(600ms);
    EXPECT_EQ(right(audio, 199ms), 9);
    EXPECT_EQ(right(audio, 200ms), 0);
    EXPECT_EQ(right(audio, 310ms), 8);
    EXPECT_EQ(right(audio, 450ms), 0);
}

TEST_F(TapeTest, MutedAndErasedAudioIsSilentOnBothSides) {
    tape.put(Side::caller, tone(1s, 5), began);
    tape.put(Side::us, tone(1s, 6), began);
    tape.erase(began + 200ms, began + 400ms);
    tape.mute(true);
    tape.put(Side::caller, tone(500ms, 5), began + 1s);
    tape.mute(false);
    tape.put(Side::caller, tone(100ms, 4), began + 1500ms);
    const auto audio = all(2s);
    EXPECT_EQ(left(audio, 199ms), 5);
    EXPECT_EQ(left(audio, 200ms), 0);
    EXPECT_EQ(right(audio, 300ms), 0);
    EXPECT_EQ(left(audio, 400ms), 5);
    EXPECT_EQ(left(audio, 1200ms), 0);
    EXPECT_EQ(left(audio, 1550ms), 4);
    EXPECT_EQ(tape.erased(), samples_in(200ms, narrowband));
}

TEST_F(TapeTest, HoldsAudioBackAndGoesRoundForEver) {
    std::vector<Sample> chunk(2 * samples_in(1s, narrowband));
    EXPECT_FALSE(tape.take(chunk, began + 2900ms));
    int taken = 0;
    for (int second = 0; second < 60; ++second) {
        const auto level = static_cast<Sample>(second + 1);
        tape.put(Side::caller, tone(1s, level), began + second * 1s);
        if (!tape.take(chunk, began + (second + 1) * 1s)) continue;
        ++taken;
        EXPECT_EQ(chunk.front(), taken);
        EXPECT_EQ(chunk[chunk.size() - 2], taken);
    }
    EXPECT_EQ(taken, 58);
    EXPECT_EQ(tape.left(began + 60s), samples_in(2s, narrowband));
}

std::string sealed_file(std::string_view plain) {
    const auto key = *parse_recording_key(key_text);
    auto sealer = *Sealer::make(key);
    std::string file = sealer.header();
    const auto bytes = std::as_bytes(std::span{plain});
    file += *sealer.chunk(bytes.first(bytes.size() / 2), false);
    file += *sealer.chunk(bytes.subspan(bytes.size() / 2), true);
    return file;
}

Result<std::string> unsealed(std::string_view file, std::string_view key = key_text) {
    auto unsealer = Unsealer::open(
        *parse_recording_key(key), file.substr(0, std::min(file.size(), sealed_header_size))
    );
    if (!unsealer) return unsealer.error();
    file.remove_prefix(sealed_header_size);
    std::string plain;
    while (!unsealer->complete()) {
        if (file.size() < 4) return SealErrc::end_missing;
        const auto rest = Unsealer::rest_of(file.substr(0, 4));
        if (!rest) return rest.error();
        if (file.size() < 4 + *rest) return SealErrc::end_missing;
        const auto chunk = unsealer->chunk(file.substr(0, 4 + *rest));
        if (!chunk) return chunk.error();
        plain += *chunk;
        file.remove_prefix(4 + *rest);
    }
    return plain;
}

TEST(SealedRecording, ComesBackWithItsKeyAlone) {
    const auto file = sealed_file("what was said");
    EXPECT_EQ(*unsealed(file), "what was said");
    EXPECT_EQ(file.find("said"), std::string::npos);
    EXPECT_NE(file, sealed_file("what was said")) << "every file has a key of its own";
    std::string other{key_text};
    other[0] = 'f';
    EXPECT_EQ(unsealed(file, other).error(), SealErrc::wrong_key);
    EXPECT_EQ(unsealed("RIFF").error(), SealErrc::not_sealed);
}

TEST(SealedRecording, EveryChangedByteAndEveryCutIsNoticed) {
    const auto file = sealed_file("what was said");
    for (std::size_t i = 0; i < file.size(); ++i) {
        auto changed = file;
        changed[i] = static_cast<char>(changed[i] ^ 1);
        ASSERT_TRUE(unsealed(changed).has_error()) << "byte " << i;
        ASSERT_TRUE(unsealed(file.substr(0, i)).has_error()) << "cut at " << i;
    }
}

TEST(SealedRecording, KeysAreHexadecimalOrBase64) {
    const auto key = parse_recording_key(key_text);
    ASSERT_TRUE(key);
    EXPECT_EQ((*key)[31], std::byte{0x1f});
    EXPECT_EQ(parse_recording_key("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="), key);
    for (const std::string_view wrong :
         {"",
          "secret",
          "zz0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
          "AAEC"}) {
        EXPECT_FALSE(parse_recording_key(wrong)) << wrong;
    }
}

class RecordingsTest : public testing::Test {
protected:
    test::TemporaryFolder folder;
    async::WorkerPool workers{1, 64};
    audit::Log audit{{}, {}};

    RecordingConfig config() const {
        RecordingConfig wanted;
        wanted.folder = folder.path().string();
        wanted.key = key_text;
        return wanted;
    }
    std::vector<std::filesystem::path> files() const {
        std::vector<std::filesystem::path> found;
        for (const auto& entry : std::filesystem::recursive_directory_iterator{folder.path()}) {
            if (entry.is_regular_file()) found.push_back(entry.path());
        }
        return found;
    }
};

TEST_F(RecordingsTest, ACallBecomesASealedStereoWav) {
    const TimePoint began = TimePoint{} + 1h;
    {
        Recordings recordings{config(), workers, audit, {}};
        auto recorder = recordings.begin(SessionId{"4f1c"}, narrowband, began);
        TimePoint now = began;
        const auto loud = tone(20ms, 500);
        const auto ours = tone(20ms, -300);
        for (int frame = 0; frame < 40 * 50; ++frame, now += 20ms) {
            const test::AllocGuard guard;
            recorder->heard(loud, now);
            recorder->said(ours, now);
            if (frame == 39 * 50) recorder->erase(began + 30s, began + 31s);
            recorder->tick(now);
            if (frame % 50 != 0) {
                EXPECT_EQ(guard.count(), 0u);
                continue;
            }
            // Once a second a chunk goes to the worker, who has a second for it.
            std::promise<void> written;
            ASSERT_TRUE(workers.try_submit([&written] { written.set_value(); }));
            written.get_future().wait();
        }
        recorder.reset();
        EXPECT_TRUE(recordings.wait_until_written(20s));
    }
    const auto found = files();
    ASSERT_EQ(found.size(), 1u);
    EXPECT_TRUE(found[0].string().ends_with("-4f1c.wav.sealed")) << found[0];
    EXPECT_EQ(std::filesystem::status(found[0]).permissions(), std::filesystem::perms{0600});
    std::ifstream in{found[0], std::ios::binary};
    const std::string file{std::istreambuf_iterator<char>{in}, {}};
    const auto plain = unsealed(file);
    ASSERT_TRUE(plain) << plain.error().message();
    const auto wav = media::parse_wav(std::as_bytes(std::span{*plain}));
    ASSERT_TRUE(wav);
    EXPECT_EQ(wav->channels, 2u);
    EXPECT_EQ(wav->rate, narrowband);
    EXPECT_NEAR(static_cast<double>(wav->frames()), 40.0 * 8000, 200);
    const auto caller = wav->channel(0);
    const auto us = wav->channel(1);
    EXPECT_EQ(caller[8000], 500);
    EXPECT_EQ(us[8000], -300);
    EXPECT_EQ(caller[30 * 8000 + 4000], 0) << "it was held back long enough to be taken out";
    EXPECT_EQ(us[30 * 8000 + 4000], 0);
    EXPECT_EQ(caller[32 * 8000], 500);
}

TEST_F(RecordingsTest, OldOnesAreDeletedAndNothingElse) {
    auto wanted = config();
    wanted.keep_days = 3;
    const auto day = folder.path() / "2020-01-01";
    std::filesystem::create_directories(day);
    const auto old = std::filesystem::file_time_type::clock::now() - std::chrono::hours{24 * 4};
    for (const char* name : {"a.wav.sealed", "b.wav.sealed.part", "keep.txt", "new.wav.sealed"}) {
        std::ofstream{day / name} << "x";
        if (name[0] != 'n') std::filesystem::last_write_time(day / name, old);
    }
    Recordings recordings{wanted, workers, audit, {}};
    recordings.delete_old();
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (files().size() > 2 && std::chrono::steady_clock::now() < deadline)
        std::this_thread::yield();
    std::vector<std::string> names;
    for (const auto& file : files())
        names.push_back(file.filename());
    EXPECT_THAT(names, testing::UnorderedElementsAre("keep.txt", "new.wav.sealed"));
}

TEST_F(RecordingsTest, AFolderThatCannotBeWrittenCostsTheRecordingAndNothingElse) {
    auto wanted = config();
    wanted.folder = "/proc/no/such";
    Recordings recordings{wanted, workers, audit, {}};
    auto recorder = recordings.begin(SessionId{"4f1c"}, narrowband, TimePoint{});
    recorder->heard(tone(20ms, 1), TimePoint{});
    recorder.reset();
    EXPECT_TRUE(recordings.wait_until_written(20s));
    EXPECT_THROW((Recordings{RecordingConfig{}, workers, audit, {}}), std::runtime_error);
}

}  // namespace
}  // namespace oavc::pipeline
