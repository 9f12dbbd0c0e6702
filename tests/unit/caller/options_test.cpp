#include "caller/options.hpp"

#include <gtest/gtest.h>

namespace oavc::caller {
namespace {

ParsedOptions parse(std::vector<std::string_view> arguments) { return parse_options(arguments); }

TEST(CallOptions, KeepWhatIsSaidInItsOrder) {
    const auto parsed =
        parse({"--via", "twilio", "--say", "one", "--wav=two.wav", "--interrupt", "three"});
    EXPECT_EQ(parsed.error, "");
    EXPECT_EQ(parsed.options.via, "twilio");
    ASSERT_EQ(parsed.options.speech.size(), 3U);
    EXPECT_EQ(parsed.options.speech[0].value, "one");
    EXPECT_EQ(parsed.options.speech[1].kind, Options::Speech::Kind::wav);
    EXPECT_TRUE(parsed.options.speech[2].interrupts);
    EXPECT_FALSE(parsed.options.speech[0].interrupts);
}

TEST(CallOptions, LetTheLastUtteranceInterruptWhenOnlyTheTimeIsGiven) {
    const auto parsed = parse({"--interrupt-after", "1500ms", "--say", "one", "--say", "two"});
    EXPECT_EQ(parsed.options.interrupt_after, 1500ms);
    EXPECT_FALSE(parsed.options.speech[0].interrupts);
    EXPECT_TRUE(parsed.options.speech[1].interrupts);
    const auto explicit_one =
        parse({"--interrupt-after", "1s", "--interrupt", "one", "--say", "two"});
    EXPECT_FALSE(explicit_one.options.speech[1].interrupts);
}

TEST(CallOptions, SayWhatIsWrong) {
    EXPECT_NE(parse({"--vai", "x"}).error.find("--vai"), std::string::npos);
    EXPECT_NE(
        parse({"--via", "carrier-pigeon"}).error.find("opensips, sip and twilio"), std::string::npos
    );
    EXPECT_NE(
        parse({"--answer", "--via", "twilio"}).error.find("--via opensips"), std::string::npos
    );
    EXPECT_TRUE(parse({"--answer"}).options.answer);
    EXPECT_NE(parse({"--sip-port", "0"}).error, "");
    EXPECT_NE(parse({"--say"}).error, "");
    EXPECT_NE(parse({"--say", ""}).error, "");
    EXPECT_NE(parse({"--repeat", "0"}).error, "");
    EXPECT_NE(parse({"--mi-port", "65536"}).error, "");
    EXPECT_NE(parse({"--dtmf", "12x"}).error, "");
    EXPECT_NE(parse({"--url", "127.0.0.1:8088"}).error, "");
    EXPECT_NE(parse({"stray"}).error, "");
    EXPECT_TRUE(parse({"--help", "--bogus"}).options.help);
}

TEST(CallOptions, ReadDurationsWithTheirUnits) {
    EXPECT_EQ(parse_duration("1500ms"), 1500ms);
    EXPECT_EQ(parse_duration("1500"), 1500ms);
    EXPECT_EQ(parse_duration("1.5s"), 1500ms);
    EXPECT_EQ(parse_duration("2m"), 120'000ms);
    for (const auto* wrong : {"", "s", "1h", "-1s", "1.2.3s", "1e9s", "99999999999999s", ". s"}) {
        EXPECT_FALSE(parse_duration(wrong)) << wrong;
    }
}

TEST(CallOptions, TheHelpNamesEveryOption) {
    for (const auto* option :
         {"--via",    "--config",     "--say",       "--wav",    "--interrupt-after",
          "--voice",  "--dtmf",       "--record",    "--json",   "--repeat",
          "--url",    "--auth-token", "--api-token", "--answer", "--mi-port",
          "--sip-ip", "--sip-port",   "--rtp-ip",    "--wait",   "--timeout",
          "--from",   "--ca"}) {
        EXPECT_NE(help_text().find(option), std::string_view::npos) << option;
    }
}

}  // namespace
}  // namespace oavc::caller
