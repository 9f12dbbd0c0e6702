#include "caller/bench/run.hpp"

#include "caller/bench/carriers.hpp"
#include "caller/bench/ramp.hpp"
#include "caller/bench/scraped_histogram.hpp"
#include "caller/bench/server.hpp"
#include "caller/bench/summary.hpp"
#include "caller/conformance/case.hpp"
#include "caller/conformance/web_client.hpp"

#include <fmt/format.h>
#include <sys/prctl.h>

#include <algorithm>
#include <cmath>
#include <future>
#include <limits>
#include <optional>
#include <set>
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
/// What a server did late because it was asked for its metrics is over by then.
constexpr milliseconds after_asking{100};
constexpr milliseconds farewell{5'000};

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

/// What all runs have in common. Borrows everything.
struct Job {
    const Options& options;
    const Script& script;
    Results& results;
    BenchObserver& observer;
    const EngineHook& hook;
};

/// The server's metrics. Blocks for up to two seconds; empty: it has none.
std::string fetch_metrics(const std::string& url) {
    try {
        return conformance::web_request(
                   conformance::read_web_address(url), "GET", "/metrics", {}, {}, Clock::now() + 2s
        )
            .body;
    } catch (const std::exception&) {
        return {};  // an attached server may be without, or out of our reach
    }
}

/// A server (ours, attached, or the reflector) with its crowd.
class Bench {
public:
    /// `run`: from 1; 0: a search.
    Bench(const Job& job, bool reflector, int run)
        : options_{job.options},
          results_{job.results},
          observer_{job.observer},
          hook_{job.hook},
          what_{reflector ? "reflector" : "server"},
          run_{run} {
        const Options& options = job.options;
        Results& results = job.results;
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
        if (!reflector) metrics_url_ = reach.url + '/';
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
        engine_ = std::make_unique<Engine>(*carrier_, job.script, phones, options.seed);
        hook_(engine_.get());
        observer_.on_phase(fmt::format("waiting for the {}", what_));
        meter_ = std::make_unique<ProcessMeter>(pid);
        wait_until_ready();
        // What a server does once, such as loading a voice or telling its metrics, is over when the
        // first call comes.
        engine_->run(500ms);
        answers();
        if (const auto use = meter_->window()) idle_bytes_ = use->resident_bytes;
    }
    ~Bench() {
        // Our own server goes with its calls; an attached one would wait for them in vain.
        if (options_.attach) {
            engine_->aim(0, options_.calls_per_second);
            engine_->run(farewell, [this] { return engine_->under_way() == 0; });
        }
        hook_(nullptr);
    }
    Bench(const Bench&) = delete;
    Bench& operator=(const Bench&) = delete;

    Engine& engine() noexcept { return *engine_; }

    /// Brings that many calls up, or as many as come within a sensible time.
    void raise_to(std::size_t calls) {
        engine_->aim(calls, options_.calls_per_second);
        engine_->begin_window();
        most_calls_ = std::max(most_calls_, calls);
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

    void settle(Clock::duration time) { play("warming up", time, {}); }
    /// What happened so far does not count.
    void forget() { engine_->begin_window(); }

    /// The calls of the step are also those since the last one, or since `raise_to` or `forget`.
    const Step& measure(Clock::duration time, const std::function<bool()>& enough = {}) {
        const auto answers_before = answers();
        const Figures before = engine_->window();
        engine_->begin_window();
        meter_->begin_window();
        play("measuring", time, enough);
        Step step;
        step.what = what_;
        step.run = run_;
        step.runs = options_.repeat;
        step.part = ++part_;
        step.figures = engine_->window();
        step.figures.add_calls_of(before);
        engine_->begin_window();
        step.figures.server = meter_->window();
        step.figures.server_idle_bytes = idle_bytes_;
        step.figures.memory_is_of_calls = !options_.habits.abrupt && step.figures.refused == 0 &&
                                          step.figures.target >= most_calls_;
        step.invalid = engine_->stopped() ? "interrupted" : step.figures.invalid_because();
        if (const auto after = answers(); after && answers_before)
            step.figures.added = after->since(*answers_before);
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
        // No share is enough: of the turns given up within the window some ended before it, and
        // can be more than those that ended in it.
        criteria.max_unanswered_share = std::numeric_limits<double>::infinity();
        return criteria;
    }

    /// What the server has counted of its answers. The callers talk on while it is asked, for the
    /// asking must not make us late; never within a window, for it must not make the server late.
    std::optional<ScrapedHistogram> answers() {
        if (metrics_url_.empty() || engine_->stopped()) return std::nullopt;
        auto text = std::async(std::launch::async, fetch_metrics, metrics_url_);
        engine_->run(1min, [&text] { return text.wait_for(0s) == std::future_status::ready; });
        engine_->run(after_asking);
        const auto found = ScrapedHistogram::read(text.get(), "oavc_answer_latency_seconds");
        if (!found) metrics_url_.clear();  // once is enough
        return found;
    }

    void play(std::string_view what, Clock::duration time, const std::function<bool()>& enough) {
        const std::string phase = options_.repeat > 1 && run_ > 0
                                      ? fmt::format("run {} of {}, {}", run_, options_.repeat, what)
                                      : std::string{what};
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
    const int run_;
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
    std::size_t most_calls_{0};  ///< that were to be up, ever
    int part_{0};
    std::string metrics_url_;  ///< empty: it has none
};

void fixed(const Options& options, Bench& bench) {
    bench.raise_to(options.overload ? 2 * options.calls : options.calls);
    bench.settle(options.warm_up);
    const int parts = options.duration > soak ? parts_of_a_soak : 1;
    for (int part = 0; part < parts && !bench.engine().stopped(); ++part)
        bench.measure(options.duration / parts);
}

void storm(const Options& options, Bench& bench) {
    bench.engine().aim(phones_for(options), options.calls_per_second);
    bench.settle(std::max<Clock::duration>(options.warm_up, options.habits.longest_call));
    bench.forget();
    bench.measure(options.duration);
}

void churn(const Options& options, Bench& bench) {
    Engine& engine = bench.engine();
    engine.aim(phones_for(options), options.calls_per_second);
    for (int part = 1; part <= parts_of_a_soak && !engine.stopped(); ++part) {
        const auto wanted = options.calls * static_cast<std::size_t>(part) / parts_of_a_soak;
        bench.measure(24h, [&engine, wanted] { return engine.placed() >= wanted; });
    }
}

/// One run with a server of its own. False: interrupted.
template <class Play>
bool run_once(const Job& job, bool reflector, int run, const Play& play) {
    Bench bench{job, reflector, run};
    play(job.options, bench);
    return !bench.engine().stopped();
}

/// False: interrupted.
bool search(const Job& job) {
    const Options& options = job.options;
    Results& results = job.results;
    Bench bench{job, false, 0};
    Ramp ramp{options.first, options.most};
    int spoilt = 0;
    while (const auto calls = ramp.next()) {
        bench.raise_to(*calls);
        bench.settle(options.warm_up);
        const Step& step = bench.measure(options.duration);
        if (bench.engine().stopped()) return false;
        if (!step.invalid.empty()) {
            // Once may be bad luck of the machine.
            if (++spoilt <= 2) continue;
            results.verdict = fmt::format("no knee: at {} calls {}", *calls, step.invalid);
            return true;
        }
        spoilt = 0;
        ramp.on_step(step.good());
        // What was too much is still being worked off.
        if (!step.good()) bench.raise_to(ramp.knee());
    }
    results.knee = ramp.knee();
    results.knee_is_beyond = ramp.is_beyond();
    if (ramp.knee() == 0)
        results.verdict =
            fmt::format("not even {} calls: {}", options.first, results.steps.back().shortfall);
    return true;
}

/// Runs the end of a search again, each time with a new server. False: interrupted.
bool check_knee(const Job& job) {
    Results& results = job.results;
    std::set<std::size_t> tried;
    for (const Step& step : results.steps) {
        if (step.invalid.empty()) tried.insert(step.figures.target);
    }
    KneeCheck check{{tried.begin(), tried.end()}, *results.knee};
    while (const auto calls = check.next()) {
        for (int run = 1; run <= job.options.repeat; ++run) {
            const auto once = [calls](const Options& options, Bench& bench) {
                bench.raise_to(*calls);
                bench.settle(options.warm_up);
                bench.measure(options.duration);
            };
            if (!run_once(job, false, run, once)) return false;
        }
        const auto last = repetitions(results).back();
        if (last.measured().empty()) {
            results.knee.reset();
            results.verdict = fmt::format("no knee: at {} calls {}", *calls, last.verdict());
            return true;
        }
        check.on_step(last.good());
    }
    results.knee = check.knee();
    results.knee_is_beyond = check.is_beyond();
    if (check.knee() == 0)
        results.verdict = fmt::format(
            "not even {} calls: {}", *tried.begin(), repetitions(results).back().verdict()
        );
    return true;
}

/// Why the server was not good; empty: it was.
std::string verdict_of(const Results& results, Options::Mode mode) {
    for (const Repetition& step : repetitions(results)) {
        if (step.what != "server") continue;
        // One part of a churn that we spoilt ourselves says nothing against the others.
        if (mode == Options::Mode::churn && step.measured().empty()) continue;
        if (auto verdict = step.verdict(); !verdict.empty()) return verdict;
    }
    return {};
}

/// False: interrupted.
bool run_all(const Job& job) {
    const Options& options = job.options;
    Results& results = job.results;
    Options same = options;
    same.attach.reset();
    same.mode = Options::Mode::calls;
    const Job floor{same, job.script, results, job.observer, job.hook};
    if (options.mode == Options::Mode::ramp) {
        if (!search(job)) return false;
        if (options.repeat > 1 && results.verdict.empty() && !check_knee(job)) return false;
        same.calls = std::max<std::size_t>(1, results.knee.value_or(options.first));
        for (int run = 1; options.reflector && run <= options.repeat; ++run) {
            if (!run_once(floor, true, run, fixed)) return false;
        }
        return true;
    }
    if (options.mode != Options::Mode::calls) same.calls = options.first;
    for (int run = 1; run <= options.repeat; ++run) {
        const bool goes_on = options.mode == Options::Mode::calls ? run_once(job, false, run, fixed)
                             : options.mode == Options::Mode::storm
                                 ? run_once(job, false, run, storm)
                                 : run_once(job, false, run, churn);
        if (!goes_on) return false;
        // In turns, so that whatever else the machine does meets both.
        if (options.reflector && !run_once(floor, true, run, fixed)) return false;
    }
    results.verdict = verdict_of(results, options.mode);
    return true;
}

}  // namespace

std::optional<std::size_t> Results::safe_calls() const noexcept {
    if (!knee || *knee == 0) return std::nullopt;
    return static_cast<std::size_t>(static_cast<double>(*knee) * (1 - margin));
}

std::optional<double> Results::multiple_of_floor() const noexcept {
    const auto cost = [this](std::string_view what, std::optional<std::size_t> calls) {
        std::vector<double> all;
        double last = 0;
        for (const Step& step : steps) {
            if (step.what != what) continue;
            last = step.figures.cpu_ms_per_call_second();
            const bool of_these = !calls || step.figures.target == *calls;
            if (of_these && step.invalid.empty()) all.push_back(last);
        }
        return all.empty() ? last : median(std::move(all));
    };
    const auto reflected = std::find_if(steps.rbegin(), steps.rend(), [](const Step& step) {
        return step.what == "reflector";
    });
    if (reflected == steps.rend()) return std::nullopt;
    const double ours = cost("server", reflected->figures.target);
    const double floor = cost("reflector", std::nullopt);
    if (ours <= 0 || floor <= 0) return std::nullopt;
    return ours / floor;
}

Results run_bench(Options options, BenchObserver& observer, const EngineHook& hook) {
    Results results;
    results.via = options.via;
    results.mode = name_of(options.mode);
    results.margin = options.margin;
    results.repeat = options.repeat;
    results.attached = options.attach.has_value();
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
    if (!run_all({options, script, results, observer, hook})) results.verdict = "interrupted";
    return results;
}

}  // namespace oavc::caller::bench
