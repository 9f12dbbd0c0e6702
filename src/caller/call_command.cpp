#include "caller/call_command.hpp"

#include "caller/live_text.hpp"
#include "caller/options.hpp"
#include "caller/report.hpp"
#include "caller/run.hpp"
#include "config/load.hpp"
#include "observability/log.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <utility>

namespace oavc::caller {

namespace {

/// The configuration that tells where the server is.
config::Config load_config(const Options& options) {
    const auto environment = config::process_environment();
    std::string file = options.config_file;
    for (const char* name : {"OAVC_CONFIG_FILE", "CONFIG_FILE"}) {
        const auto found = environment.find(name);
        if (file.empty() && found != environment.end()) file = found->second;
    }
    for (const char* usual : {"cfg/opensips-ai-voice-connector.ini", "config/dev.ini"}) {
        std::error_code error;
        if (file.empty() && std::filesystem::exists(usual, error)) file = usual;
    }
    if (file.empty()) return {};
    auto loaded = config::load(file, environment);
    if (!loaded.ok()) {
        std::string what;
        for (const auto& problem : loaded.problems) {
            if (problem.severity == config::Severity::error)
                what += config::to_string(problem, loaded.file) + '\n';
        }
        throw std::runtime_error{
            what + "The caller reads ports and tokens from the server's configuration."};
    }
    return std::move(loaded.config);
}

/// For scripts: one object per call, nothing else.
class JsonOutput final : public RunObserver {
public:
    void on_waiting(std::string_view) override {}
    void on_call(std::size_t, std::string_view) override {}
    void on_answered(const Dialled&) override {}
    void on_caller_speaks(milliseconds, const Utterance&) override {}
    void on_server_event(milliseconds, const ServerEvent&) override {}
    void on_over(milliseconds, std::string_view) override {}
    void on_report(const CallReport& report) override {
        fmt::print("{}\n", to_json(report));
        std::fflush(stdout);
    }
};

/// For people: the conversation as it happens, then where the time went.
class TextOutput final : public RunObserver {
public:
    TextOutput(bool terminal, std::size_t calls)
        : style_{terminal}, live_{stdout, terminal, style_}, calls_{calls} {}

    void on_waiting(std::string_view where) override {
        fmt::print("waiting for the connector to subscribe at {} …\n", where);
        std::fflush(stdout);
    }
    void on_call(std::size_t index, std::string_view towards) override {
        const auto number =
            calls_ > 1 ? fmt::format(" {} of {}", index + 1, calls_) : std::string{};
        fmt::print("\n{} over {}\n", style_.bold("Test call" + number), towards);
        std::fflush(stdout);
    }
    void on_answered(const Dialled& dialled) override {
        live_.note(
            0ms, fmt::format("answered after {:.1f} ms: {}", to_ms(dialled.setup), dialled.what)
        );
    }
    void on_caller_speaks(milliseconds at, const Utterance& utterance) override {
        live_.caller_speaks(at, utterance.label, utterance.interrupts);
    }
    void on_server_event(milliseconds at, const ServerEvent& event) override {
        live_.server_event(event, at);
    }
    void on_over(milliseconds at, std::string_view why) override {
        live_.note(at, why.empty() ? "the caller hangs up" : why);
    }
    void on_report(const CallReport& report) override {
        fmt::print("\n{}", waterfall(report, style_));
        if (!report.recorded.empty())
            fmt::print("  recorded, caller left, connector right: {}\n", report.recorded);
        if (calls_ > 1 && report.result != "ok")
            fmt::print("  {}\n", style_.bad("✗ " + report.result));
        std::fflush(stdout);
    }
    void print_summary(const std::vector<CallReport>& reports) const {
        if (reports.empty()) return;
        fmt::print("\n");
        if (reports.size() > 1)
            fmt::print("{}\n", style_.bold(fmt::format("{} calls", reports.size())));
        fmt::print("{}", summary(reports, style_));
    }

private:
    const Style style_;
    LiveText live_;
    const std::size_t calls_;
};

}  // namespace

int call_command(std::span<const std::string_view> arguments) {
    auto parsed = parse_options(arguments);
    if (parsed.options.help) {
        fmt::print("{}", help_text());
        return 0;
    }
    if (!parsed.error.empty()) {
        fmt::print(stderr, "oavc call: {}\nTry 'oavc call --help'.\n", parsed.error);
        return 2;
    }
    log::Settings logging;
    logging.level = log::Level::error;
    log::configure(logging);
    const char* const no_colour =
        std::getenv("NO_COLOR");  // NOLINT(concurrency-mt-unsafe): one thread
    const bool plain = no_colour != nullptr && *no_colour != '\0';
    TextOutput text{::isatty(STDOUT_FILENO) == 1 && !plain, parsed.options.repeat};
    JsonOutput json;
    const bool for_scripts = parsed.options.json;
    try {
        auto config = load_config(parsed.options);
        RunObserver& output = for_scripts ? static_cast<RunObserver&>(json) : text;
        CallRun run{std::move(parsed.options), std::move(config), output};
        const auto& reports = run.run();
        if (!for_scripts) text.print_summary(reports);
        if (run.stopped()) return 130;
        const bool good = !reports.empty() &&
                          std::all_of(reports.begin(), reports.end(), [](const CallReport& r) {
                              return r.result == "ok";
                          });
        return good ? 0 : 1;
    } catch (const std::exception& error) {
        fmt::print(stderr, "oavc call: {}\n", error.what());
        return 1;
    }
}

}  // namespace oavc::caller
