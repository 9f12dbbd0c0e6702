#include "caller/bench/run.hpp"

#include "caller/bench/carriers.hpp"
#include "caller/bench/ramp.hpp"
#include "caller/bench/server.hpp"

#include <fmt/format.h>
#include <sys/prctl.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <stdexcept>
#include <utility>

namespace oavc::caller::bench {

namespace {

constexpr auto start_limit = 30s;
/// Room for calls that are being set up or taken down while others take their place.
constexpr std::size_t spare_phones = 20;
/// A soak is shown in this many parts, so that drift is seen.
constexpr int parts_of_a_soak = 10;
constexpr milliseconds soak{120'000};

/// Open files of a server: RTP and RTCP or a media socket per call, and what calls come and go by.
constexpr std::size_t files_for(std::size_t calls) noexcept { return 3 * calls + 200; }
constexpr std::size_t calls_within(std::size_t files) noexcept {
    return files > files_for(1) ? (files - 200) / 3 : 1;
}

std::size_t phones_for(const Options& o) {
    const double length = std::chrono::duration<double>(o.habits.longest_call).count();
    switch (o.mode) {
        case Options::Mode::ramp:
            return o.most;
        case Options::Mode::calls:
            return o.overload ? 2 * o.calls : o.calls;
        case Options::Mode::storm:
        case Options::Mode::churn:
            // Calls that are still being set up or taken down come on top.
            return static_cast<std::size_t>(o.calls_per_second * (length + 2)) + spare_phones;
    }
    return 0;
}

std::string_view name_of(Options::Mode mode) {
    switch (mode) {
        case Options::Mode::ramp:
            return "ramp";
        case Options::Mode::calls:
            return "calls";
        case Options::Mode::storm:
            return "storm";
        case Options::Mode::churn:
            return "churn";
    }
    return {};
}

/// A server (ours, attached, or the reflector) with its crowd.
class Bench {
public:
    Bench(
        const Options& options,
        const Script& script,
        Results& results,
        BenchObserver& observer,
        const EngineHook& hook,
        bool reflector
    )
        : options_{options},
          results_{results},
          observer_{observer},
          hook_{hook},
          what_{reflector ? "reflector" : "server"} {
        const std::size_t phones = phones_for(options);
        ServerPlan plan;
        plan.program = options.program.empty() ? this_program() : options.program;
        plan.via = options.via;
        plan.cores = results.server_cores;
        plan.max_calls = options.overload ? options.calls : phones + spare_phones;
        plan.settings = options.settings;
        Reach reach;
        reach.via = options.via;
        reach.phones = phones;
        if (options.attach && !reflector) {
            reach.mi_port = options.mi_port;
            reach.url = options.url;
            reach.auth_token = options.auth_token;
        } else {
            plan.mi_port = free_port();
            plan.api_port = free_port();
            plan.event_port = free_port();
            plan.sip_port = free_port();
            reach.mi_port = plan.mi_port;
            reach.sip_port = plan.sip_port;
            reach.url = fmt::format("http://127.0.0.1:{}", plan.api_port);
            reach.auth_token = plan.auth_token;
        }
        carrier_ = make_carrier(reach);
        pid_t pid = 0;
        if (reflector) {
            child_ = std::make_unique<ChildProcess>(
                std::vector<std::string>{
                    plan.program, "bench", "--reflect-for", std::to_string(reach.mi_port)},
                plan.cores,
                folder_.path() / "reflector.log"
            );
            pid = child_->pid();
        } else if (options.attach) {
            pid = *options.attach;
        } else {
            server_ = std::make_unique<LoadServer>(std::move(plan), folder_.path());
            pid = server_->process().pid();
        }
        const bool shared =
            std::find(
                results.server_cores.begin(), results.server_cores.end(), results.cores.front()
            ) != results.server_cores.end();
        if (!shared) urgent_.emplace();  // not before: the server would inherit it
        engine_ = std::make_unique<Engine>(*carrier_, script, phones, options.seed);
        hook_(engine_.get());
        observer_.on_phase(fmt::format("waiting for the {}", what_));
        meter_ = std::make_unique<ProcessMeter>(pid);
        wait_until_ready();
        // What a server does once, such as loading a voice, is over when the first call is.
        engine_->run(500ms);
        if (const auto use = meter_->window()) idle_bytes_ = use->resident_bytes;
    }
    ~Bench() { hook_(nullptr); }
    Bench(const Bench&) = delete;
    Bench& operator=(const Bench&) = delete;

    Engine& engine() noexcept { return *engine_; }

    /// Brings that many calls up, or as many as come within a sensible time.
    void raise_to(std::size_t calls) {
        engine_->aim(calls, options_.calls_per_second);
        engine_->begin_window();
        placing_ = true;
        const auto limit =
            std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(
                static_cast<double>(calls) / options_.calls_per_second
            )) +
            10s;
        play("calling", limit, [this, calls] {
            return engine_->answered() >= calls - calls / 100 &&
                   engine_->under_way() <= engine_->aimed();
        });
    }

    /// Plays without counting.
    void settle(Clock::duration time) { play("warming up", time, {}); }

    const Step& measure(Clock::duration time, const std::function<bool()>& enough = {}) {
        const Figures before = std::exchange(placing_, false) ? engine_->window() : Figures{};
        engine_->begin_window();
        meter_->begin_window();
        play("measuring", time, enough);
        Step step;
        step.what = what_;
        step.figures = engine_->window();
        step.figures.add_calls_of(before);
        step.figures.server = meter_->window();
        step.figures.server_idle_bytes = idle_bytes_;
        step.invalid = engine_->stopped() ? "interrupted" : step.figures.invalid_because();
        Criteria criteria = options_.criteria;
        if (what_ == "reflector") criteria = no_conversation(criteria);
        Figures judged = step.figures;
        if (options_.overload) judged.refused = 0;  // that is what it is for
        step.shortfall = shortfall(judged, criteria);
        if (!step.shortfall.empty() && !engine_->last_trouble().empty())
            step.shortfall += fmt::format(" (last: {})", engine_->last_trouble());
        if (!step.figures.server) step.shortfall = fmt::format("the {} ended{}", what_, log_tail());
        results_.steps.push_back(std::move(step));
        observer_.on_step(results_.steps.back());
        return results_.steps.back();
    }

private:
    static Criteria no_conversation(Criteria criteria) {
        criteria.max_heard_p95 = 1h;
        criteria.max_unanswered_share = 1;
        return criteria;
    }

    void play(std::string_view phase, Clock::duration time, const std::function<bool()>& enough) {
        TimePoint shown = Clock::now();
        engine_->run(time, [&] {
            if (const TimePoint now = Clock::now(); now - shown >= 1s) {
                shown = now;
                observer_.on_progress(phase, *engine_);
            }
            return enough && enough();
        });
    }

    void wait_until_ready() {
        const TimePoint deadline = Clock::now() + start_limit;
        while (!carrier_->ready(Clock::now()) || (server_ && !server_->ready())) {
            if (engine_->stopped()) return;
            if ((child_ && !child_->running()) || (server_ && !server_->process().running()))
                throw std::runtime_error{fmt::format("the {} did not start{}", what_, log_tail())};
            if (Clock::now() >= deadline) {
                throw std::runtime_error{fmt::format(
                    "the {} was not ready to take calls within {} s{}",
                    what_,
                    std::chrono::seconds{start_limit}.count(),
                    options_.attach ? "; does its configuration name the MI port that --mi-port "
                                      "says?"
                                    : log_tail()
                )};
            }
            engine_->run(50ms);
        }
    }

    std::string log_tail() {
        if (!server_) return {};
        folder_.keep();
        return fmt::format(
            "; the end of {}:\n{}", server_->log().string(), last_lines(server_->log(), 12)
        );
    }

    // Given to us.
    const Options& options_;
    Results& results_;
    BenchObserver& observer_;
    const EngineHook& hook_;
    const std::string what_;
    // Owned.
    WorkFolder folder_;
    std::unique_ptr<Carrier> carrier_;
    std::unique_ptr<ChildProcess> child_;
    std::unique_ptr<LoadServer> server_;
    std::unique_ptr<Engine> engine_;
    std::unique_ptr<ProcessMeter> meter_;
    std::optional<Urgent> urgent_;
    // State.
    std::uint64_t idle_bytes_{0};
    bool placing_{false};  ///< the engine's window shows the calls that were placed for a step
};

void fixed(const Options& options, Bench& bench, Results& results) {
    bench.raise_to(options.overload ? 2 * options.calls : options.calls);
    bench.settle(options.warm_up);
    const int parts = options.duration > soak ? parts_of_a_soak : 1;
    for (int part = 0; part < parts && !bench.engine().stopped(); ++part) {
        const Step& step = bench.measure(options.duration / parts);
        if (results.verdict.empty())
            results.verdict =
                step.invalid.empty() ? step.shortfall : "not measured: " + step.invalid;
    }
}

void ramp(const Options& options, Bench& bench, Results& results) {
    Ramp search{options.first, options.most};
    int spoilt = 0;
    while (const auto calls = search.next()) {
        bench.raise_to(*calls);
        bench.settle(options.warm_up);
        const Step& step = bench.measure(options.duration);
        if (bench.engine().stopped()) {
            results.verdict = "interrupted";
            return;
        }
        if (!step.invalid.empty()) {
            // Once may be bad luck of the machine.
            if (++spoilt <= 2) continue;
            results.verdict = fmt::format("no knee: at {} calls {}", *calls, step.invalid);
            return;
        }
        spoilt = 0;
        search.on_step(step.good());
        // What was too much is still being worked off.
        if (!step.good()) bench.raise_to(search.knee());
    }
    results.knee = search.knee();
    results.knee_is_beyond = search.is_beyond();
    if (search.knee() == 0)
        results.verdict =
            fmt::format("not even {} calls: {}", options.first, results.steps.back().shortfall);
}

void storm(const Options& options, Bench& bench, Results& results) {
    bench.engine().aim(phones_for(options), options.calls_per_second);
    bench.settle(std::max<Clock::duration>(options.warm_up, options.habits.longest_call));
    const Step& step = bench.measure(options.duration);
    results.verdict = step.invalid.empty() ? step.shortfall : "not measured: " + step.invalid;
}

void churn(const Options& options, Bench& bench, Results& results) {
    Engine& engine = bench.engine();
    engine.aim(phones_for(options), options.calls_per_second);
    for (int part = 1; part <= parts_of_a_soak && !engine.stopped(); ++part) {
        const auto wanted = options.calls * static_cast<std::size_t>(part) / parts_of_a_soak;
        const Step& step =
            bench.measure(24h, [&engine, wanted] { return engine.placed() >= wanted; });
        if (results.verdict.empty() && step.invalid.empty()) results.verdict = step.shortfall;
    }
}

}  // namespace

std::optional<std::size_t> Results::safe_calls() const noexcept {
    if (!knee || *knee == 0) return std::nullopt;
    return static_cast<std::size_t>(static_cast<double>(*knee) * (1 - margin));
}

std::optional<double> Results::multiple_of_floor() const noexcept {
    double ours = 0;
    double floor = 0;
    for (const Step& step : steps)
        (step.what == "reflector" ? floor : ours) = step.figures.cpu_ms_per_call_second();
    if (ours <= 0 || floor <= 0) return std::nullopt;
    return ours / floor;
}

Results run_bench(Options options, BenchObserver& observer, const EngineHook& hook) {
    Results results;
    results.via = options.via;
    results.mode = name_of(options.mode);
    results.margin = options.margin;
    const auto cores = allowed_cores();
    if (cores.empty()) throw std::runtime_error{"the kernel does not tell which cores are ours"};
    results.cores = {options.core.value_or(cores.back())};
    results.server_cores = options.server_cores;
    if (results.server_cores.empty()) results.server_cores = {cores.front()};
    const std::size_t files = raise_file_limit();
    if (options.mode == Options::Mode::ramp) {
        options.most = std::min(options.most, calls_within(files));
    } else if (phones_for(options) > calls_within(files)) {
        throw std::runtime_error{fmt::format(
            "{} calls need about {} open files in the server: raise the hard limit ('ulimit -Hn "
            "{}' as root) or try fewer with --calls",
            phones_for(options),
            files_for(phones_for(options)),
            files_for(phones_for(options))
        )};
    }
    if (!pin_to(results.cores)) {
        throw std::runtime_error{
            fmt::format("core {} is not ours; see 'taskset -p $$'", results.cores.front())};
    }
    ::prctl(PR_SET_TIMERSLACK, 1UL);  // slots of a millisecond: the usual 50 µs are too much

    observer.on_phase("synthesising what the callers say");
    const Script script{options.habits};
    {
        Bench bench{options, script, results, observer, hook, false};
        switch (options.mode) {
            case Options::Mode::calls:
                fixed(options, bench, results);
                break;
            case Options::Mode::ramp:
                ramp(options, bench, results);
                break;
            case Options::Mode::storm:
                storm(options, bench, results);
                break;
            case Options::Mode::churn:
                churn(options, bench, results);
                break;
        }
        if (bench.engine().stopped()) {
            results.verdict = "interrupted";
            return results;
        }
    }
    if (options.reflector) {
        Options same = options;
        same.attach.reset();
        same.mode = Options::Mode::calls;
        if (options.mode != Options::Mode::calls)
            same.calls = std::max<std::size_t>(1, results.knee.value_or(options.first));
        Results floor = results;
        Bench bench{same, script, floor, observer, hook, true};
        fixed(same, bench, floor);
        results.steps = std::move(floor.steps);
    }
    return results;
}

}  // namespace oavc::caller::bench
