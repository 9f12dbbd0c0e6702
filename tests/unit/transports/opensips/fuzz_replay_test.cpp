#include "support/fuzz_corpus.hpp"
#include "support/fuzz_opensips.hpp"

namespace oavc::transports::opensips {
namespace {

TEST(OpensipsFuzzReplay, EventInputsKeepEveryPromise) {
    EXPECT_GE(test::replay_corpus("opensips_event_fuzz", test::fuzz_opensips_event), 8u);
}
TEST(OpensipsFuzzReplay, MiInputsKeepEveryPromise) {
    EXPECT_GE(test::replay_corpus("mi_response_fuzz", test::fuzz_mi_response), 20u);
}

}  // namespace
}  // namespace oavc::transports::opensips
