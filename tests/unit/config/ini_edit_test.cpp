#include "config/ini_edit.hpp"

#include "config/ini.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace oavc::config {
namespace {

std::string with_limit(std::string_view ini) {
    auto out = with_ini_value(ini, "limits", "max_calls", "160");
    const auto document = parse_ini(out);
    EXPECT_EQ(std::ranges::count(document.entries, "max_calls", &IniEntry::key), 1);
    for (const auto& entry : document.entries) {
        if (entry.key == "max_calls") EXPECT_EQ(entry.value, "160") << out;
    }
    return out;
}

TEST(IniEdit, PutsTheValueInThePlaceOfTheOldOneAndLeavesAllElse) {
    EXPECT_EQ(
        with_limit("# ours\n[limits]\n; calls at once\nMax_Calls :  200\nshards = 2\n[api]\na=b"),
        "# ours\n[limits]\n; calls at once\nMax_Calls :  160\nshards = 2\n[api]\na=b"
    );
    EXPECT_EQ(with_limit("[LIMITS]\r\nmax_calls=1\r\n"), "[LIMITS]\r\nmax_calls=160\r\n");
    EXPECT_EQ(with_limit("[limits]\nmax_calls =\n"), "[limits]\nmax_calls = 160\n");
    EXPECT_EQ(with_limit("[limits]\nmax_calls = 7"), "[limits]\nmax_calls = 160");
    EXPECT_EQ(
        with_limit("[a]\nmax_callers = 7\n[limits]\nmax_calls = ${N}\n"),
        "[a]\nmax_callers = 7\n[limits]\nmax_calls = 160\n"
    );
}

TEST(IniEdit, TakesTheOldValuesOtherLinesAway) {
    EXPECT_EQ(
        with_limit("[limits]\nmax_calls =\n  200\n  # was 100\n\n  300\nshards = 2\n"),
        "[limits]\nmax_calls = 160\n  # was 100\n\nshards = 2\n"
    );
}

TEST(IniEdit, AddsTheKeyToItsSection) {
    EXPECT_EQ(
        with_limit("[limits]\n# of shards\nshards = 2\n"),
        "[limits]\nmax_calls = 160\n# of shards\nshards = 2\n"
    );
    EXPECT_EQ(with_limit("[api]\n[limits]"), "[api]\n[limits]\nmax_calls = 160\n");
    EXPECT_EQ(with_limit("[limits]\n  shards = 2\n"), "[limits]\n  max_calls = 160\n  shards = 2\n")
        << "shards would continue its value";
}

TEST(IniEdit, AddsTheSection) {
    EXPECT_EQ(with_limit(""), "[limits]\nmax_calls = 160\n");
    EXPECT_EQ(
        with_limit("[api]\r\nport = 1"), "[api]\r\nport = 1\r\n\r\n[limits]\r\nmax_calls = 160\r\n"
    );
}

}  // namespace
}  // namespace oavc::config
