#include "config/ini.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace oavc::config {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

std::string value_of(const IniDocument& document, std::string_view section, std::string_view key) {
    for (const IniEntry& entry : document.entries) {
        if (entry.section == section && entry.key == key) return entry.value;
    }
    return "(none)";
}

TEST(ParseIni, ReadsSectionsKeysAndTheirLines) {
    const auto document =
        parse_ini("# first\n[api]\nport = 8088\nhost: 0.0.0.0\n\n[telephony.twilio]\nA = b = c\n");
    EXPECT_THAT(document.problems, IsEmpty());
    ASSERT_EQ(document.sections.size(), 2u);
    EXPECT_EQ(document.sections[1].name, "telephony.twilio");
    EXPECT_EQ(document.sections[1].line, 6u);
    ASSERT_EQ(document.entries.size(), 3u);
    EXPECT_EQ(document.entries[0].line, 3u);
    EXPECT_EQ(value_of(document, "api", "host"), "0.0.0.0");
    EXPECT_EQ(value_of(document, "telephony.twilio", "a"), "b = c");
}

TEST(ParseIni, AcceptsByteOrderMarkAndCarriageReturns) {
    const auto document = parse_ini("\xEF\xBB\xBF[api]\r\nport = 1\r\n; note\r\n");
    EXPECT_THAT(document.problems, IsEmpty());
    EXPECT_EQ(value_of(document, "api", "port"), "1");
}

TEST(ParseIni, KeepsCommentCharactersInsideValues) {
    const auto document = parse_ini("[agent]\ngreeting = Press # or ; now\n");
    EXPECT_EQ(value_of(document, "agent", "greeting"), "Press # or ; now");
}

TEST(ParseIni, ContinuesAValueOnLinesIndentedDeeperThanItsKey) {
    const auto document = parse_ini(
        "[agent]\n"
        "system_prompt = You are\n"
        "    a clerk.\n"
        "    # not part of it\n"
        "\n"
        "    Be brief.\n"
        "\n"
        "language = en\n"
    );
    EXPECT_THAT(document.problems, IsEmpty());
    EXPECT_EQ(value_of(document, "agent", "system_prompt"), "You are\na clerk.\n\nBe brief.");
    EXPECT_EQ(value_of(document, "agent", "language"), "en");
}

TEST(ParseIni, KeysAtTheSameIndentationAreNotContinuations) {
    const auto document = parse_ini("[api]\n  host = a\n  port = 1\n");
    EXPECT_EQ(value_of(document, "api", "host"), "a");
    EXPECT_EQ(value_of(document, "api", "port"), "1");
}

TEST(ParseIni, AValueMayBeginOnTheLineBelow) {
    EXPECT_EQ(value_of(parse_ini("[a]\nk =\n  v\n"), "a", "k"), "v");
}

TEST(ParseIni, TheSameSectionInAnotherSpellingMayAddButNotContradict) {
    const auto same = parse_ini("[rtp]\nmin = 1\n[RTP]\nmin = 1\nmax = 2\n");
    EXPECT_TRUE(same.problems.empty());
    ASSERT_EQ(same.entries.size(), 2u);
    EXPECT_EQ(same.entries[1].section, "rtp");
    EXPECT_EQ(same.entries[1].key, "max");

    const auto other = parse_ini("[rtp]\nmin = 1\n[RTP]\nmin = 2\n");
    ASSERT_EQ(other.problems.size(), 1u);
    EXPECT_EQ(other.problems[0].line, 4u);
    EXPECT_EQ(other.problems[0].what, "`min` is given twice; the first is in line 2");

    // Within one spelling it is a slip, whatever the values are.
    EXPECT_EQ(parse_ini("[rtp]\nmin = 1\n[rtp]\nmin = 1\n").problems.size(), 2u);
}

TEST(ParseIni, ReportsEveryProblemWithItsLine) {
    const auto document = parse_ini(
        "early = 1\n"
        "[api\n"
        "lost = 1\n"
        "[api]\n"
        "no delimiter\n"
        "= nameless\n"
        "port = 1\n"
        "PORT = 2\n"
        "[api]\n"
        "host = \xFF\n"
    );
    std::vector<std::uint32_t> lines;
    for (const IniProblem& problem : document.problems)
        lines.push_back(problem.line);
    ASSERT_THAT(lines, testing::ElementsAre(1u, 2u, 5u, 6u, 8u, 9u, 10u));
    EXPECT_THAT(document.problems[4].what, HasSubstr("first is in line 7"));
    EXPECT_THAT(document.problems[5].what, HasSubstr("line 4"));
    EXPECT_EQ(value_of(document, "api", "port"), "1");
    EXPECT_EQ(document.entries.size(), 1u);
}

TEST(ParseIni, RefusesTextThatIsNotUtf8) {
    constexpr std::string_view broken[]{
        "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82", "\x80"};
    for (const std::string_view bytes : broken) {
        EXPECT_EQ(parse_ini(fmt::format("[a]\nk = {}\n", bytes)).problems.size(), 1u);
    }
    EXPECT_EQ(parse_ini(std::string_view{"[a]\nk = \0\n", 10}).problems.size(), 1u);
    EXPECT_THAT(parse_ini("[a]\nk = çşğ € 😀\n").problems, IsEmpty());
}

TEST(ParseIni, HoldsItsLimits) {
    const IniLimits limits{.bytes = 200, .entries = 3, .value = 10, .problems = 4};

    std::string many = "[a]\n";
    for (int i = 0; i < 20; ++i)
        many += fmt::format("k{}=v\n", i);
    const auto cut = parse_ini(many, limits);
    EXPECT_EQ(cut.entries.size(), 3u);
    EXPECT_EQ(cut.problems.size(), 1u);

    const auto long_value = parse_ini("[a]\nk = 0123456789\n  more\n  and more\nl = 1\n", limits);
    EXPECT_EQ(value_of(long_value, "a", "k"), "0123456789");
    EXPECT_EQ(value_of(long_value, "a", "l"), "1");
    EXPECT_EQ(long_value.problems.size(), 1u);

    EXPECT_EQ(parse_ini(std::string(500, 'x'), limits).problems.size(), 2u);
    EXPECT_EQ(parse_ini("a\nb\nc\nd\ne\nf\ng\n", limits).problems.size(), 4u);
}

TEST(ParseIni, NoPrefixOfAFileBreaksIt) {
    const std::string text = "\xEF\xBB\xBF[a.b]\nk = v\n  more ç\n\n  end\n; c\nx:y\n[z]\n";
    for (std::size_t size = 0; size <= text.size(); ++size) {
        EXPECT_LE(parse_ini(std::string_view{text}.substr(0, size)).entries.size(), 2u) << size;
    }
}

}  // namespace
}  // namespace oavc::config
