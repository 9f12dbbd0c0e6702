#include "media/telephone_event.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace oavc::media {
namespace {

TEST(TelephoneEvent, SurvivesBuildingAndParsing) {
    std::array<std::byte, 4> bytes{};
    ASSERT_TRUE(build_telephone_event({11, true, 63, 0xABCD}, bytes));
    const auto event = parse_telephone_event(bytes);
    ASSERT_TRUE(event);
    EXPECT_EQ(event->event, 11);
    EXPECT_TRUE(event->end);
    EXPECT_EQ(event->volume, 63);
    EXPECT_EQ(event->duration, 0xABCD);
    EXPECT_EQ(parse_telephone_event(std::span{bytes}.first(3)).error(), RtpErrc::truncated);
    EXPECT_EQ(build_telephone_event({}, std::span{bytes}.first(3)).error(), RtpErrc::no_room);
}

TEST(TelephoneEvent, KeysAndEventsNameEachOther) {
    const std::string keys = "0123456789*#ABCD";
    for (std::uint8_t event = 0; event < 16; ++event) {
        EXPECT_EQ(digit_of(event), keys[event]);
        EXPECT_EQ(event_of(keys[event]), event);
    }
    EXPECT_EQ(digit_of(16), std::nullopt) << "hook flash is no key";
    EXPECT_EQ(event_of('d'), 15);
    EXPECT_EQ(event_of('x'), std::nullopt);
}

// One press as its sender would report it: every 20 ms, then the end three times.
struct Press {
    DigitDetector& detector;
    std::uint8_t event;
    std::uint32_t timestamp;
    std::string seen{};

    void report(std::uint16_t duration, bool end = false) {
        if (const auto digit = detector.on_event({event, end, 10, duration}, {timestamp}))
            seen += *digit;
    }
    void all(std::uint16_t length = 800) {
        for (std::uint16_t d = 160; d < length; d = static_cast<std::uint16_t>(d + 160))
            report(d);
        for (int i = 0; i < 3; ++i)
            report(length, true);
    }
};

TEST(DigitDetector, MakesOneDigitOfAPressWhateverIsLostOfIt) {
    for (int lost = 0; lost < 0b111'1111; ++lost) {  // any subset but all of seven packets
        DigitDetector detector;
        Press press{detector, 5, 1'000};
        for (int packet = 0; packet < 7; ++packet) {
            if ((lost >> packet & 1) != 0) continue;
            press.report(static_cast<std::uint16_t>(160 * std::min(packet + 1, 5)), packet >= 4);
        }
        ASSERT_EQ(press.seen, "5") << lost;
    }
}

TEST(DigitDetector, TellsTwoPressesOfOneKeyApartEvenWithoutTheEndOfTheFirst) {
    DigitDetector detector;
    Press first{detector, 1, 1'000};
    first.report(160);
    first.report(320);
    Press second{detector, 1, 1'000 + 800 + 400};
    second.all();
    EXPECT_EQ(first.seen + second.seen, "11");
}

TEST(DigitDetector, ALongPressInSegmentsIsOneDigit) {
    DigitDetector detector;
    Press first{detector, 9, 0xFFFF'8000};  // the timestamp wraps meanwhile
    for (unsigned d = 160; d <= 0xFFFF; d += 160)
        first.report(static_cast<std::uint16_t>(d));
    first.report(0xFFFF);
    Press second{detector, 9, 0xFFFF'8000 + 0xFFFF};
    second.report(160);
    second.report(320);
    // Most of the second segment is lost, and so is the beginning of the third.
    Press third{detector, 9, 0xFFFF'8000u + 0xFFFF + 0xFFFF};
    third.report(1'600);
    third.report(3'200, true);
    EXPECT_EQ(first.seen, "9");
    EXPECT_EQ(second.seen + third.seen, "");
}

TEST(DigitDetector, SendersThatMoveTheTimestampDuringAPressAreOneDigit) {
    DigitDetector detector;
    std::string seen;
    for (std::uint32_t i = 0; i < 10; ++i) {
        const auto duration = static_cast<std::uint16_t>(160 * (i + 1));
        const auto digit = detector.on_event({3, i >= 8, 10, duration}, {5'000 + 160 * i});
        if (digit) seen += *digit;
    }
    EXPECT_EQ(seen, "3");
}

TEST(DigitDetector, StragglersOfAnEarlierPressAreIgnored) {
    DigitDetector detector;
    Press first{detector, 1, 1'000};
    Press second{detector, 2, 3'000};
    first.report(160);
    second.report(160);
    first.report(800, true);
    second.report(320);
    second.report(800, true);
    EXPECT_EQ(first.seen + second.seen, "12");
}

TEST(DigitDetector, FollowsASenderThatSetItsClockBack) {
    DigitDetector detector;
    Press first{detector, 1, 1'000'000};
    Press second{detector, 2, 1'000};
    first.all();
    second.all();
    EXPECT_EQ(first.seen + second.seen, "12");
}

}  // namespace
}  // namespace oavc::media
