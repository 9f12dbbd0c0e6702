#include "services/failover/detail/kept_speech.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

namespace oavc::services {
namespace {

TEST(KeptSpeech, GivesBackAnyStretchHoweverItCame) {
    std::vector<media::Sample> said(10'000);
    std::iota(said.begin(), said.end(), media::Sample{-5'000});
    for (const std::size_t chunk : {1u, 160u, 1'599u, 1'600u, 1'601u, 10'000u}) {
        KeptSpeech kept{wideband};
        for (media::Samples rest{said}; !rest.empty();) {
            const auto part = rest.first(std::min(chunk, rest.size()));
            kept.append(part);
            rest = rest.subspan(part.size());
        }
        ASSERT_EQ(kept.size(), said.size());
        for (const std::size_t begin : {0u, 1u, 1'599u, 1'600u, 3'300u, 9'999u, 10'000u}) {
            std::vector<media::Sample> out(std::min<std::size_t>(said.size() - begin, 5'000));
            kept.read(begin, out);
            EXPECT_TRUE(std::equal(out.begin(), out.end(), said.begin() + static_cast<long>(begin)))
                << chunk << " " << begin;
        }
    }
}

TEST(KeptSpeech, ATelephonesComesBackAsLoudAsItWas) {
    KeptSpeech kept{narrowband};
    kept.append(std::vector<media::Sample>(2'000, 1'000));
    kept.append(std::vector<media::Sample>(2'000, -8));
    std::vector<media::Sample> out(4'000);
    kept.read(0, out);
    EXPECT_NEAR(out[1'999], 1'000, 30);
    EXPECT_EQ(out[2'000], -8);
}

}  // namespace
}  // namespace oavc::services
