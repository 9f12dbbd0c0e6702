#include "observability/log.hpp"

#include "observability/log_fields.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

namespace oavc::log {

namespace {

using namespace std::chrono_literals;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

/// Lines go to a file of the test's own.
class LogTest : public testing::Test {
protected:
    std::string path = testing::TempDir() + "oavc_log_test_" + std::to_string(::getpid());

    ~LogTest() override {
        configure({});
        std::remove(path.c_str());
    }
    void use(Settings settings) {
        settings.file = path;
        configure(settings);
    }
    std::string written() const {
        std::ifstream in{path};
        return {std::istreambuf_iterator<char>{in}, {}};
    }
};

TEST_F(LogTest, ConsoleLinesCarryFieldsAndThoseOfTheChildLogger) {
    use({});
    const auto call = Logger{}.with({kv("call", "4f1c")});
    call.info("call answered", kv("codec", "PCMU"), kv("frames", 3), kv("setup_ms", 12ms));
    EXPECT_THAT(
        written(), HasSubstr("INFO    call answered codec=PCMU frames=3 setup_ms=12.0 call=4f1c\n")
    );
}

TEST_F(LogTest, JsonLinesAreOneObjectEach) {
    use({.format = Format::json});
    Logger{}.warn("odd \"name\"", kv("value", "a\nb"), kv("count", 2), kv("ok", true));
    EXPECT_THAT(
        written(),
        ContainsRegex(
            R"(^\{"severity":"WARNING","time":"20[0-9-]{8}T[0-9:]{8}\.[0-9]{6}Z","message":)"
        )
    );
    EXPECT_THAT(
        written(), HasSubstr(R"("message":"odd \"name\"","value":"a\u000ab","count":2,"ok":true})")
    );
}

TEST_F(LogTest, LinesNameTheirTraceAsGoogleCloudJoinsThem) {
    constexpr auto trace = "5b8efff798038103d269b633813fc60c";
    constexpr auto span = "eee19b7ec3c1b174";
    use({.format = Format::json});
    set_google_project("demo");
    with_trace(Logger{}, trace, span, true).with({kv("call", "c-42")}).info("call started");
    EXPECT_THAT(
        written(),
        HasSubstr(
            R"("message":"call started",)"
            R"("logging.googleapis.com/trace":"projects/demo/traces/5b8efff798038103d269b633813fc60c",)"
            R"("logging.googleapis.com/spanId":"eee19b7ec3c1b174",)"
            R"("logging.googleapis.com/trace_sampled":true,"call":"c-42"})"
        )
    );
    set_google_project("");
    with_trace(Logger{}, trace, span, true).info("call started");
    EXPECT_THAT(written(), HasSubstr(R"("trace":"5b8efff798038103d269b633813fc60c","span":")"));
    use({});
    with_trace(Logger{}, trace, span, true).info("call started");
    EXPECT_THAT(written(), HasSubstr("call started trace=5b8efff798038103d269b633813fc60c\n"));
}

TEST_F(LogTest, PersonalDataIsHiddenUnlessTheOperatorAsksForIt) {
    use({});
    Logger{}.info("caller said", kv("text", pii("my card number is 4111")));
    EXPECT_THAT(written(), Not(HasSubstr("4111")));
    EXPECT_THAT(written(), HasSubstr("[22 chars]"));
    use({.show_personal_data = true});
    Logger{}.info("caller said", kv("text", pii("my card number is 4111")));
    EXPECT_THAT(written(), HasSubstr("my card number is [digits]"));
    EXPECT_THAT(written(), Not(HasSubstr("4111"))) << "numbers are hidden even then";
}

TEST_F(LogTest, AHeaderOfACallerCannotForgeALine) {
    use({});
    Logger{}.info("call came in", kv("user_agent", "x\n12:00:00.000 ERROR all is lost\x1b[2J"));
    const auto text = written();
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
    EXPECT_THAT(text, Not(HasSubstr("\x1b")));
}

TEST_F(LogTest, LevelsBelowTheConfiguredOneAreNotWritten) {
    use({.level = Level::warn});
    Logger{}.info("quiet");
    Logger{}.error("loud");
    EXPECT_THAT(written(), Not(HasSubstr("quiet")));
    EXPECT_THAT(written(), HasSubstr("loud"));
}

TEST(Level, ReadsTheNamesOperatorsUse) {
    Level level{};
    EXPECT_TRUE(parse_level("WARNING", level));
    EXPECT_EQ(level, Level::warn);
    EXPECT_FALSE(parse_level("loud", level));
}

TEST(RateLimit, LetsTheFirstThroughAndThenCountsWhatItHeldBack) {
    RateLimit limit{10s};
    std::chrono::steady_clock::time_point now{};
    EXPECT_TRUE(limit.allow(now));
    EXPECT_FALSE(limit.allow(now + 1s));
    EXPECT_FALSE(limit.allow(now + 9s));
    EXPECT_TRUE(limit.allow(now + 10s));
    EXPECT_EQ(limit.suppressed(), 2u);
}

}  // namespace
}  // namespace oavc::log
