#include "caller/bench/report.hpp"

#include "caller/bench/summary.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace oavc::caller::bench {

namespace json = boost::json;

namespace {

double ms(const Histogram& histogram, double percent) {
    return to_ms(histogram.percentile(percent));
}

double seconds(Clock::duration d) { return std::chrono::duration<double>(d).count(); }

json::value to_json(const Histogram& histogram) {
    if (histogram.count() == 0) return nullptr;
    return json::object{
        {"count", histogram.count()},
        {"mean", to_ms(histogram.mean())},
        {"p50", ms(histogram, 50)},
        {"p95", ms(histogram, 95)},
        {"p99", ms(histogram, 99)},
        {"max", to_ms(histogram.max())},
    };
}

/// As the buckets tell it: at most this, even within a bucket.
json::value to_json(const std::optional<ScrapedHistogram>& histogram) {
    if (!histogram || histogram->count() == 0) return nullptr;
    json::array buckets;
    for (const auto& [bound, count] : histogram->buckets()) {
        json::value at_most = nullptr;
        if (!std::isinf(bound)) at_most = bound * 1e3;
        buckets.push_back(json::array{std::move(at_most), count});
    }
    return json::object{
        {"count", histogram->count()},
        {"mean", histogram->mean_s() * 1e3},
        {"p50", histogram->percentile_s(50) * 1e3},
        {"p95", histogram->percentile_s(95) * 1e3},
        {"p99", histogram->percentile_s(99) * 1e3},
        {"at_most", std::move(buckets)},
    };
}

json::value number_or_null(double value) {
    if (std::isnan(value)) return nullptr;
    return value;
}

json::object to_json(const Repetition& repetition) {
    json::object out{
        {"what", repetition.what},
        {"calls", repetition.calls},
        {"part", repetition.part},
        {"runs", repetition.runs.size()},
        {"measured", repetition.measured().size()},
        {"verdict", repetition.verdict()},
    };
    const Row medians = repetition.medians();
    for (std::size_t i = 0; i < measures; ++i) {
        const auto measure = static_cast<Measure>(i);
        out[name_of(measure)] = number_or_null(medians.at(measure));
    }
    return out;
}

json::object to_json(const Step& step) {
    const Figures& f = step.figures;
    json::object out{
        {"what", step.what},
        {"run", step.run},
        {"part", step.part},
        {"calls", f.target},
        {"mean_calls", f.mean_calls()},
        {"window_s", seconds(f.window)},
        {"good", step.good()},
        {"invalid", step.invalid},
        {"shortfall", step.shortfall},
        {"call_seconds", f.call_seconds},
        {"talking_share", f.call_seconds > 0 ? f.talk_seconds / f.call_seconds : 0},
        {"placed", f.placed},
        {"answered", f.answered},
        {"refused", f.refused},
        {"failed", f.failed},
        {"dropped", f.dropped},
        {"turns", f.turns},
        {"unanswered", f.unanswered},
        {"early", f.early},
        {"talked_over", f.talked_over},
        {"setup_ms", to_json(f.setup)},
        {"refusal_ms", to_json(f.refusal)},
        {"first_audio_ms", to_json(f.first_audio)},
        {"heard_latency_ms", to_json(f.heard_latency)},
        {"added_latency_ms", to_json(f.added)},
        {"barge_in_ms", to_json(f.barge_in)},
        {"sent", f.sent},
        {"received", f.received},
        {"lost", f.lost},
        {"duplicates", f.duplicates},
        {"reordered", f.reordered},
        {"wrong_audio", f.wrong},
        {"gap_deviation_ms", to_json(f.deviation)},
        {"rfc3550_jitter_ms", to_json(f.jitter)},
        {"largest_gap_ms", to_ms(f.largest_gap)},
        {"underruns", f.underruns},
        {"longest_underrun_ms", to_ms(f.longest_underrun)},
        {"generator",
         json::object{
             {"cpu_s", f.generator_cpu_seconds},
             {"slot_lateness_ms", to_json(f.lateness)},
             {"receive_drops", f.receive_drops},
             {"send_errors", f.send_errors},
             {"skipped_ms", f.skipped_slots},
         }},
    };
    if (f.server) {
        out["server"] = json::object{
            {"cpu_s", f.server->cpu_seconds},
            {"system_s", f.server->system_seconds},
            {"cpu_ms_per_call_second", f.cpu_ms_per_call_second()},
            {"cpu_share", f.cpu_share()},
            {"resident_bytes", f.server->resident_bytes},
            {"idle_bytes", f.server_idle_bytes},
            {"bytes_per_call", number_or_null(Row{f}.at(Measure::bytes_per_call))},
            {"threads", f.server->threads},
        };
    }
    return out;
}

constexpr std::string_view the_floor = "  the floor: a reflector without logic";

std::string cell(double value, int width, int decimals) {
    if (std::isnan(value)) return fmt::format("{:>{}}", "–", width);
    return fmt::format("{:>{}.{}f}", value, width, decimals);
}

std::string figures_line(const Row& row) {
    const auto whole = [&row](Measure m) { return cell(row.at(m), 0, 0); };
    return fmt::format(
        "{} {} {} {} {} {} {:>15} {} {} {} {} {}",
        cell(row.at(Measure::calls), 6, 0),
        cell(row.at(Measure::cpu_share) * 100, 6, 1),
        cell(row.at(Measure::cpu_ms_per_call_second), 8, 3),
        cell(row.at(Measure::resident_bytes) / 1e6, 8, 1),
        cell(row.at(Measure::bytes_per_call) / 1e3, 8, 1),
        cell(row.at(Measure::setup_p99), 8, 1),
        fmt::format(
            "{} / {} / {}",
            whole(Measure::heard_p50),
            whole(Measure::heard_p95),
            whole(Measure::heard_p99)
        ),
        cell(row.at(Measure::added_p99), 7, 1),
        cell(row.at(Measure::barge_in_p95), 8, 0),
        cell(row.at(Measure::lost), 6, 0),
        cell(row.at(Measure::jitter_p99), 7, 2),
        cell(row.at(Measure::largest_gap), 7, 1)
    );
}

std::string cores_text(const std::vector<int>& cores) {
    return fmt::format("{}", fmt::join(cores, ","));
}

}  // namespace

std::string table_head() {
    static constexpr std::string_view line =
        "{:>6} {:>6} {:>8} {:>8} {:>8} {:>8} {:>15} {:>7} {:>8} {:>6} {:>7} {:>7}";
    return fmt::format(
               line,
               "calls",
               "CPU",
               "per",
               "memory",
               "memory",
               "set-up",
               "reply, ms",
               "added",
               "barge-in",
               "lost",
               "jitter",
               "gap"
           ) +
           '\n' +
           fmt::format(
               line,
               "",
               "%",
               "call, ms",
               "MB",
               "KB/call",
               "p99, ms",
               "p50 / p95 / p99",
               "p99, ms",
               "p95, ms",
               "",
               "p99, ms",
               "max, ms"
           );
}

std::string table_line(const Step& step) {
    std::string line = figures_line(Row{step.figures});
    if (step.runs > 1 && step.run > 0) line += fmt::format("  run {} of {}", step.run, step.runs);
    if (step.what == "reflector") line += the_floor;
    if (!step.invalid.empty()) {
        line += "  not measured: " + step.invalid;
    } else if (!step.shortfall.empty()) {
        line += "  " + step.shortfall;
    }
    return line;
}

std::string medians_table(const Results& results) {
    if (results.repeat == 1) return {};
    std::string text = fmt::format(
        "\nMedians of {} runs{}:\n{}\n",
        results.repeat,
        results.attached ? " of the attached server" : ", each with a new server",
        table_head()
    );
    for (const Repetition& repetition : repetitions(results)) {
        text += figures_line(repetition.medians());
        if (const auto measured = repetition.measured().size();
            measured < static_cast<std::size_t>(results.repeat))
            text += fmt::format("  of the {} that could be measured", measured);
        if (repetition.what == "reflector") text += the_floor;
        if (const auto verdict = repetition.verdict(); !verdict.empty()) text += "  " + verdict;
        text += '\n';
    }
    return text + '\n';
}

std::string progress_line(std::string_view phase, const Engine& engine) {
    const Figures f = engine.window();
    return fmt::format(
        "{}: {} of {} calls, {} lost, jitter p99 {:.2f} ms, reply p95 {:.0f} ms, our core {:.0f} %",
        phase,
        engine.answered(),
        engine.aimed(),
        f.lost,
        ms(f.deviation, 99),
        ms(f.heard_latency, 95),
        f.generator_cpu_seconds / std::max(1e-9, seconds(f.window)) * 100
    );
}

std::string details(const Step& step, std::string_view via) {
    const Figures& f = step.figures;
    const auto spread = [](const Histogram& histogram) {
        return fmt::format(
            "{:.1f} / {:.1f} / {:.1f} ms", ms(histogram, 50), ms(histogram, 95), ms(histogram, 99)
        );
    };
    std::string text = fmt::format(
        "  calls        {} placed, {} answered, {} refused, {} failed, {} dropped\n"
        "  set-up       {} (50, 95, 99 %)\n",
        f.placed,
        f.answered,
        f.refused,
        f.failed,
        f.dropped,
        spread(f.setup)
    );
    if (f.refusal.count() > 0) text += fmt::format("  refusals     after {}\n", spread(f.refusal));
    text += fmt::format(
        "  first audio  {}\n"
        "  added        {}\n"
        "  talk         {:.0f} % of the time, {} turns, {} without a reply, {} cut off early\n"
        "  barge-in     {} of {}; {} in vain\n"
        "  RTP          {} sent, {} received, {} lost, {} twice, {} late, {} wrong; RFC 3550 "
        "jitter "
        "{:.2f} ms\n"
        "  generator    {:.0f} % of its core, slots late by {}\n",
        spread(f.first_audio),
        f.added && f.added->count() > 0
            ? fmt::format(
                  "at most {:.1f} / {:.1f} / {:.1f} ms from the decision that a turn is over to "
                  "the reply, {} replies",
                  f.added->percentile_s(50) * 1e3,
                  f.added->percentile_s(95) * 1e3,
                  f.added->percentile_s(99) * 1e3,
                  f.added->count()
              )
            : "not known: no /metrics, or no reply",
        f.call_seconds > 0 ? f.talk_seconds / f.call_seconds * 100 : 0,
        f.turns,
        f.unanswered,
        f.early,
        spread(f.barge_in),
        f.barge_in.count(),
        f.talked_over,
        f.sent,
        f.received,
        f.lost,
        f.duplicates,
        f.reordered,
        f.wrong,
        ms(f.jitter, 99),
        f.generator_cpu_seconds / std::max(1e-9, seconds(f.window)) * 100,
        spread(f.lateness)
    );
    if (via == "twilio") {
        text += fmt::format(
            "  buffers      ran dry within speech {} times, for {:.0f} ms at most\n",
            f.underruns,
            to_ms(f.longest_underrun)
        );
    }
    if (f.server) {
        text += fmt::format(
            "  server       {:.2f} s user, {:.2f} s system, {} threads\n",
            f.server->cpu_seconds - f.server->system_seconds,
            f.server->system_seconds,
            f.server->threads
        );
    }
    return text;
}

std::string conclusion(const Results& results, bool calibrate) {
    std::string text;
    if (!results.steps.empty() && results.mode != "ramp" && results.mode != "churn") {
        if (results.repeat > 1) text += "The first run:\n";
        text += details(results.steps.front(), results.via);
    }
    if (const auto multiple = results.multiple_of_floor()) {
        text += fmt::format(
            "CPU per call-second is {:.2f} times that of a reflector without any logic.\n",
            *multiple
        );
    }
    if (results.mode == "churn" && results.steps.size() > 1) {
        const auto resident = [](const Step& step) {
            return step.figures.server
                       ? static_cast<double>(step.figures.server->resident_bytes) / 1e6
                       : 0;
        };
        text += fmt::format(
            "Memory: {:.1f} MB after the first tenth of the calls, {:.1f} MB after the last.\n",
            resident(results.steps.front()),
            resident(results.steps.back())
        );
    }
    if (results.knee && *results.knee > 0) {
        text += fmt::format(
            "{} {} calls at once over {}, server on core {}, callers on core {}.\n",
            results.knee_is_beyond ? "More than" : "The knee:",
            *results.knee,
            results.via,
            results.server_cores.empty() ? "?" : cores_text(results.server_cores),
            cores_text(results.cores)
        );
        if (const auto safe = results.safe_calls(); safe && calibrate) {
            text += fmt::format(
                "For the server's configuration ({:.0f} % below the knee):\n\n[limits]\nmax_calls "
                "= "
                "{}\n\n",
                results.margin * 100,
                *safe
            );
        }
    }
    if (!results.verdict.empty()) text += fmt::format("Not good: {}\n", results.verdict);
    return text;
}

std::string to_json(const Results& results) {
    json::array steps;
    for (const Step& step : results.steps)
        steps.emplace_back(to_json(step));
    json::object out{
        {"version", OAVC_VERSION},
        {"via", results.via},
        {"mode", results.mode},
        {"generator_cores", json::array(results.cores.begin(), results.cores.end())},
        {"server_cores", json::array(results.server_cores.begin(), results.server_cores.end())},
        {"verdict", results.verdict},
        {"steps", std::move(steps)},
    };
    if (results.knee) {
        out["knee"] = *results.knee;
        out["knee_is_beyond"] = results.knee_is_beyond;
    }
    if (const auto safe = results.safe_calls()) out["safe_calls"] = *safe;
    if (const auto multiple = results.multiple_of_floor()) out["multiple_of_floor"] = *multiple;
    out["repeat"] = results.repeat;
    if (results.repeat > 1) {
        out["new_server_per_run"] = !results.attached;
        json::array medians;
        for (const Repetition& repetition : repetitions(results))
            medians.emplace_back(to_json(repetition));
        out["medians"] = std::move(medians);
    }
    return json::serialize(out);
}

}  // namespace oavc::caller::bench
