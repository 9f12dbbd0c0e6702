#include "observability/audit.hpp"

#include "observability/audit_chain.hpp"
#include "support/temporary_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace oavc::audit {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

std::vector<std::string> chain(std::size_t records) {
    Link link;
    std::vector<std::string> lines;
    for (std::size_t i = 0; i < records; ++i) {
        const Event event{
            .what = "call_started",
            .who = "caller",
            .source = "sip",
            .call = "4f1c",
            .more = {{"number", std::to_string(i)}}};
        const auto text = described(event, std::chrono::system_clock::time_point{1s});
        lines.push_back(sealed(link, text));
    }
    return lines;
}

std::vector<std::string> findings(const std::vector<std::string>& lines) {
    Verifier verifier;
    std::vector<std::string> found;
    for (const auto& line : lines) {
        const auto finding = verifier.line(line);
        if (!finding.what.empty()) found.push_back((finding.broken ? "" : "note: ") + finding.what);
    }
    return found;
}

TEST(AuditChain, LinesAreJsonWithTheHashOfAllBeforeThem) {
    const auto lines = chain(2);
    EXPECT_THAT(
        lines[0],
        AllOf(
            testing::StartsWith(
                R"({"seq":1,"time":"1970-01-01T00:00:01.000Z","what":"call_started",)"
                R"("who":"caller","source":"sip","call":"4f1c","number":"0","prev":"000)"
            ),
            testing::EndsWith("\"}")
        )
    );
    // sha256sum says the same of the line before `,"hash"`.
    const auto first = place_of(lines[0]);
    const auto second = place_of(lines[1]);
    ASSERT_TRUE(first && second);
    EXPECT_TRUE(first->intact && second->intact);
    EXPECT_EQ(second->previous, first->hash);
    Link fresh;
    const auto line = sealed(fresh, R"("what":"x")");
    EXPECT_EQ(
        place_of(line)->hash, "4bad312dad184ce6f31b8daf56deaa54ee779a9c025d5c2b0e86a11bc7ff9eeb"
    );
}

TEST(AuditChain, NothingOfAPeerCanForgeALine) {
    const Event event{
        .what = "x",
        .who = "a\"b\\c\n\x1b[2J",
        .source = "\xFF\xC3",
        .call = std::string(5'000, 'y'),
        .more = {}};
    const auto text = described(event, {});
    EXPECT_THAT(text, HasSubstr(R"("who":"a\"b\\c\u000a\u001b[2J")"));
    EXPECT_THAT(text, HasSubstr(R"("source":"\\xff\\xc3")"));
    EXPECT_LT(text.size(), 800u);
    EXPECT_THAT(text, Not(HasSubstr("\n")));
}

TEST(AuditChain, AWholeChainHasNoFindings) { EXPECT_THAT(findings(chain(20)), IsEmpty()); }

TEST(AuditChain, EveryChangedByteIsFound) {
    const auto good = chain(3);
    for (std::size_t i = 0; i < good[1].size(); ++i) {
        auto lines = good;
        lines[1][i] = lines[1][i] == 'x' ? 'y' : 'x';
        ASSERT_THAT(findings(lines), Not(IsEmpty())) << "byte " << i;
    }
}

TEST(AuditChain, SaysWhatWasRemovedMovedReplacedAndAdded) {
    auto lines = chain(6);
    lines.erase(lines.begin() + 2);
    EXPECT_THAT(findings(lines), ElementsAre("record 3 is missing before this one"));
    lines = chain(6);
    lines.erase(lines.begin() + 1, lines.begin() + 4);
    EXPECT_THAT(findings(lines), ElementsAre("records 2 to 4 are missing before this one"));
    lines = chain(6);
    std::swap(lines[2], lines[3]);
    EXPECT_THAT(
        findings(lines),
        ElementsAre(
            "record 3 is missing before this one",
            "record 3 stands behind record 4: moved, or twice",
            "record 4 is missing before this one"
        )
    );
    lines = chain(3);
    Link link;
    std::vector<std::string> other;
    for (int i = 0; i < 3; ++i)
        other.push_back(sealed(link, R"("what":"other")"));
    lines[1] = other[1];
    EXPECT_THAT(
        findings(lines),
        ElementsAre(
            "record 2 does not continue record 1: one was replaced",
            "record 3 does not continue record 2: one was replaced"
        )
    );
    lines = chain(3);
    lines.insert(lines.begin() + 1, "hello");
    EXPECT_THAT(findings(lines), ElementsAre(HasSubstr("note: is no record")));
}

class AuditLogTest : public testing::Test {
protected:
    test::TemporaryFolder folder;
    const std::string file = (folder.path() / "audit.jsonl").string();

    Config config() const {
        Config wanted;
        wanted.file = file;
        return wanted;
    }
    static std::vector<std::string> lines_of(const std::string& name) {
        std::ifstream in{name};
        std::vector<std::string> lines;
        for (std::string line; std::getline(in, line);)
            lines.push_back(line);
        return lines;
    }
    static void write(Log& log, std::size_t records) {
        for (std::size_t i = 0; i < records; ++i)
            log.record({.what = "test", .who = "me", .source = {}, .call = {}, .more = {}});
    }
    template <class Condition>
    static bool eventually(Condition condition) {
        const auto deadline = std::chrono::steady_clock::now() + 20s;
        while (!condition()) {
            if (std::chrono::steady_clock::now() > deadline) return false;
            std::this_thread::yield();
        }
        return true;
    }
};

TEST_F(AuditLogTest, ContinuesItsChainAfterARestart) {
    for (int run = 0; run < 3; ++run) {
        Log log{config(), {}};
        log.start();
        write(log, 4);
    }
    const auto lines = lines_of(file);
    EXPECT_EQ(lines.size(), 12u);
    EXPECT_THAT(findings(lines), IsEmpty());
    EXPECT_EQ(parse_link(lines_of(file + ".head").at(0))->sequence, 12u);
}

TEST_F(AuditLogTest, PutsFullFilesAsideAndGoesOnInTheNext) {
    auto wanted = config();
    wanted.file_size = 0;  // every batch fills it
    {
        Log log{wanted, {}};
        log.start();
        for (std::uint64_t i = 1; i <= 3; ++i) {
            write(log, 1);
            ASSERT_TRUE(eventually([&] { return log.stats().written == i; }));
        }
    }
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator{folder.path()}) {
        const auto name = entry.path().string();
        if (name != file && !name.ends_with(".head")) names.push_back(name);
    }
    std::ranges::sort(names);
    ASSERT_EQ(names.size(), 3u);
    EXPECT_TRUE(names[2].ends_with(".000000000003")) << names[2];
    std::vector<std::string> all;
    for (const auto& name : names)
        std::ranges::copy(lines_of(name), std::back_inserter(all));
    EXPECT_THAT(findings(all), IsEmpty());
    EXPECT_EQ(all.size(), 3u);
    // A restart knows the chain's end although its file is empty.
    {
        Log log{config(), {}};
        log.start();
        write(log, 1);
    }
    std::ranges::copy(lines_of(file), std::back_inserter(all));
    EXPECT_THAT(findings(all), IsEmpty());
    EXPECT_EQ(all.size(), 4u);
}

TEST_F(AuditLogTest, GoesOnBehindAWriteThatWasCutOff) {
    {
        Log log{config(), {}};
        log.start();
        write(log, 2);
    }
    std::ofstream{file, std::ios::app} << R"({"seq":3,"time":"2026)";
    {
        Log log{config(), {}};
        log.start();
        write(log, 1);
    }
    const auto lines = lines_of(file);
    ASSERT_EQ(lines.size(), 4u);
    EXPECT_THAT(findings(lines), ElementsAre(HasSubstr("note: is no record")));
    EXPECT_EQ(place_of(lines[3])->sequence, 3u);
}

TEST_F(AuditLogTest, RefusesAFileThatIsNoAuditOrInUse) {
    std::ofstream{file} << "something else\n";
    Log wrong{config(), {}};
    EXPECT_THROW(wrong.start(), std::runtime_error);
    std::filesystem::remove(file);
    Log first{config(), {}};
    first.start();
    Log second{config(), {}};
    EXPECT_THROW(second.start(), std::runtime_error);
    auto nowhere = config();
    nowhere.file = (folder.path() / "no" / "such" / "folder").string();
    Log third{nowhere, {}};
    EXPECT_THROW(third.start(), std::runtime_error);
}

TEST_F(AuditLogTest, WithoutAFileThereIsNoAudit) {
    Log log{{}, {}};
    log.start();
    write(log, 3);
    EXPECT_EQ(log.stats().written, 0u);
}

/// A disk that is full for a while, played by the limit of a file's size.
TEST_F(AuditLogTest, WaitsForAFullDiskAndTellsWhatWasLost) {
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit before{};
    ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    auto full = before;
    full.rlim_cur = 1'000;
    Log log{config(), {}};
    log.start();
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &full), 0);
    write(log, 10);  // more than fits
    const bool failed = eventually([&] { return log.stats().failed > 0; });
    write(log, Log::most_waiting + 50);
    const auto stats = log.stats();
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    EXPECT_TRUE(failed);
    EXPECT_GE(stats.dropped, 50u);
    ASSERT_TRUE(eventually([&] { return log.stats().written > Log::most_waiting; }));

    const auto lines = lines_of(file);
    EXPECT_THAT(findings(lines), IsEmpty())
        << "nothing is torn: the write went on where it stopped";
    const auto gap = std::ranges::find_if(lines, [](const std::string& line) {
        return line.find("audit_gap") != std::string::npos;
    });
    ASSERT_NE(gap, lines.end());
    EXPECT_THAT(*gap, HasSubstr("\"lost\":\"" + std::to_string(stats.dropped) + "\""));
}

}  // namespace
}  // namespace oavc::audit
