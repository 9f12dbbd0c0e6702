#include "caller/bench/bench_command.hpp"

#include "caller/bench/calibration.hpp"
#include "caller/bench/options.hpp"
#include "caller/bench/reflector.hpp"
#include "caller/bench/report.hpp"
#include "caller/bench/run.hpp"
#include "observability/log.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <string>

namespace oavc::caller::bench {

namespace {

Engine* running = nullptr;             // for the signal handler; one load test per process
volatile std::sig_atomic_t asked = 0;  // before there was an engine

void on_signal(int) {
    asked = 1;
    if (running != nullptr) running->stop();
}

/// A table as it grows, and below it one line that tells what happens now.
class Output final : public BenchObserver {
public:
    Output(std::FILE* out, bool terminal) : out_{out}, terminal_{terminal} {}

    void on_phase(std::string_view what) override { show(fmt::format("{} …", what)); }
    void on_progress(std::string_view phase, const Engine& engine) override {
        show(progress_line(phase, engine));
    }
    void on_step(const Step& step) override {
        clear();
        if (!headed_) fmt::print(out_, "{}\n", table_head());
        headed_ = true;
        fmt::print(out_, "{}\n", table_line(step));
        std::fflush(out_);
    }
    void clear() {
        if (terminal_) fmt::print(out_, "\r\x1b[K");
        std::fflush(out_);
    }

private:
    void show(const std::string& line) {
        if (!terminal_) return;
        fmt::print(out_, "\r\x1b[K{:.110}", line);
        std::fflush(out_);
    }

    std::FILE* const out_;
    const bool terminal_;
    bool headed_{false};
};

void write_file(const std::string& path, const std::string& text) {
    std::ofstream file{path, std::ios::trunc};
    file << text;
    if (!file.flush()) throw std::runtime_error{fmt::format("{} cannot be written", path)};
}

/// What became of it, for people.
std::string write_limit(const LimitFile& file, const Results& results) {
    const auto safe = results.safe_calls();
    if (!safe || *safe == 0 || !results.verdict.empty())
        return fmt::format("{} is as it was.\n", file.path().string());
    file.write(*safe);
    return fmt::format(
        "{}: [limits] max_calls = {} ({:.0f} % below the knee). A running server takes it with "
        "SIGHUP.\n",
        file.path().string(),
        *safe,
        results.margin * 100
    );
}

int run_command(const Options& options) {
    std::optional<LimitFile> limit_file;
    if (!options.calibrate_file.empty()) limit_file.emplace(options.calibrate_file);
    // Where JSON goes to standard output, people read the other one.
    const bool json_out = options.json_file == "-";
    std::FILE* const out = json_out ? stderr : stdout;
    Output output{out, ::isatty(json_out ? STDERR_FILENO : STDOUT_FILENO) == 1};
    std::signal(SIGINT, on_signal);
    std::signal(SIGTERM, on_signal);
    const Results results = run_bench(options, output, [](Engine* engine) {
        running = engine;
        if (engine != nullptr && asked != 0) engine->stop();
    });
    output.clear();
    fmt::print(
        out, "{}{}", medians_table(results), conclusion(results, options.calibrate && !limit_file)
    );
    const bool measured = std::any_of(
        results.steps.begin(), results.steps.end(), [](const Step& s) { return s.what == "server"; }
    );
    if (json_out) {
        fmt::print("{}\n", to_json(results));
    } else if (!options.json_file.empty()) {
        write_file(options.json_file, to_json(results) + '\n');
    }
    if (!options.svg_file.empty() && measured) write_file(options.svg_file, to_svg(results));
    if (limit_file) fmt::print(out, "{}", write_limit(*limit_file, results));
    if (asked != 0) return 130;
    return results.verdict.empty() ? 0 : 1;
}

}  // namespace

int bench_command(std::span<const std::string_view> arguments) {
    const auto parsed = parse_options(arguments);
    if (parsed.options.help) {
        fmt::print("{}", help_text());
        return 0;
    }
    if (!parsed.error.empty()) {
        fmt::print(stderr, "oavc bench: {}\nTry 'oavc bench --help'.\n", parsed.error);
        return 2;
    }
    log::Settings logging;
    logging.level = log::Level::error;
    log::configure(logging);
    try {
        if (parsed.options.reflect_for != 0) return run_reflector(parsed.options.reflect_for);
        return run_command(parsed.options);
    } catch (const std::exception& error) {
        fmt::print(stderr, "oavc bench: {}\n", error.what());
        return 1;
    }
}

}  // namespace oavc::caller::bench
