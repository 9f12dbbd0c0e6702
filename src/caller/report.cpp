#include "caller/report.hpp"

#include "caller/words.hpp"
#include "net/json_text.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <utility>

namespace oavc::caller {

namespace json = boost::json;

namespace {

double rounded(double ms) { return std::round(ms * 10.0) / 10.0; }

json::value optional_ms(const std::optional<double>& ms) {
    return ms ? json::value(rounded(*ms)) : json::value(nullptr);
}

void append(std::string& text, const std::string& more) {
    if (more.empty()) return;
    if (!text.empty()) text += ' ';
    text += more;
}

struct Stage {
    std::string_view name;
    double Stages::*value;
    int colour;  ///< of the terminal's 256
};
constexpr std::array stage_table{
    Stage{"endpointing", &Stages::endpointing_ms, 244},
    Stage{"stt", &Stages::stt_ms, 39},
    Stage{"llm", &Stages::llm_ms, 170},
    Stage{"tts", &Stages::tts_ms, 214},
    Stage{"playout", &Stages::playout_ms, 113},
};

/// A bar of `cells` character cells, to an eighth of one.
std::string bar(double cells) {
    static constexpr std::array<std::string_view, 8> eighths{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    const auto count = static_cast<std::size_t>(std::lround(std::max(0.0, cells) * 8.0));
    std::string out;
    for (std::size_t i = 0; i < count / 8; ++i)
        out += "█";
    out += eighths[count % 8];
    return out.empty() ? "▏" : out;
}

std::string quoted(std::string_view text) { return fmt::format("“{}”", text); }

}  // namespace

std::vector<ServerTurn> match_server_events(
    std::span<const ServerEvent> events, TimePoint answered, std::span<const SpokenUtterance> spoken
) {
    std::vector<ServerTurn> turns(spoken.size() + 1);
    milliseconds answered_at{0};
    for (const ServerEvent& event : events) {
        if (event.kind == "answered") answered_at = event.since_start;
    }
    const auto count_until = [spoken](TimePoint at, TimePoint SpokenUtterance::*moment) {
        std::size_t count = 0;
        while (count < spoken.size() && spoken[count].*moment <= at)
            ++count;
        return count;
    };
    std::map<std::uint32_t, std::size_t> utterance_of;  // by the server's turn
    std::map<std::size_t, std::uint32_t> last_reply;    // the server's turn, by utterance
    for (const ServerEvent& event : events) {
        const TimePoint at = answered + (event.since_start - answered_at);
        if (event.kind == "caller_said") {
            const std::size_t index = count_until(at, &SpokenUtterance::begin);
            utterance_of[event.turn] = index;
            append(turns[index].caller_said, event.text);
            continue;
        }
        if (event.kind != "sentence" && event.kind != "reply_started") continue;
        const auto known = utterance_of.find(event.turn);
        const std::size_t index = std::max(
            known == utterance_of.end() ? 0 : known->second, count_until(at, &SpokenUtterance::end)
        );
        ServerTurn& turn = turns[index];
        if (event.kind == "reply_started") {
            turn.stages = event.stages;
            continue;
        }
        // Several turns of the server may answer one utterance with pauses: the last one counts.
        const auto replied = last_reply.find(index);
        if (replied == last_reply.end() || replied->second != event.turn) turn.said.clear();
        last_reply[index] = event.turn;
        append(turn.said, event.text);
    }
    return turns;
}

std::string basic_verdict(const CallReport& call) {
    std::size_t number = 0;
    for (const TurnReport& turn : call.turns) {
        ++number;
        if (!turn.heard_latency_ms && !turn.label.empty()) {
            return fmt::format("no reply was heard to {}", quoted(turn.label));
        }
        if (turn.leaked_ms > 0) {
            return fmt::format(
                "{:.0f} ms of the interrupted reply of turn {} were heard after it had fallen "
                "silent",
                turn.leaked_ms,
                number
            );
        }
    }
    if (call.turns.empty()) return "nothing was said";
    return {};
}

std::string verdict(const CallReport& call) {
    if (auto problem = basic_verdict(call); !problem.empty()) return problem;
    for (const TurnReport& turn : call.turns) {
        if (!turn.asked.empty()) {
            const double accuracy = word_accuracy(turn.asked, turn.caller_said);
            if (accuracy < min_question_accuracy) {
                return fmt::format(
                    "the connector understood {} of {} as {} ({:.0f} % of the words)",
                    turn.caller_said.empty() ? "nothing" : "too little",
                    quoted(turn.asked),
                    quoted(turn.caller_said),
                    accuracy * 100
                );
            }
        }
        if (turn.interrupted) continue;
        if (turn.server_said.empty())
            return fmt::format("the server told no reply to {}", quoted(turn.label));
        if (!call.deaf.empty()) return "the replies could not be recognised: " + call.deaf;
        const double accuracy = word_accuracy(turn.server_said, turn.connector_said);
        if (accuracy < min_reply_accuracy) {
            return fmt::format(
                "the reply {} was heard as {} ({:.0f} % of the words)",
                quoted(turn.server_said),
                quoted(turn.connector_said),
                accuracy * 100
            );
        }
    }
    return {};
}

std::string to_json(const CallReport& call) {
    json::array turns;
    for (const TurnReport& turn : call.turns) {
        json::value stages = nullptr;
        if (turn.stages) {
            json::object parts;
            for (const Stage& stage : stage_table) {
                parts[fmt::format("{}_ms", stage.name)] = rounded((*turn.stages).*stage.value);
            }
            stages = std::move(parts);
        }
        turns.push_back(json::object{
            {"caller_said", turn.caller_said},
            {"connector_said", turn.connector_said},
            {"heard_latency_ms", optional_ms(turn.heard_latency_ms)},
            {"stages", std::move(stages)},
            {"interrupted", turn.interrupted},
            {"barge_in_ms", optional_ms(turn.barge_in_ms)},
        });
    }
    json::object out{
        {"call_id", call.call_id},
        {"via", call.via},
        {"setup_ms", rounded(call.setup_ms)},
        {"turns", std::move(turns)},
        {"rtp",
         {
             {"sent", call.rtp.sent},
             {"received", call.rtp.received},
             {"lost", call.rtp.lost},
             {"jitter_ms", rounded(call.rtp.jitter_ms)},
             {"max_gap_ms", rounded(call.rtp.max_gap_ms)},
         }},
        {"result", call.result},
    };
    if (!call.deaf.empty()) out["not_recognised"] = call.deaf;
    return net::json_text(out);
}

namespace {

std::string wrapped(bool colour, std::string_view code, std::string_view text) {
    if (!colour) return std::string{text};
    return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
}

}  // namespace

std::string Style::dim(std::string_view text) const { return wrapped(colour, "2", text); }
std::string Style::bold(std::string_view text) const { return wrapped(colour, "1", text); }
std::string Style::good(std::string_view text) const { return wrapped(colour, "32", text); }
std::string Style::bad(std::string_view text) const { return wrapped(colour, "31", text); }
std::string Style::tint(int colour_number, std::string_view text) const {
    return wrapped(colour, fmt::format("38;5;{}", colour_number), text);
}

std::string waterfall(const CallReport& call, const Style& style) {
    constexpr double width = 48;  // cells for the slowest turn
    double longest = 1;
    for (const TurnReport& turn : call.turns)
        longest = std::max(longest, turn.heard_latency_ms.value_or(0));
    std::string out;
    std::size_t number = 0;
    for (const TurnReport& turn : call.turns) {
        ++number;
        std::string head = fmt::format("  turn {}", number);
        if (turn.heard_latency_ms)
            head += fmt::format("  reply heard after {:.0f} ms", *turn.heard_latency_ms);
        if (turn.barge_in_ms)
            head += fmt::format("  interrupted, silent after {:.0f} ms", *turn.barge_in_ms);
        out += style.bold(head) + '\n';
        if (!turn.connector_said.empty()) {
            out += "    " +
                   style.dim(fmt::format("our own ear heard {}", quoted(turn.connector_said))) +
                   '\n';
        }
        if (!turn.stages) continue;
        double begin = 0;
        for (const Stage& stage : stage_table) {
            const double ms = (*turn.stages).*stage.value;
            const auto indent =
                static_cast<std::size_t>(std::clamp(begin / longest * width, 0.0, 100.0));
            out += fmt::format(
                "    {:<11} {:>7.1f} {} {}{}\n",
                stage.name,
                ms,
                style.dim("ms"),
                std::string(indent, ' '),
                style.tint(stage.colour, bar(std::min(ms / longest * width, 100.0)))
            );
            begin += ms;
        }
    }
    if (!call.deaf.empty()) {
        out += style.dim(fmt::format("  replies were not recognised: {}\n", call.deaf));
    }
    return out;
}

std::string summary(std::span<const CallReport> calls, const Style& style) {
    std::vector<double> latencies;
    std::vector<double> barge_ins;
    std::vector<double> setups;
    std::uint64_t lost = 0;
    double worst_jitter = 0;
    double worst_gap = 0;
    for (const CallReport& call : calls) {
        setups.push_back(call.setup_ms);
        lost += call.rtp.lost;
        worst_jitter = std::max(worst_jitter, call.rtp.jitter_ms);
        worst_gap = std::max(worst_gap, call.rtp.max_gap_ms);
        for (const TurnReport& turn : call.turns) {
            if (turn.heard_latency_ms) latencies.push_back(*turn.heard_latency_ms);
            if (turn.barge_in_ms) barge_ins.push_back(*turn.barge_in_ms);
        }
    }
    const auto row = [&style](std::string_view name, const std::vector<double>& values) {
        if (values.empty()) return std::string{};
        return fmt::format(
            "  {:<16} p50 {:>6.0f} ms   p95 {:>6.0f} ms   {}\n",
            name,
            percentile(values, 50),
            percentile(values, 95),
            style.dim(fmt::format("{} measured", values.size()))
        );
    };
    std::string out;
    out += row("setup", setups);
    out += row("reply heard", latencies);
    out += row("barge-in", barge_ins);
    out += fmt::format(
        "  {:<16} {} lost   jitter {:.1f} ms   longest gap {:.0f} ms\n",
        "media",
        lost,
        worst_jitter,
        worst_gap
    );
    for (const CallReport& call : calls) {
        const bool good = call.result == "ok";
        if (good && calls.size() > 1) continue;
        out += fmt::format(
            "  {} {}\n",
            good ? style.good("✓ understood and answered") : style.bad("✗ " + call.result),
            style.dim(call.call_id)
        );
    }
    return out;
}

}  // namespace oavc::caller
