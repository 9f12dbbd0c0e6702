#include "caller/bench/options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <system_error>

namespace oavc::caller::bench {

namespace {

template <class T>
std::optional<T> parse_number(std::string_view text, T least, T most) {
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value < least || value > most)
        return std::nullopt;
    return value;
}

/// "500ms", "10s", "5min", "1h".
std::optional<milliseconds> parse_duration(std::string_view text) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const std::string_view unit{end, static_cast<std::size_t>(text.data() + text.size() - end)};
    if (error != std::errc{} || value < 0 || value > 1e6) return std::nullopt;
    const double ms = unit == "ms"    ? 1
                      : unit == "s"   ? 1e3
                      : unit == "min" ? 60e3
                      : unit == "h"   ? 3'600e3
                                      : 0;
    if (ms == 0) return std::nullopt;
    return milliseconds{static_cast<std::int64_t>(std::llround(value * ms))};
}

/// "40%" or "0.4".
std::optional<double> parse_share(std::string_view text) {
    const bool percent = text.ends_with('%');
    if (percent) text.remove_suffix(1);
    const auto value = parse_number<double>(text, 0, percent ? 100 : 1);
    if (!value) return std::nullopt;
    return percent ? *value / 100 : *value;
}

bool parse_range(Options& o, std::string_view text) {
    const auto dots = text.find("..");
    const auto shortest = parse_duration(text.substr(0, dots));
    const auto longest =
        dots == std::string_view::npos ? shortest : parse_duration(text.substr(dots + 2));
    if (!shortest || !longest || *longest < *shortest) return false;
    o.habits.shortest_call = *shortest;
    o.habits.longest_call = *longest;
    return o.given_length = true;
}

bool parse_cores(Options& o, std::string_view text) {
    o.server_cores.clear();
    while (!text.empty()) {
        const auto comma = std::min(text.find(','), text.size());
        const auto core = parse_number<int>(text.substr(0, comma), 0, 1023);
        if (!core) return false;
        o.server_cores.push_back(*core);
        text.remove_prefix(std::min(comma + 1, text.size()));
    }
    return !o.server_cores.empty();
}

template <class T>
bool set(T& to, const std::optional<T>& value) {
    if (value) to = *value;
    return value.has_value();
}
template <class T>
bool set(std::optional<T>& to, const std::optional<T>& value) {
    to = value;
    return value.has_value();
}

/// An option with a value. `set` is false when the value is none; `wants` says what is.
struct Option {
    std::string_view name;
    std::string_view wants;
    bool (*set)(Options&, std::string_view);
    bool optional{false};  ///< the value may be missing: then it is empty
};
using View = std::string_view;
constexpr std::size_t any_number = 100'000'000;

constexpr std::array options_with_value{
    Option{
        "--via",
        "opensips, sip or twilio",
        [](Options& o, View v) {
            o.via = v;
            return v == "opensips" || v == "sip" || v == "twilio";
        }},
    Option{
        "--calls",
        "a number of calls from 1 to 60000",
        [](Options& o, View v) {
            o.mode = Options::Mode::calls;
            return set(o.calls, parse_number<std::size_t>(v, 1, 60'000));
        }},
    Option{
        "--churn",
        "a number of calls",
        [](Options& o, View v) {
            o.mode = Options::Mode::churn;
            return set(o.calls, parse_number<std::size_t>(v, 1, any_number));
        }},
    Option{
        "--storm",
        "calls per second, from 1 to 5000",
        [](Options& o, View v) {
            o.mode = Options::Mode::storm;
            return set(o.calls_per_second, parse_number<double>(v, 1, 5'000));
        }},
    Option{
        "--calls-per-second",
        "calls per second, from 1 to 5000",
        [](Options& o, View v) {
            return set(o.calls_per_second, parse_number<double>(v, 1, 5'000));
        }},
    Option{
        "--duration",
        "a duration like 10s, 5min or 1h",
        [](Options& o, View v) { return set(o.duration, parse_duration(v)) && o.duration >= 1s; }},
    Option{
        "--warm-up",
        "a duration like 5s",
        [](Options& o, View v) { return set(o.warm_up, parse_duration(v)); }},
    Option{
        "--first",
        "a number of calls",
        [](Options& o, View v) { return set(o.first, parse_number<std::size_t>(v, 1, 60'000)); }},
    Option{
        "--most",
        "a number of calls from 1 to 60000",
        [](Options& o, View v) { return set(o.most, parse_number<std::size_t>(v, 1, 60'000)); }},
    Option{
        "--talking",
        "a share like 40% or 0.4",
        [](Options& o, View v) { return set(o.habits.talking, parse_share(v)); }},
    Option{
        "--interrupting",
        "a share like 15%",
        [](Options& o, View v) { return set(o.habits.interrupting, parse_share(v)); }},
    Option{"--call-length", "a duration, or two like 60s..120s", parse_range},
    Option{
        "--max-jitter",
        "a duration like 5ms",
        [](Options& o, View v) { return set(o.criteria.max_deviation_p99, parse_duration(v)); }},
    Option{
        "--max-reply",
        "a duration like 2s",
        [](Options& o, View v) { return set(o.criteria.max_heard_p95, parse_duration(v)); }},
    Option{
        "--repeat",
        "a number of runs from 1 to 99",
        [](Options& o, View v) { return set(o.repeat, parse_number<int>(v, 1, 99)); }},
    Option{
        "--calibrate",
        "a configuration file, or nothing",
        [](Options& o, View v) {
            o.calibrate_file = v;
            return o.calibrate = true;
        },
        true},
    Option{
        "--margin",
        "a share like 20%",
        [](Options& o, View v) { return set(o.margin, parse_share(v)); }},
    Option{
        "--seed",
        "a number",
        [](Options& o, View v) {
            return set(
                o.seed, parse_number<std::uint32_t>(v, 0, std::numeric_limits<std::uint32_t>::max())
            );
        }},
    Option{
        "--attach",
        "the PID of a running 'oavc serve'",
        [](Options& o, View v) {
            return set(o.attach, parse_number<pid_t>(v, 1, std::numeric_limits<pid_t>::max()));
        }},
    Option{
        "--mi-port",
        "a port number",
        [](Options& o, View v) {
            return set(o.mi_port, parse_number<std::uint16_t>(v, 1, 65'535));
        }},
    Option{
        "--url",
        "an http:// URL",
        [](Options& o, View v) {
            o.url = v;
            return v.starts_with("http://");
        }},
    Option{
        "--auth-token",
        "Twilio's auth token",
        [](Options& o, View v) {
            o.auth_token = v;
            return !v.empty();
        }},
    Option{
        "--cpu",
        "the number of a core",
        [](Options& o, View v) { return set(o.core, parse_number<int>(v, 0, 1023)); }},
    Option{"--server-cpu", "cores like 0 or 0,1", parse_cores},
    Option{
        "--set",
        "SECTION.KEY=VALUE",
        [](Options& o, View v) {
            o.settings.emplace_back(v);
            return v.find('=') != View::npos && v.find('.') < v.find('=');
        }},
    Option{
        "--json",
        "a file, or - for standard output",
        [](Options& o, View v) {
            o.json_file = v;
            return !v.empty();
        }},
    Option{
        "--svg",
        "a file",
        [](Options& o, View v) {
            o.svg_file = v;
            return !v.empty();
        }},
    Option{
        "--reflect-for",
        "a port number",
        [](Options& o, View v) {
            return set(o.reflect_for, parse_number<std::uint16_t>(v, 1, 65'535));
        }},
};

struct Flag {
    std::string_view name;
    bool Options::*member;
};
constexpr std::array flags{
    Flag{"--help", &Options::help},
    Flag{"-h", &Options::help},
    Flag{"--overload", &Options::overload},
    Flag{"--reflector", &Options::reflector},
};

/// What does not go together.
std::string contradiction(const Options& o) {
    using Mode = Options::Mode;
    if (o.overload && o.mode != Mode::calls)
        return "--overload needs --calls N, the calls that the server is to let in";
    if (o.calibrate && o.mode != Mode::ramp) return "--calibrate searches: leave --calls out";
    if (o.reflector && o.via != "opensips") return "--reflector plays --via opensips";
    if (o.attach && !o.settings.empty())
        return "--set is for a server that the test starts; change the attached one's own file";
    if (o.attach && o.overload)
        return "--overload sets [limits] max_calls, which an attached server has already";
    return {};
}

}  // namespace

ParsedOptions parse_options(std::span<const std::string_view> arguments) {
    ParsedOptions parsed;
    Options& options = parsed.options;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        std::string_view name = arguments[i];
        std::optional<std::string_view> value;
        const auto equals = name.find('=');
        if (name.starts_with("--") && equals != std::string_view::npos) {
            value = name.substr(equals + 1);
            name = name.substr(0, equals);
        }
        const auto flag = std::find_if(flags.begin(), flags.end(), [name](const Flag& f) {
            return f.name == name;
        });
        if (flag != flags.end() && !value) {
            options.*flag->member = true;
            continue;
        }
        const auto option = std::find_if(
            options_with_value.begin(),
            options_with_value.end(),
            [name](const Option& o) { return o.name == name; }
        );
        if (option == options_with_value.end()) {
            parsed.error = fmt::format("unknown option '{}'", name);
            return parsed;
        }
        const bool last = i + 1 == arguments.size();
        // Nothing of ours begins without a dash but values.
        const bool missing = option->optional && (last || arguments[i + 1].starts_with('-'));
        if (!value && missing) value = "";
        if (!value && !last) value = arguments[++i];
        if (!value || !option->set(options, *value)) {
            parsed.error = fmt::format("{} wants {}", name, option->wants);
            return parsed;
        }
    }
    parsed.error = contradiction(options);
    using Mode = Options::Mode;
    options.habits.abrupt = options.mode == Mode::storm || options.mode == Mode::churn;
    if (!options.given_length && options.habits.abrupt) {
        options.habits.shortest_call = options.mode == Mode::storm ? 4s : 500ms;
        options.habits.longest_call = options.mode == Mode::storm ? 6s : 1500ms;
    }
    return parsed;
}

std::string_view help_text() noexcept {
    return R"(usage: oavc bench [options]

How many calls does this machine hold? Starts a server with everything embedded on one
core, plays OpenSIPS (or Twilio, or SIP phones) with a crowd of callers on another one,
lets them talk, listen, interrupt and call again, and measures on the wire. Without
further options it looks for the knee: the most calls with no packet lost, no call
failed, jitter and replies in time.

What is tried:
  --via opensips|sip|twilio   the carrier to play (default: opensips)
  --calls N                   just so many calls at once
  --repeat N                  N runs of everything, each with a new server process, since
                              the memory of one that has had calls does not go back; the
                              table ends with the median of each figure, and more than half
                              of the runs must be good. Of a search only the last good and
                              the first bad step are run again. An attached server stays
                              the same: its memory then drifts from run to run
  --storm R                   R new short calls per second: set-up time under load
  --churn N                   N short calls one after the other: does memory stay flat?
  --overload                  with --calls N: let N in, offer 2 x N
  --reflector                 with --calls N: also measures a server without any logic, the
                              floor that the kernel sets, and tells our cost as a multiple
  --duration TIME             of measuring, per step (default: 10s; a soak: 1h)
  --warm-up TIME              before measuring (default: 5s)
  --calls-per-second R        new calls at most (default: 100)
  --first N, --most N         where the search begins and ends (default: 100, 8000 or as many
                              as the limit of open files allows)

What callers do:
  --talking SHARE             of a call in which its caller speaks (default: 40%)
  --interrupting SHARE        of replies that are talked over (default: 15%)
  --call-length TIME[..TIME]  (default: 60s..120s; of --storm and --churn seconds)
  --seed N                    other choices, the same every time

What is still good:
  --max-jitter TIME           99th percentile (default: 5ms)
  --max-reply TIME            95th percentile from the caller's last sound to the reply's
                              first, the wait for the end of the turn included (default: 2s)

The server:
  --server-cpu LIST, --cpu N  its cores and ours (default: the first; the last)
  --set SECTION.KEY=VALUE     a setting of the server's, e.g. vad.engine=webrtc (repeatable)
  --attach PID                a server of this machine that runs already; --mi-port N is
                              where it expects OpenSIPS (default: 8087), --url its HTTP
                              server, for /metrics and --via twilio (default:
                              http://127.0.0.1:8088), --auth-token for --via twilio

Results:
  --json FILE                 everything measured, for scripts (-: standard output)
  --svg FILE                  a graph of latency and CPU against calls
  --calibrate [FILE]          the [limits] of this machine: the knee less a margin; with FILE
                              max_calls is set there, all other lines stay
  --margin SHARE              of that (default: 20%)

Examples:
  oavc bench                                   the knee of this machine
  oavc bench --calls 500 --duration 1h         a soak
  oavc bench --calls 400 --reflector           our cost against the kernel's floor
  oavc bench --storm 200                       set-up time at 200 calls per second
  oavc bench --churn 100000 --calls-per-second 200
  oavc bench --calls 1000 --repeat 5           medians of five runs
  oavc bench --calibrate /etc/oavc/oavc.ini    the limit of this machine for its server
  oavc bench --set vad.engine=webrtc --json knee.json --svg knee.svg

Exit status: 0 good; 1 not, and the last line says why; 2 usage. A step in which the
generator itself was late is never held against the server: it counts as not measured.
)";
}

}  // namespace oavc::caller::bench
