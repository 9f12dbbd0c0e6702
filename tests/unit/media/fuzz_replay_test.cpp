#include "support/fuzz_media.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

/// Everything the fuzzers start from and everything that ever crashed them.
namespace oavc::media {
namespace {

std::size_t replay(const std::string& target, void (*run)(std::span<const std::byte>)) {
    std::size_t inputs = 0;
    const std::array folders{
        OAVC_SOURCE_DIR "/fuzz/corpus/" + target,
        OAVC_TEST_DATA "/crashes/" + target,
    };
    for (const std::string& folder : folders) {
        if (!std::filesystem::exists(folder)) continue;
        for (const auto& entry : std::filesystem::directory_iterator{folder}) {
            SCOPED_TRACE(entry.path().string());
            std::ifstream file{entry.path(), std::ios::binary};
            const std::vector<char> bytes{std::istreambuf_iterator<char>{file}, {}};
            run(std::as_bytes(std::span{bytes}));
            ++inputs;
        }
    }
    return inputs;
}

TEST(FuzzReplay, RtpInputsKeepEveryPromise) { EXPECT_GE(replay("rtp_fuzz", test::fuzz_rtp), 4u); }
TEST(FuzzReplay, RtcpInputsKeepEveryPromise) {
    EXPECT_GE(replay("rtcp_fuzz", test::fuzz_rtcp), 2u);
}
TEST(FuzzReplay, WavInputsKeepEveryPromise) { EXPECT_GE(replay("wav_fuzz", test::fuzz_wav), 2u); }

}  // namespace
}  // namespace oavc::media
