#include "caller/bench/report.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <fmt/format.h>

#include <algorithm>

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

json::object to_json(const Step& step) {
    const Figures& f = step.figures;
    json::object out{
        {"what", step.what},
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
            {"bytes_per_call", f.bytes_per_call()},
            {"threads", f.server->threads},
        };
    }
    return out;
}

std::string cores_text(const std::vector<int>& cores) {
    return fmt::format("{}", fmt::join(cores, ","));
}

}  // namespace

std::string table_head() {
    return fmt::format(
        "{:>6} {:>6} {:>8} {:>8} {:>8} {:>8} {:>15} {:>8} {:>6} {:>7} {:>7}\n"
        "{:>6} {:>6} {:>8} {:>8} {:>8} {:>8} {:>15} {:>8} {:>6} {:>7} {:>7}",
        "calls",
        "CPU",
        "per",
        "memory",
        "memory",
        "set-up",
        "reply, ms",
        "barge-in",
        "lost",
        "jitter",
        "gap",
        "",
        "%",
        "call, ms",
        "MB",
        "KB/call",
        "p99, ms",
        "p50 / p95 / p99",
        "p95, ms",
        "",
        "p99, ms",
        "max, ms"
    );
}

std::string table_line(const Step& step) {
    const Figures& f = step.figures;
    const auto& server = f.server;
    std::string line = fmt::format(
        "{:>6.0f} {:>6.1f} {:>8.3f} {:>8.1f} {:>8.1f} {:>8.1f} {:>15} {:>8.0f} {:>6} {:>7.2f} "
        "{:>7.1f}",
        f.mean_calls(),
        f.cpu_share() * 100,
        f.cpu_ms_per_call_second(),
        server ? static_cast<double>(server->resident_bytes) / 1e6 : 0,
        static_cast<double>(f.bytes_per_call()) / 1e3,
        ms(f.setup, 99),
        fmt::format(
            "{:.0f} / {:.0f} / {:.0f}",
            ms(f.heard_latency, 50),
            ms(f.heard_latency, 95),
            ms(f.heard_latency, 99)
        ),
        ms(f.barge_in, 95),
        f.lost,
        ms(f.deviation, 99),
        to_ms(f.largest_gap)
    );
    if (step.what == "reflector") line += "  the floor: a reflector without logic";
    if (!step.invalid.empty()) {
        line += "  not measured: " + step.invalid;
    } else if (!step.shortfall.empty()) {
        line += "  " + step.shortfall;
    }
    return line;
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

std::string details(const Step& step) {
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
        "  talk         {:.0f} % of the time, {} turns, {} without a reply, {} cut off early\n"
        "  barge-in     {} of {}; {} in vain\n"
        "  RTP          {} sent, {} received, {} lost, {} twice, {} late, {} wrong; RFC 3550 "
        "jitter "
        "{:.2f} ms\n"
        "  generator    {:.0f} % of its core, slots late by {}\n",
        spread(f.first_audio),
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
    if (!results.steps.empty() && results.mode != "ramp" && results.mode != "churn")
        text += details(results.steps.front());
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
    return json::serialize(out);
}

}  // namespace oavc::caller::bench
