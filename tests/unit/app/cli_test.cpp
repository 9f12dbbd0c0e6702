#include "app/cli.hpp"

#include "app/options.hpp"
#include "support/run_program.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

namespace oavc::app {
namespace {

using test::ProgramResult;
using test::run_program;
using testing::HasSubstr;

ProgramResult oavc(std::vector<std::string> arguments, std::vector<std::string> environment = {}) {
    arguments.insert(arguments.begin(), OAVC_BINARY);
    return run_program(std::move(arguments), std::move(environment), OAVC_SOURCE_DIR);
}

constexpr std::array<Options::Spec, 2> specs{{{"--config", "-c", true}, {"--explain", "", false}}};

Options parse(std::vector<std::string_view> arguments) { return {"x", arguments, specs, 1}; }

TEST(OptionsOfACommand, AreReadInEverySpelling) {
    EXPECT_EQ(parse({"-c", "a"}).value("--config"), "a");
    EXPECT_EQ(parse({"--config=a=b"}).value("--config"), "a=b");
    EXPECT_EQ(parse({"--config", "a", "-c", "b"}).value("--config"), "b");
    EXPECT_TRUE(parse({"--explain"}).has("--explain"));
    EXPECT_TRUE(parse({"-h"}).help());
    EXPECT_EQ(parse({"--", "--explain"}).positional().front(), "--explain");
}

std::string complaint(std::vector<std::string_view> arguments) {
    try {
        parse(std::move(arguments));
    } catch (const UsageError& error) {
        return error.what();
    }
    return "";
}

TEST(OptionsOfACommand, AreRefusedWithTheNearestName) {
    EXPECT_THAT(complaint({"--explian"}), HasSubstr("did you mean --explain?"));
    EXPECT_THAT(complaint({"--xyz"}), HasSubstr("unknown option --xyz\nsee: oavc x --help"));
    EXPECT_THAT(complaint({"--config"}), HasSubstr("--config needs a value"));
    EXPECT_THAT(complaint({"--explain=1"}), HasSubstr("takes no value"));
    EXPECT_THAT(complaint({"a", "b"}), HasSubstr("does not expect \"b\""));
}

TEST(FindConfigFile, TakesTheFirstThatIsNamed) {
    const config::Environment both{{"OAVC_CONFIG_FILE", "a"}, {"CONFIG_FILE", "b"}};
    EXPECT_EQ(find_config_file("c", both), "c");
    EXPECT_EQ(find_config_file(std::nullopt, both), "a");
    EXPECT_EQ(find_config_file(std::nullopt, {{"CONFIG_FILE", "b"}}), "b");
}

TEST(CommandLine, HelpTeachesAndExitsWithZero) {
    const auto help = oavc({"--help"});
    EXPECT_EQ(help.status, 0);
    EXPECT_THAT(help.output, HasSubstr("usage: oavc COMMAND"));
    EXPECT_THAT(help.output, HasSubstr("docs/first-call.md"));
    EXPECT_THAT(help.output, HasSubstr(" alive  oavc healthcheck")) << "columns stay apart";
    EXPECT_EQ(oavc({}).status, 2);
}

TEST(CommandLine, NamesTheNearestCommand) {
    const auto wrong = oavc({"check-confg"});
    EXPECT_EQ(wrong.status, 2);
    EXPECT_THAT(wrong.output, HasSubstr("did you mean check-config?"));
}

TEST(CommandLine, PrintsItsVersion) {
    EXPECT_EQ(oavc({"version"}).output, "oavc " OAVC_VERSION "\n");
    EXPECT_EQ(oavc({"--version"}).status, 0);
}

TEST(CommandLine, CheckConfigExitsWithOneAndListsEverything) {
    const auto broken = oavc({"check-config", "tests/data/broken.ini"});
    EXPECT_EQ(broken.status, 1);
    EXPECT_THAT(
        broken.output,
        HasSubstr("tests/data/broken.ini:3: error: Unknown provider: 'carrier-pigeon'")
    );
    EXPECT_THAT(broken.output, HasSubstr("tests/data/broken.ini:6: error: [api] port"));
    EXPECT_THAT(broken.output, HasSubstr("tests/data/broken.ini:7: warning: unknown key `hots`"));
    EXPECT_THAT(broken.output, testing::Not(HasSubstr("sesame")));
    const auto missing = oavc({"check-config", "nowhere.ini"});
    EXPECT_EQ(missing.status, 1);
    EXPECT_THAT(missing.output, HasSubstr("there is no such file"));
}

TEST(CommandLine, CheckConfigReadsTheDialogueToo) {
    const auto broken =
        oavc({"check-config", "tests/data/serve.ini"}, {"OAVC_LLM_SCRIPTED_DIALOGUE_FILE=LICENSE"});
    EXPECT_EQ(broken.status, 1);
    EXPECT_THAT(broken.output, HasSubstr("LICENSE"));
}

TEST(CommandLine, TheConfigurationsWeShipHaveNoProblems) {
    for (const char* file :
         {"config/dev.ini", "tests/data/real-speech.ini", "tests/data/serve.ini"}) {
        const auto result = oavc({"check-config", "--strict", file});
        EXPECT_EQ(result.status, 0) << result.output;
        EXPECT_THAT(result.output, HasSubstr("no problems"));
    }
    const std::vector<std::string> environment{
        "TWILIO_ACCOUNT_SID=AC1", "TWILIO_AUTH_TOKEN=t", "PUBLIC_URL=https://voice.example.com"};
    for (const char* file : {"config/twilio.ini", "config/gke.ini", "config/cloudrun.ini"}) {
        const auto complete = oavc({"check-config", "--strict", file}, environment);
        EXPECT_EQ(complete.status, 0) << complete.output;
        const auto without_secrets = oavc({"check-config", file});
        EXPECT_EQ(without_secrets.status, 1);
        EXPECT_THAT(without_secrets.output, HasSubstr("TWILIO_AUTH_TOKEN"));
    }
}

TEST(CommandLine, CheckConfigPrintsTheReference) {
    EXPECT_THAT(oavc({"check-config", "--docs"}).output, HasSubstr("## [telephony.twilio]"));
}

}  // namespace
}  // namespace oavc::app
