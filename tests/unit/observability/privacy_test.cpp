#include "observability/privacy.hpp"

#include "support/fuzz_corpus.hpp"
#include "support/fuzz_privacy.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

namespace oavc::privacy {
namespace {

std::string hidden(std::string_view text) { return mask(text, Kinds::all()).text; }

std::string hidden_but(std::string_view text, Kind kept) {
    auto kinds = Kinds::all();
    kinds.remove(kept);
    return mask(text, kinds).text;
}

Kinds only(Kind kind) {
    Kinds kinds;
    kinds.add(kind);
    return kinds;
}

TEST(Mask, LeavesWordsAndSmallNumbersAlone) {
    for (const std::string text :
         {"A table for two at seven, please.",
          "I am 42 years old.",
          "Between 10 and 15 people.",
          "Saat on iki gibi, bir kişi.",
          "On Monday, on the one hand.",
          "We are at home.",
          "",
          "[keypad: nothing]"}) {
        EXPECT_EQ(hidden(text), text);
    }
}

TEST(Mask, HidesCardsWithARightLuhnCheck) {
    EXPECT_EQ(hidden("It is 4242424242424242."), "It is [card].");
    EXPECT_EQ(hidden("4242 4242-4242.4242, thanks"), "[card], thanks");
    EXPECT_EQ(hidden("378282246310005"), "[card]");  // 15 digits
    EXPECT_EQ(hidden("4242. 4242, 4242; 4242"), "[card]");
    EXPECT_EQ(hidden("card 4242 4242 4242 4242 12 27 123"), "card [card]");
    // A digit was misheard: it is a secret all the same.
    EXPECT_EQ(hidden("4242 4242 4242 4243"), "[digits]");
    EXPECT_TRUE(mask("4242424242424242", {}).found.has(Kind::card));
    EXPECT_FALSE(mask("4242424242424243", {}).found.has(Kind::card));
}

TEST(Mask, HidesPhoneNumbersHoweverTheyAreWritten) {
    EXPECT_EQ(hidden("Call +90 532 123 45 67 now"), "Call [phone] now");
    EXPECT_EQ(hidden("(0532) 123-45-67"), "[phone]");
    EXPECT_EQ(hidden("sip:+905321234567@pbx"), "sip:[email]");
    EXPECT_EQ(hidden_but("sip:+905321234567@pbx", Kind::email), "sip:[phone]@pbx");
    EXPECT_EQ(hidden("1 2 3 4 5 6 7"), "[phone]");
}

TEST(Mask, HidesIdentityNumbersWithBothChecksums) {
    EXPECT_EQ(hidden("Kimlik numaram 10000000146."), "Kimlik numaram [identity number].");
    EXPECT_EQ(hidden("100 000 001 46"), "[identity number]");
    EXPECT_EQ(hidden("10000000147"), "[phone]");  // no identity number, but a number
    EXPECT_EQ(mask("10000000147", only(Kind::identity_number)).text, "10000000147");
}

TEST(Mask, HidesIbansWithRightCheckDigits) {
    EXPECT_EQ(hidden("TR33 0006 1005 1978 6457 8413 26"), "[iban]");
    EXPECT_EQ(hidden("to GB82WEST12345698765432 please"), "to [iban] please");
    EXPECT_EQ(hidden("tr330006100519786457841326."), "[iban].");
    EXPECT_EQ(hidden("TR 33 0006 1005 1978 6457 8413 26 and"), "[iban] and");
    EXPECT_EQ(mask("TR43 0006 1005 1978 6457 8413 26", only(Kind::iban)).text.substr(0, 4), "TR43");
    EXPECT_EQ(hidden("TR43 0006 1005 1978 6457 8413 26"), "TR[digits]");
}

TEST(Mask, HidesEmailWrittenAndSpoken) {
    EXPECT_EQ(hidden("Write to john.smith+x@mail.example.com."), "Write to [email].");
    EXPECT_EQ(hidden("it's john dot smith at example dot com ok"), "it's [email] ok");
    EXPECT_EQ(hidden("j o h n at gmail"), "[email]");
    EXPECT_EQ(hidden("ayşe et örnek nokta com nokta tr"), "[email]");
    EXPECT_EQ(hidden("5551234@example.com"), "[email]");
    EXPECT_EQ(mask("5551234@example.com", only(Kind::phone)).text, "[phone]@example.com");
}

TEST(Mask, HidesSpokenDigitsInEnglishAndTurkish) {
    EXPECT_EQ(hidden("my pin is four two four two"), "my pin is [digits]");
    EXPECT_EQ(hidden("Four, two. Uh, four... TWO!"), "[digits]!");
    EXPECT_EQ(hidden("double four triple two"), "[digits]");
    EXPECT_EQ(hidden("oh seven nine one one"), "[digits]");
    EXPECT_EQ(hidden("forty two 42 dört iki kırk iki"), "[phone]");
    EXPECT_EQ(hidden("sıfır beş yüz otuz iki"), "[digits]");
    EXPECT_EQ(hidden("SIFIR BEŞ ÜÇ İKİ"), "[digits]");
    EXPECT_EQ(hidden("sifir bes uc iki"), "[digits]");
    EXPECT_EQ(hidden("i̇ki üç dört beş"), "[digits]");  // with the dot that İ leaves behind
    EXPECT_EQ(hidden("on iki otuz dört"), "[digits]");
    std::string card = "four two four two four two four two";
    card += ' ' + card;
    EXPECT_EQ(hidden(card), "[card]");
    EXPECT_EQ(hidden("forty two forty two forty two forty two " + card.substr(0, 35)), "[card]");
    EXPECT_EQ(hidden("one zero zero zero zero zero zero zero one four six"), "[identity number]");
    EXPECT_EQ(hidden("sıfır beş yüz otuz iki yüz yirmi üç kırk beş altmış yedi"), "[phone]");
}

TEST(Mask, KnowsDigitsOfOtherScripts) {
    EXPECT_EQ(hidden("٤٢٤٢ ٤٢٤٢ ٤٢٤٢ ٤٢٤٢"), "[card]");
    EXPECT_EQ(hidden("pin 4242"), "pin [digits]");
}

TEST(Mask, ShowsWhatAnOperatorDoesNotWantHidden) {
    EXPECT_EQ(
        mask("in 2026, a@b.example, 4242424242424242", {}).text,
        "in 2026, a@b.example, 4242424242424242"
    );
    EXPECT_EQ(hidden_but("in 2026", Kind::digits), "in 2026");
    // Who shows one kind of number still hides all numbers.
    EXPECT_EQ(hidden_but("0532 123 45 67", Kind::phone), "[digits]");
}

TEST(Mask, HidesKeysOfTheKeypadUnlessTheyAreShown) {
    EXPECT_EQ(hidden("[keypad: 1234] please"), "[keypad: ****] please");
    EXPECT_EQ(hidden_but("[keypad: 1234]", Kind::keys), "[keypad: 1234]");
}

TEST(Mask, CutsWhatIsTooLong) {
    const std::string text(longest_text + 10, 'a');
    EXPECT_EQ(hidden(text), text.substr(0, longest_text) + "…");
}

TEST(Kinds, HaveNames) {
    const std::vector<std::string> names{"card", "digits", "nonsense"};
    const auto kinds = Kinds::named(names);
    EXPECT_TRUE(kinds.has(Kind::card) && kinds.has(Kind::digits) && kinds.has(Kind::keys));
    EXPECT_FALSE(kinds.has(Kind::phone));
    EXPECT_EQ(kind_named("nonsense"), std::nullopt);
}

TEST(LineMasker, FollowsANumberFromLineToLine) {
    LineMasker lines{Kinds::all()};
    EXPECT_EQ(lines.line("My card is 4242 4242").text, "My card is [phone]");
    EXPECT_EQ(lines.line("42").text, "[phone]");  // ten digits by now
    EXPECT_EQ(lines.line("four").text, "[phone]");
    const auto last = lines.line("2 4 2 4 2, that is it");
    EXPECT_EQ(last.text, "[card], that is it");
    EXPECT_TRUE(last.found.has(Kind::card));
    EXPECT_EQ(lines.line("42 is the answer").text, "42 is the answer");
}

TEST(LineMasker, HidesALineOfDigitsAloneFromTheSecondOn) {
    LineMasker lines{Kinds::all()};
    EXPECT_EQ(lines.line("Four.").text, "Four.");  // one digit: a number of guests
    EXPECT_EQ(lines.line("Two.").text, "[digits].");
    EXPECT_EQ(lines.line("Four two").text, "[digits]");
    EXPECT_EQ(lines.line("Yes.").text, "Yes.");
    EXPECT_EQ(lines.line("Two.").text, "Two.");
}

TEST(LineMasker, HidesWhatMayBecomeANumberWhileItIsHeard) {
    LineMasker lines{Kinds::all()};
    EXPECT_EQ(lines.partial("four").text, "[digits]");
    EXPECT_EQ(lines.partial("it is 4").text, "it is [digits]");
    EXPECT_EQ(lines.partial("two is what I said").text, "[digits] is what I said");
    EXPECT_EQ(lines.partial("I have two cats").text, "I have two cats");
    EXPECT_EQ(lines.line("I have two").text, "I have two");
    EXPECT_EQ(lines.partial("four").text, "[digits]");
    EXPECT_EQ(lines.line("hundred cats").text, "[digits] cats");  // 2100, as far as we know
}

TEST(PrivacyFuzz, ReplaysItsCorpus) {
    const auto run = [](std::string_view input) { test::fuzz_privacy(input); };
    EXPECT_GE(test::replay_corpus("privacy_fuzz", run), 5U);
}

/// All ways to cut a card's number into lines and groups hide every digit but a single first one.
TEST(LineMasker, NoCutOfACardShowsMoreThanItsFirstDigit) {
    const std::string card = "4242424242424242";
    for (unsigned cuts = 0; cuts < (1U << 15U); cuts += 7) {
        LineMasker lines{Kinds::all()};
        std::string shown;
        std::string line;
        for (std::size_t i = 0; i < card.size(); ++i) {
            line += card[i];
            if (i + 1 < card.size() && (cuts & (1U << i)) == 0) continue;
            shown += lines.line(line).text;
            line.clear();
        }
        std::size_t digits = 0;
        for (const char c : shown)
            digits += c >= '0' && c <= '9' ? 1 : 0;
        ASSERT_LE(digits, 1U) << cuts << ": " << shown;
    }
}

}  // namespace
}  // namespace oavc::privacy
