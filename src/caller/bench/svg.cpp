#include "caller/bench/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <string_view>
#include <utility>
#include <vector>

namespace oavc::caller::bench {

namespace {

constexpr double width = 760;
constexpr double panel_height = 190;
constexpr double left = 64;
constexpr double right = 24;
constexpr double top = 56;
constexpr double between = 62;

struct Series {
    std::string_view name;
    std::string_view style;  ///< class of the line
    std::function<double(const Figures&)> value;
};

/// 1, 2 or 5 times a power of ten: about `steps` of them up to `highest`.
double nice_step(double highest, int steps) {
    const double raw = std::max(highest, 1e-9) / steps;
    const double power = std::pow(10, std::floor(std::log10(raw)));
    for (const double factor : {1.0, 2.0, 5.0}) {
        if (raw <= factor * power) return factor * power;
    }
    return 10 * power;
}

double x_of(double calls, double most) { return left + calls / most * (width - left - right); }

std::string panel(
    double y,
    std::string_view title,
    std::string_view unit,
    const std::vector<const Step*>& steps,
    double most_calls,
    const std::vector<Series>& series
) {
    double highest = 0;
    for (const Step* step : steps) {
        for (const Series& line : series)
            highest = std::max(highest, line.value(step->figures));
    }
    const double step_size = nice_step(highest, 4);
    const double limit = std::max(step_size, std::ceil(highest / step_size) * step_size);
    const auto y_of = [&](double value) { return y + panel_height * (1 - value / limit); };

    std::string out =
        fmt::format("<text class=\"title\" x=\"{}\" y=\"{}\">{}</text>\n", left, y - 14, title);
    double legend = width - right;
    for (auto line = series.rbegin(); line != series.rend(); ++line) {
        out += fmt::format(
            "<text class=\"label\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n",
            legend,
            y - 14,
            line->name
        );
        legend -= 9.0 + 6.6 * static_cast<double>(line->name.size());
        out += fmt::format(
            "<line class=\"{}\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{}\" y2=\"{}\"/>\n",
            line->style,
            legend - 18,
            legend,
            y - 18,
            y - 18
        );
        legend -= 34;
    }
    for (double value = 0; value <= limit + step_size / 2; value += step_size) {
        out += fmt::format(
            "<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>\n"
            "<text class=\"label\" x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{:g}{}</text>\n",
            left,
            width - right,
            y_of(value),
            y_of(value),
            left - 8,
            y_of(value) + 4,
            value,
            unit
        );
    }
    const double calls_step = nice_step(most_calls, 8);
    for (double calls = 0; calls <= most_calls + 1e-6; calls += calls_step) {
        out += fmt::format(
            "<text class=\"label\" x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{:g}</text>\n",
            x_of(calls, most_calls),
            y + panel_height + 18,
            calls
        );
    }
    for (const Series& line : series) {
        std::string points;
        for (const Step* step : steps) {
            points += fmt::format(
                "{:.1f},{:.1f} ",
                x_of(step->figures.mean_calls(), most_calls),
                y_of(line.value(step->figures))
            );
        }
        out += fmt::format("<polyline class=\"{}\" points=\"{}\"/>\n", line.style, points);
        for (const Step* step : steps) {
            out += fmt::format(
                "<circle class=\"{}{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\"/>\n",
                line.style,
                step->good() ? "" : " bad",
                x_of(step->figures.mean_calls(), most_calls),
                y_of(line.value(step->figures))
            );
        }
    }
    return out;
}

}  // namespace

std::string to_svg(const Results& results) {
    std::vector<const Step*> steps;
    double most_calls = 1;
    for (const Step& step : results.steps) {
        if (step.what != "server" || !step.invalid.empty()) continue;
        if (results.mode == "ramp" && step.run > 0) continue;  // its points are the search's
        steps.push_back(&step);
        most_calls = std::max(most_calls, step.figures.mean_calls());
    }
    std::sort(steps.begin(), steps.end(), [](const Step* a, const Step* b) {
        return a->figures.mean_calls() < b->figures.mean_calls();
    });
    const auto percentile = [](const Histogram& histogram, double percent) {
        return to_ms(histogram.percentile(percent));
    };
    const std::vector<Series> latency{
        {"reply p50", "a", [&](const Figures& f) { return percentile(f.heard_latency, 50); }},
        {"reply p95", "b", [&](const Figures& f) { return percentile(f.heard_latency, 95); }},
        {"barge-in p95", "c", [&](const Figures& f) { return percentile(f.barge_in, 95); }},
    };
    const std::vector<Series> jitter{
        {"jitter p99", "a", [&](const Figures& f) { return percentile(f.deviation, 99); }},
        {"set-up p99", "b", [&](const Figures& f) { return percentile(f.setup, 99); }},
    };
    const std::vector<Series> cpu{
        {"server", "a", [](const Figures& f) { return f.cpu_share() * 100; }},
        {"callers",
         "c",
         [](const Figures& f) {
             const double s = std::chrono::duration<double>(f.window).count();
             return s > 0 ? f.generator_cpu_seconds / s * 100 : 0;
         }},
    };
    const double height = top + 3 * (panel_height + between);
    std::string out = fmt::format(
        R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0} {1}" width="{0}" height="{1}" role="img">
<style>
text {{ font: 12px system-ui, sans-serif; fill: #1f2937; }}
.head {{ font-size: 16px; font-weight: 600; }}
.title {{ font-weight: 600; }}
.label {{ fill: #6b7280; font-size: 11px; }}
.ground {{ fill: #ffffff; }}
.grid {{ stroke: #e5e7eb; }}
.knee {{ stroke: #9ca3af; stroke-dasharray: 4 4; }}
polyline, .a, .b, .c {{ fill: none; stroke-width: 2; stroke-linejoin: round; }}
.a {{ stroke: #2563eb; }} .b {{ stroke: #d97706; }} .c {{ stroke: #059669; }}
circle {{ fill: #ffffff !important; }} .bad {{ fill: #dc2626 !important; }}
@media (prefers-color-scheme: dark) {{
text {{ fill: #e5e7eb; }} .label {{ fill: #9ca3af; }} .ground {{ fill: #111827; }}
.grid {{ stroke: #374151; }} circle {{ fill: #111827 !important; }}
.a {{ stroke: #60a5fa; }} .b {{ stroke: #fbbf24; }} .c {{ stroke: #34d399; }}
.bad {{ fill: #f87171 !important; }}
}}
</style>
<rect class="ground" width="{0}" height="{1}"/>
)",
        width,
        height
    );
    out += fmt::format(
        "<text class=\"head\" x=\"{}\" y=\"24\">Calls at once over {}: one core serves, one "
        "calls</text>\n",
        left,
        results.via
    );
    double y = top + 8;
    out += panel(y, "Latency", " ms", steps, most_calls, latency);
    y += panel_height + between;
    out += panel(y, "Jitter and set-up", " ms", steps, most_calls, jitter);
    y += panel_height + between;
    out += panel(y, "CPU of one core", " %", steps, most_calls, cpu);
    if (results.knee && *results.knee > 0 && static_cast<double>(*results.knee) <= most_calls) {
        const double x = x_of(static_cast<double>(*results.knee), most_calls);
        out += fmt::format(
            "<line class=\"knee\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\"/>\n"
            "<text class=\"label\" x=\"{3:.1f}\" y=\"{4}\" text-anchor=\"end\">knee: "
            "{5}</text>\n",
            x,
            top + 8,
            y + panel_height,
            x - 6,
            top + 22,
            *results.knee
        );
    }
    return out + "</svg>\n";
}

}  // namespace oavc::caller::bench
