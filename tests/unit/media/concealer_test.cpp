#include "media/detail/concealer.hpp"

#include "media/level.hpp"
#include "support/rtp_packets.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <vector>

namespace oavc::media::detail {
namespace {

TEST(Concealer, WithoutAnyAudioItMakesSilence) {
    Concealer concealer;
    std::vector<Sample> out(160, 7);
    EXPECT_FALSE(concealer.fill(out));
    EXPECT_EQ(out, std::vector<Sample>(160, 0));
}

TEST(Concealer, GoesOnWithTheToneFadesItAndIsSilentAfter100Milliseconds) {
    Concealer concealer;
    auto speech = test::tone(150, 480);
    concealer.on_real(speech);
    std::array<double, 7> levels{};
    for (auto& level : levels) {
        std::vector<Sample> out(160);
        concealer.fill(out);
        level = rms_dbfs(out);
    }
    EXPECT_NEAR(levels[0], rms_dbfs(speech), 6);
    EXPECT_LT(levels[1], levels[0]);
    EXPECT_LT(levels[2], levels[1]);
    EXPECT_EQ(levels[5], silence_dbfs);
    EXPECT_EQ(levels[6], silence_dbfs);
    std::vector<Sample> out(160);
    EXPECT_FALSE(concealer.fill(out));
}

TEST(Concealer, RealAudioComesBackBlendedAndThenUntouched) {
    Concealer concealer;
    auto before = test::tone(150, 480);
    concealer.on_real(before);
    std::vector<Sample> gap(160);
    concealer.fill(gap);
    const auto original = test::tone(150, 160, 8'000, 640);
    auto after = original;
    concealer.on_real(after);
    EXPECT_NE(after[0], original[0]);
    EXPECT_TRUE(std::equal(after.begin() + 40, after.end(), original.begin() + 40));
    auto next = test::tone(150, 160, 8'000, 800);
    concealer.on_real(next);
    EXPECT_EQ(next, test::tone(150, 160, 8'000, 800));
}

TEST(Concealer, NeverWritesBeyondASpanHoweverShort) {
    for (const std::size_t size : {1u, 2u, 7u, 29u, 39u, 40u, 41u, 159u}) {
        Concealer concealer;
        auto speech = test::tone(70, 480);
        concealer.on_real(speech);
        for (int i = 0; i < 50; ++i) {
            std::vector<Sample> guarded(size + 200, 12'345);
            concealer.fill(std::span{guarded}.subspan(100, size));
            EXPECT_EQ(std::ranges::count(std::span{guarded}.first(100), 12'345), 100) << size;
            EXPECT_EQ(std::ranges::count(std::span{guarded}.last(100), 12'345), 100) << size;
        }
        std::vector<Sample> guarded(size + 200, 12'345);
        concealer.on_real(std::span{guarded}.subspan(100, size));
        EXPECT_EQ(std::ranges::count(std::span{guarded}.last(100), 12'345), 100) << size;
    }
}

TEST(Concealer, PiecesOfAnySizeMakeTheSameSound) {
    const auto conceal = [](std::size_t piece) {
        Concealer concealer;
        auto speech = test::tone(150, 480);
        concealer.on_real(speech);
        std::vector<Sample> out(480);
        for (std::size_t at = 0; at < out.size(); at += piece) {
            concealer.fill(std::span{out}.subspan(at, std::min(piece, out.size() - at)));
        }
        return out;
    };
    EXPECT_EQ(conceal(160), conceal(480));
    EXPECT_EQ(conceal(160), conceal(40));
}

}  // namespace
}  // namespace oavc::media::detail
