#include "caller/bench/figures.hpp"
#include "caller/bench/load_call.hpp"
#include "caller/bench/options.hpp"
#include "caller/bench/ramp.hpp"
#include "caller/bench/report.hpp"
#include "caller/bench/server.hpp"
#include "config/load.hpp"
#include "media/g711.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

namespace oavc::caller::bench {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

std::vector<media::Sample> tone(milliseconds length) {
    std::vector<media::Sample> samples(static_cast<std::size_t>(length.count()) * 8);
    for (std::size_t i = 0; i < samples.size(); ++i)
        samples[i] = static_cast<media::Sample>(8'000 * std::sin(static_cast<double>(i) * 0.4));
    return samples;
}

// --- Histogram
// ------------------------------------------------------------------------------------

TEST(Histogram, TellsEveryPercentileToWithinOnePercent) {
    Histogram histogram;
    for (int us = 1; us <= 1'000'000; ++us)
        histogram.add(microseconds{us});
    for (const double percent : {0.01, 1.0, 50.0, 95.0, 99.0, 99.99}) {
        const double wanted = percent * 10'000;
        const auto told = static_cast<double>(histogram.percentile(percent).count());
        EXPECT_NEAR(told, wanted, wanted * 0.01 + 0.5) << percent;
    }
    EXPECT_EQ(histogram.max(), 1s);
    EXPECT_EQ(histogram.percentile(100), 1s);
    EXPECT_EQ(histogram.mean(), microseconds{500'000});
}

TEST(Histogram, CountsWhatIsOutOfRangeAtItsEnds) {
    Histogram histogram;
    histogram.add(-5ms);
    EXPECT_EQ(histogram.percentile(100), microseconds{0});
    histogram.add(100h);
    EXPECT_EQ(histogram.count(), 2u);
    EXPECT_GT(histogram.percentile(100), 70min);
}

TEST(Histogram, MergedWithAnotherIsAsIfAllHadBeenAddedToOne) {
    Histogram a;
    Histogram b;
    Histogram both;
    for (int i = 0; i < 1000; ++i) {
        (i % 3 == 0 ? a : b).add(microseconds{i * i});
        both.add(microseconds{i * i});
    }
    a.merge(b);
    for (const double percent : {10.0, 50.0, 99.0})
        EXPECT_EQ(a.percentile(percent), both.percentile(percent));
    EXPECT_EQ(a.count(), 1000u);
}

// --- StreamWatch
// ----------------------------------------------------------------------------------

/// A stream of one packet per 20 ms, numbered across the wrap, that misbehaves as told.
struct Stream {
    StreamWatch watch;
    Figures figures;

    void packet(int number, Clock::duration off = {}) {
        const Stamp stamp{
            static_cast<std::uint16_t>(65'530 + number),
            static_cast<std::uint32_t>(4'294'967'000U + static_cast<unsigned>(number) * 160U)};
        watch.on_packet(stamp, TimePoint{1h} + number * 20ms + off, figures);
    }
};

TEST(StreamWatch, FindsNothingWrongWithAnEvenStream) {
    Stream stream;
    for (int i = 0; i < 200; ++i)
        stream.packet(i);
    EXPECT_EQ(stream.figures.received, 200u);
    EXPECT_EQ(stream.figures.lost + stream.figures.duplicates + stream.figures.reordered, 0u);
    EXPECT_EQ(stream.figures.wrong, 0u);
    EXPECT_EQ(stream.figures.deviation.count(), 199u);
    EXPECT_EQ(stream.figures.deviation.max(), 0us);
    EXPECT_EQ(stream.figures.largest_gap, 20ms);
}

TEST(StreamWatch, TellsLostFromLateAndDuplicatePackets) {
    Stream stream;
    for (const int number : {0, 1, 4, 5, 3, 5, 6})  // 2 never comes
        stream.packet(number);
    EXPECT_EQ(stream.figures.lost, 1u);
    EXPECT_EQ(stream.figures.reordered, 1u);
    EXPECT_EQ(stream.figures.duplicates, 1u);
}

TEST(StreamWatch, MeasuresHowFarPacketsAreFromTheirTime) {
    Stream stream;
    for (int i = 0; i < 100; ++i)
        stream.packet(i, i == 50 ? 7ms : 0ms);
    EXPECT_EQ(stream.figures.deviation.max(), 7ms);
    EXPECT_EQ(stream.figures.largest_gap, 27ms);
    EXPECT_EQ(stream.figures.deviation.percentile(95), 0us);
    EXPECT_GT(stream.watch.jitter(), 0us);
    EXPECT_LT(stream.watch.jitter(), 1ms);
}

// --- LoadCall
// -------------------------------------------------------------------------------------

Habits habits_of_a_test() {
    Habits habits;
    habits.interrupting = 0;
    habits.shortest_call = habits.longest_call = 30s;
    return habits;
}

Script script_of(Habits habits) {
    std::vector<Clip> clips;
    for (const auto length : {1s, 2s, 3s, 5s})
        clips.push_back(make_clip(tone(length)));
    return {habits, std::move(clips)};
}

/// A caller on a virtual clock, and a bot that replies `delay` after it fell silent, or that is
/// driven by hand.
struct Conversation {
    explicit Conversation(const Script& script) {
        call.begin(script, 7, now);
        now += 5ms;
        call.on_answered(now, figures);
        bot_from = now + 100ms;
        bot_until = bot_from + 1s;
    }

    /// False once the caller hung up.
    bool step() {
        now += 20ms;
        const bool spoke = speaks;
        const auto tick = call.tick(now, figures);
        if (tick.hang_up) return false;
        speaks = tick.speaks;
        (speaks ? talked : silent) += 20ms;
        if (spoke && !speaks && replies) {
            bot_from = now + delay;
            bot_until = bot_from + reply;
        }
        if (speaks && stops_when_interrupted && now >= bot_from && now < bot_until) {
            if (!interrupted_at) interrupted_at = now;
            if (now - *interrupted_at >= 80ms) bot_until = now;
        }
        if (!speaks) interrupted_at.reset();
        const bool voiced = now >= bot_from && now < bot_until;
        const auto& frame = voiced ? voice : silence;
        call.on_heard({now, frame, Stamp{sequence++, 0}}, figures);
        return true;
    }

    LoadCall call;
    Figures figures;
    TimePoint now{1h};
    bool speaks{false};
    bool replies{true};
    bool stops_when_interrupted{true};
    Clock::duration delay{300ms};
    Clock::duration reply{2s};
    Clock::duration talked{0};
    Clock::duration silent{0};
    TimePoint bot_from{};
    TimePoint bot_until{};
    std::optional<TimePoint> interrupted_at;
    std::uint16_t sequence{0};
    std::vector<std::byte> voice = make_clip(tone(20ms)).ulaw;
    std::vector<std::byte> silence = std::vector<std::byte>(frame_bytes, media::g711::ulaw_silence);
};

TEST(LoadCall, TalksAboutTheShareOfTimeThatItIsTold) {
    for (const double share : {0.2, 0.4, 0.6}) {
        Habits habits = habits_of_a_test();
        habits.talking = share;
        habits.shortest_call = habits.longest_call = 300s;
        const Script script = script_of(habits);
        Conversation line{script};
        while (line.step()) {
        }
        EXPECT_NEAR(to_ms(line.talked) / to_ms(line.talked + line.silent), share, 0.05);
        EXPECT_GT(line.figures.turns, 10u);
    }
}

TEST(LoadCall, MeasuresFromItsOwnLastSoundToTheirFirst) {
    const Script script = script_of(habits_of_a_test());
    Conversation line{script};
    while (line.step()) {
    }
    EXPECT_EQ(line.figures.first_audio.count(), 1u);
    EXPECT_NEAR(to_ms(line.figures.first_audio.max()), 100, 21);
    EXPECT_GT(line.figures.heard_latency.count(), 2u);
    EXPECT_EQ(line.figures.unanswered, 0u);
    // The bot replies 300 ms after the tick in which the caller no longer spoke.
    EXPECT_NEAR(to_ms(line.figures.heard_latency.percentile(50)), 300, 21);
    EXPECT_NEAR(to_ms(line.figures.heard_latency.max()), 300, 21);
}

TEST(LoadCall, CountsTurnsThatNobodyAnswers) {
    const Script script = script_of(habits_of_a_test());
    Conversation line{script};
    line.replies = false;
    while (line.step()) {
    }
    EXPECT_GT(line.figures.turns, 1u);
    EXPECT_GE(line.figures.unanswered + 1, line.figures.turns);
    EXPECT_EQ(line.figures.heard_latency.count(), 0u);
}

TEST(LoadCall, MeasuresHowFastAnInterruptionSilencesTheOtherSide) {
    Habits habits = habits_of_a_test();
    habits.interrupting = 1;
    const Script script = script_of(habits);
    Conversation line{script};
    line.reply = 6s;
    while (line.step()) {
    }
    EXPECT_GT(line.figures.barge_in.count(), 2u);
    EXPECT_EQ(line.figures.talked_over, 0u);
    EXPECT_NEAR(to_ms(line.figures.barge_in.percentile(50)), 80, 21);
}

TEST(LoadCall, CountsABotThatIsNotToBeInterrupted) {
    Habits habits = habits_of_a_test();
    habits.interrupting = 1;
    const Script script = script_of(habits);
    Conversation line{script};
    line.replies = false;
    line.bot_until = line.now + 1h;
    line.stops_when_interrupted = false;
    while (line.step()) {
    }
    EXPECT_GT(line.figures.talked_over, 0u);
    EXPECT_EQ(line.figures.barge_in.count(), 0u);
}

TEST(LoadCall, HangsUpAfterItsTimeAndNotInTheMiddleOfAReply) {
    const Script script = script_of(habits_of_a_test());
    Conversation line{script};
    const TimePoint began = line.now;
    while (line.step()) {
    }
    EXPECT_GE(line.now - began, 30s);
    EXPECT_LT(line.now - began, 45s);
    EXPECT_GE(line.now, line.bot_until);
}

TEST(LoadCall, HangsUpInTheMiddleOfAWordWhereItIsAbrupt) {
    Habits habits = habits_of_a_test();
    habits.shortest_call = habits.longest_call = 700ms;
    habits.abrupt = true;
    const Script script = script_of(habits);
    Conversation line{script};
    const TimePoint began = line.now;
    while (line.step()) {
    }
    EXPECT_LE(line.now - began, 720ms);
    EXPECT_LT(line.now, line.bot_until);
}

TEST(LoadCall, HangsUpOnABotThatNeverStops) {
    const Script script = script_of(habits_of_a_test());
    Conversation line{script};
    line.bot_until = line.now + 1h;
    line.replies = false;
    const TimePoint began = line.now;
    while (line.step()) {
    }
    EXPECT_LT(line.now - began, 60s);
}

// --- Ramp
// -----------------------------------------------------------------------------------------

std::size_t knee_of(std::size_t truth, std::size_t first, std::size_t most, int* steps = nullptr) {
    Ramp ramp{first, most};
    int count = 0;
    while (const auto calls = ramp.next()) {
        EXPECT_LE(*calls, most);
        if (++count > 50) break;
        ramp.on_step(*calls <= truth);
    }
    if (steps != nullptr) *steps = count;
    return ramp.knee();
}

TEST(Ramp, FindsTheKneeToFivePercent) {
    for (const std::size_t truth : {1u, 7u, 99u, 100u, 101u, 1'234u, 3'999u}) {
        int steps = 0;
        const auto found = knee_of(truth, 100, 8'000, &steps);
        EXPECT_LE(found, truth);
        EXPECT_GE(static_cast<double>(found), static_cast<double>(truth) * 0.94 - 1);
        EXPECT_LE(steps, 16);
    }
}

TEST(Ramp, SaysWhenTheKneeIsBeyondWhatItMayTry) {
    Ramp ramp{100, 300};
    while (ramp.next())
        ramp.on_step(true);
    EXPECT_EQ(ramp.knee(), 300u);
    EXPECT_TRUE(ramp.is_beyond());
    EXPECT_EQ(knee_of(0, 100, 300), 0u);
}

// --- Verdicts
// -------------------------------------------------------------------------------------

TEST(BenchFigures, AreNotHeldAgainstTheServerWhenTheGeneratorWasLate) {
    Figures figures;
    figures.window = 10s;
    for (int i = 0; i < 10'000; ++i)
        figures.lateness.add(100us);
    EXPECT_THAT(figures.invalid_because(), IsEmpty());
    Figures late = figures;
    for (int i = 0; i < 200; ++i)
        late.lateness.add(9ms);
    EXPECT_THAT(late.invalid_because(), HasSubstr("late"));
    Figures drops = figures;
    drops.receive_drops = 3;
    EXPECT_THAT(drops.invalid_because(), HasSubstr("dropped 3"));
    Figures stood_still = figures;
    stood_still.skipped_slots = 400;
    EXPECT_THAT(stood_still.invalid_because(), HasSubstr("400 ms"));
    Figures full = figures;
    full.generator_cpu_seconds = 9.9;
    EXPECT_THAT(full.invalid_because(), HasSubstr("99 %"));
}

TEST(BenchFigures, FallShortOfWhatIsAskedForOneReasonAtATime) {
    Figures figures;
    figures.turns = 100;
    EXPECT_THAT(shortfall(figures, {}), IsEmpty());
    figures.unanswered = 2;
    EXPECT_THAT(shortfall(figures, {}), HasSubstr("2 of 100 turns"));
    figures.heard_latency.add(3s);
    EXPECT_THAT(shortfall(figures, {}), HasSubstr("replies after"));
    figures.deviation.add(6ms);
    EXPECT_THAT(shortfall(figures, {}), HasSubstr("jitter 6.0 ms"));
    figures.underruns = 2;
    figures.longest_underrun = 33ms;
    EXPECT_THAT(
        shortfall(figures, {}), HasSubstr("2 gaps in the callers' ears, the longest of 33")
    );
    figures.lost = 1;
    EXPECT_THAT(shortfall(figures, {}), HasSubstr("1 packets lost"));
    figures.refused = 4;
    EXPECT_THAT(shortfall(figures, {}), HasSubstr("4 calls were refused"));
}

TEST(BenchFigures, CountTheCallsOfTheTimeBeforeTheWindowToo) {
    Figures before;
    before.placed = before.answered = 10;
    before.failed = 1;
    before.lost = 5;
    before.setup.add(8ms);
    Figures figures;
    figures.placed = 1;
    figures.add_calls_of(before);
    EXPECT_EQ(figures.placed, 11u);
    EXPECT_EQ(figures.failed, 1u);
    EXPECT_EQ(figures.setup.count(), 1u);
    EXPECT_EQ(figures.lost, 0u) << "media belongs to the window alone";
}

TEST(BenchFigures, DivideTheServersCpuByTheTimeOfItsCalls) {
    Figures figures;
    figures.window = 10s;
    figures.call_seconds = 5'000;
    figures.server = ProcessUse{.cpu_seconds = 2.5, .resident_bytes = 150'000'000};
    figures.server_idle_bytes = 100'000'000;
    EXPECT_DOUBLE_EQ(figures.cpu_ms_per_call_second(), 0.5);
    EXPECT_DOUBLE_EQ(figures.cpu_share(), 0.25);
    EXPECT_EQ(figures.bytes_per_call(), 100'000u);
    figures.memory_is_of_calls = false;
    EXPECT_EQ(figures.bytes_per_call(), 0u);
}

// --- What people write and read
// -------------------------------------------------------------------

ParsedOptions parse(std::vector<std::string_view> arguments) { return parse_options(arguments); }

TEST(BenchOptions, AreReadAsTheHelpSays) {
    const auto parsed = parse(
        {"--calls=500",
         "--duration",
         "1h",
         "--talking",
         "25%",
         "--call-length",
         "10s..20s",
         "--server-cpu",
         "0,2",
         "--set",
         "vad.engine=webrtc",
         "--reflector"}
    );
    ASSERT_THAT(parsed.error, IsEmpty());
    const Options& o = parsed.options;
    EXPECT_EQ(o.mode, Options::Mode::calls);
    EXPECT_EQ(o.calls, 500u);
    EXPECT_EQ(o.duration, 1h);
    EXPECT_DOUBLE_EQ(o.habits.talking, 0.25);
    EXPECT_EQ(o.habits.shortest_call, 10s);
    EXPECT_EQ(o.habits.longest_call, 20s);
    EXPECT_EQ(o.server_cores, (std::vector<int>{0, 2}));
    EXPECT_EQ(o.settings, std::vector<std::string>{"vad.engine=webrtc"});
    EXPECT_TRUE(o.reflector);
}

TEST(BenchOptions, TakeAFileToCalibrateOrNone) {
    EXPECT_FALSE(parse({}).options.calibrate);
    for (const auto& arguments : std::vector<std::vector<std::string_view>>{
             {"--calibrate"}, {"--calibrate", "--repeat", "3"}, {"--repeat", "3", "--calibrate"}}) {
        const auto parsed = parse(arguments);
        EXPECT_THAT(parsed.error, IsEmpty());
        EXPECT_TRUE(parsed.options.calibrate);
        EXPECT_THAT(parsed.options.calibrate_file, IsEmpty());
    }
    for (const auto& arguments : std::vector<std::vector<std::string_view>>{
             {"--calibrate", "oavc.ini", "--repeat", "3"},
             {"--repeat", "3", "--calibrate=oavc.ini"}}) {
        const auto parsed = parse(arguments);
        EXPECT_THAT(parsed.error, IsEmpty());
        EXPECT_TRUE(parsed.options.calibrate);
        EXPECT_EQ(parsed.options.calibrate_file, "oavc.ini");
        EXPECT_EQ(parsed.options.repeat, 3);
    }
    EXPECT_THAT(parse({"--repeat", "0"}).error, HasSubstr("from 1"));
    EXPECT_THAT(parse({"--repeat"}).error, HasSubstr("from 1"));
}

TEST(BenchOptions, SayWhatTheyWantInstead) {
    EXPECT_THAT(parse({"--calls", "many"}).error, HasSubstr("--calls wants a number"));
    EXPECT_THAT(parse({"--duration", "10"}).error, HasSubstr("10s, 5min"));
    EXPECT_THAT(parse({"--duration"}).error, HasSubstr("wants"));
    EXPECT_THAT(parse({"--cals"}).error, HasSubstr("unknown option '--cals'"));
    EXPECT_THAT(parse({"--overload"}).error, HasSubstr("--calls"));
    EXPECT_THAT(parse({"--calibrate", "--calls", "5"}).error, HasSubstr("searches"));
    EXPECT_THAT(parse({"--attach", "1", "--set", "a.b=c"}).error, HasSubstr("--set"));
}

TEST(BenchServer, RunsOnAConfigurationWithoutMistakes) {
    ServerPlan plan;
    plan.max_calls = 5'000;
    plan.mi_port = 8087;
    plan.api_port = 8088;
    plan.event_port = 8090;
    plan.sip_port = 8089;
    plan.settings = {"vad.engine=webrtc", "telephony.rtp.codecs=pcmu"};
    for (const char* via : {"opensips", "sip", "twilio"}) {
        plan.via = via;
        const auto loaded = config::load_text(
            server_ini(plan, OAVC_SOURCE_DIR "/config/dialogues/demo.dialogue"),
            "bench.ini",
            OAVC_SOURCE_DIR,
            {}
        );
        std::string problems;
        for (const auto& problem : loaded.problems) {
            if (problem.severity != config::Severity::note)
                problems += config::to_string(problem, loaded.file) + '\n';
        }
        EXPECT_THAT(problems, IsEmpty()) << via;
        EXPECT_EQ(loaded.config.pipeline.limits.max_calls, 5'000u);
        EXPECT_EQ(loaded.config.rtp.codecs, std::vector<std::string>{"pcmu"});
    }
    plan.settings = {"nonsense"};
    EXPECT_THROW(server_ini(plan, "x"), std::runtime_error);
}

Results results_of_three_steps() {
    Results results;
    results.via = "opensips";
    results.mode = "ramp";
    results.knee = 200;
    results.margin = 0.2;
    for (const std::size_t calls : {100u, 200u, 400u}) {
        Step step;
        step.what = "server";
        step.run = 0;
        step.figures.target = calls;
        step.figures.window = 10s;
        step.figures.call_seconds = static_cast<double>(calls) * 10;
        step.figures.heard_latency.add(milliseconds{calls});
        step.figures.server = ProcessUse{.cpu_seconds = static_cast<double>(calls) / 100};
        if (calls == 400) step.shortfall = "12 packets lost";
        results.steps.push_back(std::move(step));
    }
    Step floor = results.steps.back();
    floor.what = "reflector";
    floor.figures.server->cpu_seconds = 2;
    floor.shortfall.clear();
    results.steps.push_back(std::move(floor));
    return results;
}

TEST(BenchReport, TellsTheKneeTheSafeLimitAndTheMultipleOfTheFloor) {
    const auto results = results_of_three_steps();
    EXPECT_EQ(results.safe_calls(), 160u);
    EXPECT_DOUBLE_EQ(results.multiple_of_floor().value(), 2.0);
    const auto text = conclusion(results, true);
    EXPECT_THAT(text, HasSubstr("The knee: 200 calls"));
    EXPECT_THAT(text, HasSubstr("max_calls = 160"));
    EXPECT_THAT(text, HasSubstr("2.00 times"));
    EXPECT_THAT(text, Not(HasSubstr("Medians")));
    EXPECT_THAT(table_line(results.steps[2]), HasSubstr("12 packets lost"));
    const auto json = to_json(results);
    EXPECT_THAT(json, HasSubstr("\"knee\":200"));
    EXPECT_THAT(json, HasSubstr("\"shortfall\":\"12 packets lost\""));
}

TEST(BenchReport, DrawsEveryStepOfTheServer) {
    const auto svg = to_svg(results_of_three_steps());
    EXPECT_TRUE(svg.starts_with("<svg "));
    EXPECT_TRUE(svg.ends_with("</svg>\n"));
    std::size_t points = 0;
    for (auto at = svg.find("<circle"); at != std::string::npos; at = svg.find("<circle", at + 1))
        ++points;
    EXPECT_EQ(points, 3u * 7u);  // three, two and two lines
    EXPECT_THAT(svg, HasSubstr("knee: 200"));
    EXPECT_EQ(svg.find("nan"), std::string::npos);
}

}  // namespace
}  // namespace oavc::caller::bench
