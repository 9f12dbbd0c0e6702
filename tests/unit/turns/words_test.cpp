#include "turns/words.hpp"

#include <gtest/gtest.h>

namespace oavc::turns {
namespace {

TEST(Words, AreCountedBetweenWhiteSpace) {
    EXPECT_EQ(count_words(""), 0u);
    EXPECT_EQ(count_words("  dur \t artık\n"), 2u);
}

TEST(Words, KnowPhrasesThatNobodyEndsThere) {
    EXPECT_TRUE(looks_unfinished("my number is two zero"));
    EXPECT_TRUE(looks_unfinished("I want to check my"));
    EXPECT_TRUE(looks_unfinished("kartım ve"));
    EXPECT_TRUE(looks_unfinished("well,"));
    EXPECT_FALSE(looks_unfinished("where is my card"));
    EXPECT_FALSE(looks_unfinished("what is that for?"));
    EXPECT_FALSE(looks_unfinished(""));
}

TEST(Words, KnowFinishedSentences) {
    EXPECT_TRUE(looks_finished("Where is my card? "));
    EXPECT_FALSE(looks_finished("where is my card"));
    EXPECT_FALSE(looks_finished(" "));
}

TEST(Words, KnowBackChannelsInBothLanguages) {
    EXPECT_TRUE(is_back_channel("uh-huh"));
    EXPECT_TRUE(is_back_channel("Okay, yeah."));
    EXPECT_TRUE(is_back_channel("hı-hı evet"));
    EXPECT_FALSE(is_back_channel("okay stop"));
    EXPECT_FALSE(is_back_channel(""));
}

}  // namespace
}  // namespace oavc::turns
