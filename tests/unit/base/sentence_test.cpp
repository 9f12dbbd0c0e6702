#include "base/sentence.hpp"

#include <gtest/gtest.h>

namespace oavc {
namespace {

std::string_view whole(std::string_view text) { return text.substr(0, whole_sentences(text)); }

TEST(Sentence, EndsWhereWhiteSpaceFollowsTheMark) {
    EXPECT_EQ(whole("We open at nine. We cl"), "We open at nine. ");
    EXPECT_EQ(whole("Really?! Yes"), "Really?! ");
    EXPECT_EQ(whole("One. Two. "), "One. Two. ");
    EXPECT_EQ(whole("First line\nsecond"), "First line\n");
}

TEST(Sentence, IsNotWholeBeforeWhatFollowsIsKnown) {
    EXPECT_EQ(whole(""), "");
    EXPECT_EQ(whole("We open at nine."), "");
    EXPECT_EQ(whole("It costs 3.5"), "");
    EXPECT_EQ(whole("We open"), "");
}

TEST(Sentence, DoesNotEndWithAnAbbreviation) {
    EXPECT_EQ(whole("Dr. Smith is in"), "");
    EXPECT_EQ(whole("Hello. Dr. Smith"), "Hello. ");
    EXPECT_EQ(whole("The XDr. is in"), "The XDr. ");
}

TEST(Sentence, HasWordsWhereAVoiceWouldMakeASound) {
    for (const auto* text :
         {"7",
          "a",
          " ... ok",
          "¿Qué?",
          "ü",
          "Да!",
          "نعم",
          "我很好",
          "はい",
          "네",
          "😊 Hi",
          "1️⃣",
          "हाँ"}) {
        EXPECT_TRUE(has_words(text)) << text;
    }
    for (const auto* text :
         {"",
          " ... !? ",
          "😊",
          "👍🏽 🎉",
          "👨‍👩‍👧",
          "❤️",
          "—",
          "…",
          "“”",
          "• →",
          "✓",
          "¡¿",
          "。",
          "！",
          "\xFF\xE2\x80"}) {
        EXPECT_FALSE(has_words(text)) << text;
    }
}

}  // namespace
}  // namespace oavc
