#include "pipeline/digit_collector.hpp"

#include <gtest/gtest.h>

#include <array>

namespace oavc::pipeline {
namespace {

const TimePoint t0{};
constexpr auto none = std::nullopt;

/// Presses keys 100 ms apart; the first entry that they complete.
std::optional<std::string> press(DigitCollector& collector, std::string_view keys, TimePoint from) {
    for (const char key : keys) {
        if (auto entry = collector.on_digit(key, from)) return entry;
        from += 100ms;
    }
    return none;
}

TEST(DigitCollector, IsCompleteWithItsCount) {
    DigitCollector collector{{.count = 4}};
    EXPECT_EQ(press(collector, "123", t0), none);
    EXPECT_TRUE(collector.collecting());
    EXPECT_EQ(collector.size(), 3u);
    EXPECT_EQ(collector.on_digit('4', t0 + 400ms), "1234");
    EXPECT_FALSE(collector.collecting());
    EXPECT_EQ(press(collector, "5678", t0 + 1s), "5678") << "and the next begins";
}

TEST(DigitCollector, IsCompleteWithItsTerminatorWhichIsNotPartOfIt) {
    DigitCollector collector{{}};
    EXPECT_EQ(press(collector, "12*4#", t0), "12*4");
    DigitCollector star{{.terminator = '*'}};
    EXPECT_EQ(press(star, "1#2*", t0), "1#2");
    DigitCollector never{{.count = 3, .terminator = '\0'}};
    EXPECT_EQ(press(never, "1#2", t0), "1#2");
}

TEST(DigitCollector, ATerminatorThatComesFirstIsAnEntryOfItsOwn) {
    DigitCollector collector{{}};
    EXPECT_EQ(collector.on_digit('#', t0), "#");
}

TEST(DigitCollector, APauseCompletesItFromTheLatestKeyOn) {
    DigitCollector collector{{.next = 3s}};
    collector.on_digit('1', t0);
    EXPECT_EQ(collector.poll(t0 + 2999ms), none);
    collector.on_digit('2', t0 + 2999ms);
    EXPECT_EQ(collector.poll(t0 + 5998ms), none);
    EXPECT_EQ(collector.poll(t0 + 5999ms), "12");
    EXPECT_EQ(collector.poll(t0 + 1h), none) << "once";
}

TEST(DigitCollector, AnEntryThatWasAskedForMayStayEmpty) {
    DigitCollector collector{{}};
    EXPECT_EQ(collector.poll(t0 + 1h), none) << "nothing was asked";
    collector.ask({.count = 4, .first = 10s}, t0);
    EXPECT_TRUE(collector.waiting());
    EXPECT_EQ(collector.poll(t0 + 9999ms), none);
    EXPECT_EQ(collector.poll(t0 + 10s), "");
    EXPECT_FALSE(collector.waiting());
}

TEST(DigitCollector, TheQuestionsRulesHoldForItsEntryOnly) {
    DigitCollector collector{{.count = 2}};
    collector.ask({.count = 4, .next = 1s}, t0);
    EXPECT_EQ(press(collector, "1234", t0 + 2s), "1234");
    EXPECT_EQ(press(collector, "12", t0 + 5s), "12");
}

TEST(DigitCollector, IsNeverLongerThanItsRoom) {
    DigitCollector collector{{.count = 1000}};
    const std::string keys(DigitCollector::most, '7');
    EXPECT_EQ(press(collector, keys, t0), keys);
    DigitCollector none_wanted{{.count = 0}};
    EXPECT_EQ(none_wanted.on_digit('1', t0), "1");
}

TEST(DigitCollector, ForgetsWhatIsCancelled) {
    DigitCollector collector{{.count = 3}};
    press(collector, "12", t0);
    collector.cancel();
    EXPECT_EQ(collector.poll(t0 + 1h), none);
    EXPECT_EQ(press(collector, "34", t0 + 1h), none);
    EXPECT_EQ(collector.on_digit('5', t0 + 1h), "345");
}

TEST(Entries, AreShownByTheirLengthAndWrittenOutWhereTheyMayBe) {
    EXPECT_EQ(masked_entry(4), "[keypad: ****]");
    EXPECT_EQ(masked_entry(0), "[keypad: nothing]");
    EXPECT_EQ(shown_entry("12#"), "[keypad: 12#]");
    const std::string text = "my number is [keypad: ****] and [keypad: *] thanks";
    EXPECT_EQ(count_entries(text), 2u);
    const std::array<std::string, 2> entries{"1234", "5"};
    EXPECT_EQ(reveal_entries(text, entries), "my number is [keypad: 1234] and [keypad: 5] thanks");
    EXPECT_EQ(reveal_entries("no keys", entries), "no keys");
    EXPECT_EQ(count_entries("[keypad: "), 1u);
    EXPECT_EQ(reveal_entries("[keypad: ", entries), "[keypad: ");
}

}  // namespace
}  // namespace oavc::pipeline
