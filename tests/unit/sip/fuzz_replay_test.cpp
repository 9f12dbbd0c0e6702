#include "support/fuzz_corpus.hpp"
#include "support/fuzz_sip.hpp"
#include "support/fuzz_sip_agent.hpp"

namespace oavc::sip {
namespace {

TEST(FuzzReplay, SdpInputsKeepEveryPromise) {
    EXPECT_GE(test::replay_corpus("sdp_fuzz", test::fuzz_sdp), 4u);
}

TEST(FuzzReplay, MessagesAndCallsKeepEveryPromise) {
    EXPECT_GE(test::replay_corpus("sip_message_fuzz", test::fuzz_sip_agent), 5u);
}

}  // namespace
}  // namespace oavc::sip
