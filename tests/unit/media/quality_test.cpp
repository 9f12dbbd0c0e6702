#include "media/quality.hpp"

#include <gtest/gtest.h>

namespace oavc::media {
namespace {

double mos(double loss, double burst = 1, microseconds delay = microseconds{0}) {
    return estimate_mos({Codec::pcmu, loss, burst, delay});
}

TEST(Quality, IsThatOfG107WhereThereIsAFigure) {
    // G.107 Annex B: R 93.2 is MOS 4.41; R 50 is 2.58.
    EXPECT_NEAR(rating({}), 93.2, 0.01);
    EXPECT_NEAR(mos(0), 4.41, 0.005);
    // By hand: 5 % random loss of G.711 with concealment, Ie,eff = 95 · 5 / 30.1 = 15.78.
    EXPECT_NEAR(rating({Codec::pcmu, 0.05, 1, microseconds{0}}), 77.42, 0.01);
    // 100 ms one way: Id = 2.4; 300 ms: 7.2 + 0.11 · 122.7 = 20.70.
    EXPECT_NEAR(rating({Codec::pcmu, 0, 1, 100ms}), 90.8, 0.01);
    EXPECT_NEAR(rating({Codec::pcmu, 0, 1, 300ms}), 72.50, 0.01);
}

TEST(Quality, NeverRisesWithLossDelayOrBursts) {
    double before = 5;
    for (int percent = 0; percent <= 100; percent += 5) {
        EXPECT_LT(mos(percent / 100.0), before) << percent;
        before = mos(percent / 100.0);
    }
    EXPECT_GE(before, 1);
    before = 5;
    for (auto delay = 0ms; delay < 2s; delay += 50ms) {
        EXPECT_LE(mos(0, 1, delay), before);
        before = mos(0, 1, delay);
    }
    EXPECT_EQ(before, 1) << "nobody talks like that";
    EXPECT_LT(mos(0.05, 3), mos(0.05, 1)) << "losses that come together are heard";
}

TEST(Quality, AbsurdInputGivesASaneAnswer) {
    EXPECT_EQ(mos(-1, -1, -1s), mos(0));
    EXPECT_EQ(mos(7), mos(1));
    EXPECT_GE(mos(1, 1e9, 1h), 1);
}

TEST(Quality, BurstsAreMeasuredAgainstRandomLoss) {
    // 100 of 1,000 lost: random losses are 1 / 0.9 = 1.11 packets long.
    EXPECT_NEAR(burst_ratio(100, 90, 1'000), 1, 0.001);
    EXPECT_NEAR(burst_ratio(100, 25, 1'000), 3.6, 0.001);
    EXPECT_EQ(burst_ratio(0, 0, 1'000), 1);
    EXPECT_EQ(burst_ratio(100, 100, 1'000), 1);
    EXPECT_EQ(burst_ratio(10, 5, 10), 1) << "nothing came";
}

}  // namespace
}  // namespace oavc::media
