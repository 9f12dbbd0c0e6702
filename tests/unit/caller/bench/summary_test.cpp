#include "caller/bench/summary.hpp"

#include "caller/bench/calibration.hpp"
#include "caller/bench/ramp.hpp"
#include "caller/bench/report.hpp"
#include "caller/bench/scraped_histogram.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace oavc::caller::bench {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// --- ScrapedHistogram ---

/// 100 answers within 10 ms, 80 within 20, 20 later than the last bound.
constexpr std::string_view scrape = R"(# HELP t_seconds How long.
# TYPE t_seconds histogram
t_seconds_count 200
t_seconds_sum 12.5
t_seconds_bucket{le="0.01"} 100
t_seconds_bucket{le="0.02"} 180
t_seconds_bucket{le="+Inf"} 200
other_t_seconds_bucket{le="0.01"} 7
)";

std::optional<ScrapedHistogram> read_scrape(std::string text) {
    return ScrapedHistogram::read(text, "t_seconds");
}

std::string with(std::string text, std::string_view from, std::string_view to) {
    return text.replace(text.find(from), from.size(), to);
}

TEST(ScrapedHistogram, TellsPercentilesAsPrometheusDoes) {
    const auto read = read_scrape(std::string{scrape});
    ASSERT_TRUE(read);
    EXPECT_EQ(read->count(), 200u);
    EXPECT_DOUBLE_EQ(read->mean_s(), 0.0625);
    EXPECT_DOUBLE_EQ(read->percentile_s(25), 0.005) << "from 0 within the first bucket";
    EXPECT_DOUBLE_EQ(read->percentile_s(50), 0.01);
    EXPECT_DOUBLE_EQ(read->percentile_s(70), 0.015);
    EXPECT_DOUBLE_EQ(read->percentile_s(99), 0.02) << "the last bound there is";
}

TEST(ScrapedHistogram, TakesWhatCameSince) {
    const std::string text{scrape};
    const auto before = read_scrape(text);
    auto later = with(
        with(text, "_bucket{le=\"0.02\"} 180", "_bucket{le=\"0.02\"} 190"),
        "_bucket{le=\"+Inf\"} 200",
        "_bucket{le=\"+Inf\"} 210"
    );
    const auto after = read_scrape(later);
    ASSERT_TRUE(before && after);
    const auto window = after->since(*before);
    ASSERT_TRUE(window);
    EXPECT_EQ(window->count(), 10u);
    EXPECT_DOUBLE_EQ(window->percentile_s(50), 0.015);
    EXPECT_FALSE(before->since(*after)) << "a server that began anew";
    EXPECT_EQ(before->since(*before)->percentile_s(99), 0);
}

TEST(ScrapedHistogram, IsNothingWhereItMakesNoSense) {
    const std::string text{scrape};
    ASSERT_TRUE(read_scrape(text));
    EXPECT_FALSE(read_scrape(""));
    EXPECT_FALSE(read_scrape("t_seconds_bucket{le=\"+Inf\"} 1\n")) << "no bound";
    for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
             {"\"0.02\"} 180", "\"0.02\"} 99"},    // falls
             {"\"0.02\"} 180", "\"0.005\"} 180"},  // descends
             {"\"0.02\"} 180", "\"0.02\"} -1"},
             {"\"0.02\"} 180", "\"0.02\"} 1e300"},
             {"\"0.02\"} 180", "\"0.02\"} NaN"},
             {"\"0.02\"} 180", "\"0.02\" 180"},
             {"\"0.02\"} 180", "\"x\"} 180"},
             {"\"+Inf\"} 200", "\"0.03\"} 200"},
             {"_sum 12.5", "_sum twelve"}})
        EXPECT_FALSE(read_scrape(with(text, from, to))) << to;
    std::string endless;
    for (int i = 1; i < 1'000; ++i)
        endless += "t_seconds_bucket{le=\"" + std::to_string(i) + "\"} 1\n";
    EXPECT_FALSE(read_scrape(endless + "t_seconds_bucket{le=\"+Inf\"} 1\n"));
}

// --- KneeCheck ---

struct Checked {
    std::size_t knee{0};
    bool beyond{false};
    std::vector<std::size_t> taken;
};

/// `again`: the steps that go well the second time.
Checked check(
    const std::vector<std::size_t>& tried, std::size_t knee, std::set<std::size_t> again
) {
    KneeCheck check{tried, knee};
    Checked out;
    while (const auto calls = check.next()) {
        out.taken.push_back(*calls);
        if (out.taken.size() > tried.size()) break;
        check.on_step(again.contains(*calls));
    }
    out.knee = check.knee();
    out.beyond = check.is_beyond();
    return out;
}

TEST(KneeCheck, TriesTheLastGoodAndTheFirstBadStepAgain) {
    const auto found = check({100, 200, 250, 300, 400}, 250, {100, 200, 250});
    EXPECT_EQ(found.knee, 250u);
    EXPECT_FALSE(found.beyond);
    EXPECT_EQ(found.taken, (std::vector<std::size_t>{250, 300}));
}

TEST(KneeCheck, FollowsTheKneeWhereTheSearchWasLuckyOrUnlucky) {
    const auto lucky = check({100, 200, 250, 300, 400}, 250, {100});
    EXPECT_EQ(lucky.knee, 100u);
    EXPECT_EQ(lucky.taken, (std::vector<std::size_t>{250, 200, 100}));
    const auto unlucky = check({100, 200, 250, 300, 400}, 200, {100, 200, 250, 300, 400});
    EXPECT_EQ(unlucky.knee, 400u);
    EXPECT_TRUE(unlucky.beyond);
    EXPECT_EQ(unlucky.taken, (std::vector<std::size_t>{200, 250, 300, 400}));
    EXPECT_EQ(check({100, 200}, 100, {}).knee, 0u);
    // Good where there were fewer, bad where there were more: what was seen last holds.
    EXPECT_EQ(check({100, 200, 300}, 200, {100, 300}).knee, 100u);
}

TEST(KneeCheck, HasNothingAboveAKneeThatIsBeyond) {
    const auto found = check({100, 200}, 200, {200});
    EXPECT_EQ(found.taken, std::vector<std::size_t>{200});
    EXPECT_TRUE(found.beyond);
}

// --- Repetitions ---

TEST(Median, IsTheMiddleOfWhatIsKnown) {
    const double none = std::numeric_limits<double>::quiet_NaN();
    EXPECT_EQ(median({3, 1, 2}), 2);
    EXPECT_EQ(median({4, 1, 2, 3}), 2.5);
    EXPECT_EQ(median({none, 5, none}), 5);
    EXPECT_TRUE(std::isnan(median({none})));
    EXPECT_TRUE(std::isnan(median({})));
}

Step run_of(int run, double cpu_seconds, std::string shortfall = {}, std::string invalid = {}) {
    Step step;
    step.what = "server";
    step.run = run;
    step.runs = 3;
    step.figures.target = 100;
    step.figures.window = 10s;
    step.figures.call_seconds = 1'000;
    step.figures.server = ProcessUse{.cpu_seconds = cpu_seconds, .resident_bytes = 5'000'000};
    step.shortfall = std::move(shortfall);
    step.invalid = std::move(invalid);
    return step;
}

Results three_runs() {
    Results results;
    results.via = "opensips";
    results.mode = "calls";
    results.repeat = 3;
    results.steps = {run_of(1, 1), run_of(2, 9, "1 packets lost"), run_of(3, 2)};
    return results;
}

TEST(Repetitions, TakeTheMedianOfEachFigureAndTheVerdictOfMost) {
    Results results = three_runs();
    Step of_search = run_of(0, 100);
    results.steps.insert(results.steps.begin(), of_search);
    Step second_part = run_of(1, 5);
    second_part.part = 2;
    results.steps.push_back(second_part);
    const auto all = repetitions(results);
    ASSERT_EQ(all.size(), 2u);
    const auto& first = all.front();
    EXPECT_EQ(first.runs.size(), 3u);
    EXPECT_DOUBLE_EQ(first.medians().at(Measure::cpu_share), 0.2);
    EXPECT_TRUE(std::isnan(first.medians().at(Measure::added_p99)));
    EXPECT_TRUE(first.good()) << first.verdict();
    EXPECT_EQ(all.back().part, 2);

    results.steps[3].shortfall = "2 packets lost";
    EXPECT_EQ(repetitions(results).front().verdict(), "2 of 3 runs: 1 packets lost");
}

TEST(Repetitions, LeaveOutWhatTheGeneratorSpoilt) {
    Results results = three_runs();
    results.steps[0].invalid = "the generator was late";
    const auto all = repetitions(results);
    EXPECT_EQ(all.front().measured().size(), 2u);
    EXPECT_DOUBLE_EQ(all.front().medians().at(Measure::cpu_share), 0.55);
    EXPECT_THAT(all.front().verdict(), HasSubstr("1 of 3 runs")) << "half is not most";
    for (Step& step : results.steps)
        step.invalid = "the generator was late";
    EXPECT_THAT(repetitions(results).front().verdict(), HasSubstr("not measured"));
    EXPECT_FALSE(repetitions(results).front().good());
}

TEST(Repetitions, AreNotGoodWhenTheServerEndedInOne) {
    Results results = three_runs();
    results.steps[0].figures.server.reset();
    results.steps[0].shortfall = "the server ended";
    results.steps[1].shortfall.clear();
    EXPECT_EQ(repetitions(results).front().verdict(), "1 of 3 runs: the server ended");
}

TEST(BenchReport, ShowsEveryRunAndTheMedians) {
    Results results = three_runs();
    results.steps[0].figures.added = read_scrape(
        "t_seconds_sum 1\nt_seconds_bucket{le=\"0.02\"} 10\nt_seconds_bucket{le=\"+Inf\"} 10\n"
    );
    EXPECT_THAT(table_line(results.steps[1]), HasSubstr("run 2 of 3  1 packets lost"));
    EXPECT_THAT(table_line(results.steps[0]), HasSubstr(" 19.8 "));
    const auto table = medians_table(results);
    EXPECT_THAT(table, HasSubstr("Medians of 3 runs, each with a new server"));
    EXPECT_THAT(table, HasSubstr(" 20.0 ")) << "CPU";
    EXPECT_THAT(conclusion(results, false), HasSubstr("at most 10.0 / 19.0 / 19.8 ms"));
    EXPECT_THAT(conclusion(results, false), Not(HasSubstr("buffers")));
    results.via = "twilio";
    EXPECT_THAT(conclusion(results, false), HasSubstr("ran dry within speech 0 times"));

    const auto json = boost::json::parse(to_json(results));
    EXPECT_EQ(json.at("steps").as_array().size(), 3u);
    EXPECT_EQ(json.at("steps").at(1).at("run").as_int64(), 2);
    EXPECT_DOUBLE_EQ(json.at("steps").at(0).at("added_latency_ms").at("p99").as_double(), 19.8);
    const auto& medians = json.at("medians").at(0);
    EXPECT_EQ(medians.at("cpu_share").to_number<double>(), 0.2);
    EXPECT_TRUE(medians.at("barge_in_ms_p95").is_null());
    results.repeat = 1;
    EXPECT_THAT(medians_table(results), IsEmpty());
}

TEST(BenchReport, ComparesWithTheFloorByMedians) {
    Results results = three_runs();
    for (int run = 1; run <= 3; ++run) {
        Step floor = run_of(run, run * 0.5);
        floor.what = "reflector";
        results.steps.push_back(floor);
    }
    EXPECT_DOUBLE_EQ(results.multiple_of_floor().value(), 2.0);
}

// --- LimitFile ---

class LimitFileTest : public testing::Test {
protected:
    LimitFileTest() {
        auto pattern = (fs::temp_directory_path() / "oavc-limit-XXXXXX").string();
        folder_ = ::mkdtemp(pattern.data());
        write("# ours\n[limits]\nmax_calls = 200\n");
    }
    ~LimitFileTest() override { fs::remove_all(folder_); }

    fs::path file() const { return folder_ / "oavc.ini"; }
    void write(const std::string& text) const { std::ofstream{file()} << text; }
    std::string read() const {
        std::ifstream in{file()};
        return {std::istreambuf_iterator<char>{in}, {}};
    }
    std::ptrdiff_t files() const {
        return std::distance(fs::directory_iterator{folder_}, fs::directory_iterator{});
    }

    fs::path folder_;
};

TEST_F(LimitFileTest, ChangesTheLimitAndNothingElse) {
    ASSERT_EQ(::chmod(file().c_str(), 0640), 0);
    const LimitFile limit{file()};
    write("# edited meanwhile\n[limits]\nmax_calls = 200\nshards = 2\n");
    limit.write(160);
    EXPECT_EQ(read(), "# edited meanwhile\n[limits]\nmax_calls = 160\nshards = 2\n");
    struct stat after {};
    ASSERT_EQ(::stat(file().c_str(), &after), 0);
    EXPECT_EQ(after.st_mode & 07777U, 0640U);
    EXPECT_EQ(files(), 1) << "nothing is left beside it";
}

TEST_F(LimitFileTest, LeavesLinksWhatTheyAre) {
    const auto link = folder_ / "link.ini";
    fs::create_symlink(file(), link);
    LimitFile{link}.write(7);
    EXPECT_TRUE(fs::is_symlink(link));
    EXPECT_THAT(read(), HasSubstr("max_calls = 7\n"));
}

TEST_F(LimitFileTest, SaysBeforehandThatItCannot) {
    EXPECT_THROW(LimitFile{folder_ / "absent.ini"}, std::runtime_error);
    EXPECT_THROW(LimitFile{folder_}, std::runtime_error);
    if (::geteuid() == 0) GTEST_SKIP() << "root may write everywhere";
    fs::permissions(folder_, fs::perms::owner_read | fs::perms::owner_exec);
    EXPECT_THROW(LimitFile{file()}, std::runtime_error);
    fs::permissions(folder_, fs::perms::owner_all);
}

}  // namespace
}  // namespace oavc::caller::bench
