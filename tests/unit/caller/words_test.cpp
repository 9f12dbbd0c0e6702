#include "caller/words.hpp"

#include <gtest/gtest.h>

namespace oavc::caller {
namespace {

using Words = std::vector<std::string>;

TEST(Words, AreWhatARecogniserWouldWrite) {
    EXPECT_EQ(
        words_of("It's 9 o'clock, Mr. Fox!"), (Words{"it's", "nine", "o'clock", "mr", "fox"})
    );
    EXPECT_EQ(
        words_of("21 1999 10000"),
        (Words{"twenty", "one", "one", "thousand", "nine", "hundred", "ninety", "nine", "10000"})
    );
    EXPECT_TRUE(words_of(" .,!? ").empty());
}

TEST(Words, AccuracyCountsEveryKindOfError) {
    EXPECT_DOUBLE_EQ(word_accuracy("a b c d", "a b c d"), 1.0);
    EXPECT_DOUBLE_EQ(word_accuracy("a b c d", "a x c d"), 0.75);
    EXPECT_DOUBLE_EQ(word_accuracy("a b c d", "a b c"), 0.75);
    EXPECT_DOUBLE_EQ(word_accuracy("a b c d", "a b b c d"), 0.75);
    EXPECT_DOUBLE_EQ(word_accuracy("a b c d", ""), 0.0);
    EXPECT_DOUBLE_EQ(word_accuracy("a", "x y z"), 0.0);
    EXPECT_DOUBLE_EQ(word_accuracy("", ""), 1.0);
    EXPECT_DOUBLE_EQ(word_accuracy("", "ghost"), 0.0);
}

}  // namespace
}  // namespace oavc::caller
