#include "support/fuzz_corpus.hpp"
#include "support/fuzz_speech_streams.hpp"

#include <gtest/gtest.h>

namespace oavc::services {
namespace {

TEST(SpeechFuzzReplay, StreamsOfRecognisersKeepEveryPromise) {
    EXPECT_GE(test::replay_corpus("vosk_reply_fuzz", test::fuzz_vosk_reply), 3u);
    EXPECT_GE(test::replay_corpus("deepgram_message_fuzz", test::fuzz_deepgram_message), 3u);
}

}  // namespace
}  // namespace oavc::services
