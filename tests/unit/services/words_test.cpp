#include "services/detail/words.hpp"

#include "services/tts/detail/plain_text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace oavc::services {
namespace {

using testing::ElementsAre;

TEST(WordsOf, FoldsCaseAndDropsPunctuationButKeepsApostrophesInsideWords) {
    EXPECT_THAT(words_of("What's my Balance?"), ElementsAre("what's", "my", "balance"));
    EXPECT_THAT(
        words_of("What\xE2\x80\x99s up \xE2\x80\x94 'then'…"), ElementsAre("what's", "up", "then")
    );
    EXPECT_THAT(
        words_of("KARTIM İSTANBUL'DA, ığüşöç ĞÜŞÖÇ"),
        ElementsAre("kartim", "istanbul'da", "iğüşöç", "ğüşöç")
    );
    EXPECT_THAT(words_of(" ,.!? ' "), ElementsAre());
    EXPECT_THAT(words_of("\xC3"), ElementsAre("\xC3")) << "broken UTF-8 is kept, not read past";
    EXPECT_THAT(words_of("\xE2\x80"), ElementsAre());
}

TEST(PlainText, BecomesAsciiOrOneLineOfUtf8) {
    EXPECT_EQ(
        to_plain_ascii("Günaydın, José — \"hi\" \xE2\x82\xAC\n"), "Gunaydin, Jose , \"hi\"   "
    );
    EXPECT_EQ(to_plain_utf8("Günaydın\n\x01\xFFx"), "Günaydın   x");
    EXPECT_EQ(to_plain_utf8(std::string(5'000, 'a')).size(), longest_speech);
    std::string umlauts;
    for (int i = 0; i < 3'000; ++i)
        umlauts += "ü";
    EXPECT_EQ(to_plain_utf8("a" + umlauts).size(), longest_speech - 1) << "never half a letter";
}

}  // namespace
}  // namespace oavc::services
