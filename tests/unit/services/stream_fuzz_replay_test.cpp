#include "support/fuzz_corpus.hpp"
#include "support/fuzz_llm_streams.hpp"

#include <gtest/gtest.h>

namespace oavc::services {
namespace {

TEST(StreamFuzzReplay, NdjsonIsTheSameHoweverItIsCut) {
    EXPECT_GE(test::replay_corpus("ndjson_fuzz", test::fuzz_ndjson), 3u);
}

TEST(StreamFuzzReplay, ServerSentEventsAreTheSameHoweverTheyAreCut) {
    EXPECT_GE(test::replay_corpus("sse_fuzz", test::fuzz_sse), 3u);
}

}  // namespace
}  // namespace oavc::services
