#include "support/fuzz_corpus.hpp"
#include "support/fuzz_sip.hpp"

namespace oavc::sip {
namespace {

TEST(FuzzReplay, SdpInputsKeepEveryPromise) {
    EXPECT_GE(test::replay_corpus("sdp_fuzz", test::fuzz_sdp), 4u);
}

}  // namespace
}  // namespace oavc::sip
