// `oavc serve`: signals, the configuration's reload, and how the process ends.

#include "app/cli.hpp"
#include "app/drain.hpp"
#include "app/gcp_secrets.hpp"
#include "app/options.hpp"
#include "app/server.hpp"
#include "async/awaitable.hpp"
#include "config/explain.hpp"
#include "observability/log.hpp"
#include "observability/log_fields.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <deque>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string_view>

namespace oavc::app {

namespace {

constexpr const char* help = R"(usage: oavc serve [-c FILE]

Answers calls until SIGTERM or SIGINT (Ctrl-C), or POST /api/v1/drain. Running calls then get
[limits] drain_deadline to finish, are said goodbye to, and the exit status is 0; a second signal
ends the process at once. SIGHUP reads the configuration again, for calls to come.

  -c, --config FILE   default: $OAVC_CONFIG_FILE, else $CONFIG_FILE, else
                      cfg/opensips-ai-voice-connector.ini, else config/dev.ini

  oavc serve -c config/dev.ini                everything embedded, on this machine only
  OAVC_API_PORT=9000 oavc serve               the environment wins over the file
  oavc check-config config/dev.ini --explain  what would it do, and why?
)";

constexpr Options::Spec options[]{{"--config", "-c", true}};

/// How often it is looked whether certificates were renewed.
constexpr Clock::duration certificate_watch = 30s;

/// How often it is looked whether the last call has ended.
constexpr Clock::duration glance = 20ms;

/// What somebody wants of the process. Signals and what other threads ask arrive on the main
/// thread, which has nothing else to do.
class Wishes {
public:
    struct Wish {
        enum class Kind { end, reload, drain };
        Kind kind{Kind::end};
        int signal{0};                                   ///< of `end`
        std::optional<std::chrono::seconds> deadline{};  ///< of `drain`
    };

    Wishes() {
        std::signal(SIGPIPE, SIG_IGN);
        wait_for_signal();
    }

    /// Thread: any.
    void drain(std::optional<std::chrono::seconds> deadline) {
        asio::post(context_, [this, deadline] {
            wishes_.push_back({Wish::Kind::drain, 0, deadline});
        });
    }

    /// The next wish; nothing by `deadline`.
    std::optional<Wish> wait_until(TimePoint deadline) {
        while (wishes_.empty()) {
            if (context_.run_one_until(deadline) == 0) return std::nullopt;
        }
        const Wish wish = wishes_.front();
        wishes_.pop_front();
        return wish;
    }

    /// From now on a signal to end does what it does to any process: ends it.
    void let_signals_kill() {
        error_code ignored;
        signals_.remove(SIGINT, ignored);
        signals_.remove(SIGTERM, ignored);
    }

private:
    void wait_for_signal() {
        signals_.async_wait([this](const error_code& error, int signal) {
            if (error) return;
            using Kind = Wish::Kind;
            wishes_.push_back({signal == SIGHUP ? Kind::reload : Kind::end, signal, {}});
            wait_for_signal();
        });
    }

    asio::io_context context_{1};
    asio::signal_set signals_{context_, SIGINT, SIGTERM, SIGHUP};
    std::deque<Wish> wishes_;  ///< bound: what people ask between two looks of the main thread
};
using Kind = Wishes::Wish::Kind;

/// Every call has several sockets; the usual soft limit of 1024 files is for programs that
/// select().
void allow_many_files() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

void reload(
    Server& server, const std::filesystem::path& file, const config::Environment& environment
) {
    const log::Logger log;
    try {
        const auto fresh = config::load(file, environment, gcp_secrets(environment));
        for (const auto& problem : fresh.problems) {
            if (problem.severity == config::Severity::note) continue;
            const auto text = config::to_string(problem, fresh.file);
            if (problem.severity == config::Severity::error) {
                log.error("in the new configuration", log::kv("problem", text));
            } else {
                log.warn("in the new configuration", log::kv("problem", text));
            }
        }
        if (fresh.ok()) return server.reload(fresh);
    } catch (const std::exception& error) {
        log.error("the new configuration", log::kv("problem", std::string_view{error.what()}));
    }
    log.error("configuration not reloaded: the old one goes on");
}

/// Reloads as often as asked; returns when the process should end.
Wishes::Wish serve_until_asked(
    Server& server,
    Wishes& wishes,
    const std::filesystem::path& file,
    const config::Environment& environment
) {
    auto next_look = Clock::now() + certificate_watch;
    for (;;) {
        const auto wish = wishes.wait_until(Clock::now() + 1s);
        server.sweep();
        if (Clock::now() >= next_look) {
            server.refresh_certificates();
            next_look = Clock::now() + certificate_watch;
        }
        if (!wish) continue;
        if (wish->kind != Kind::reload) return *wish;
        reload(server, file, environment);
    }
}

void drain(Server& server, Wishes& wishes, const Wishes::Wish& why) {
    const log::Logger log;
    bool signalled = why.kind == Kind::end;
    if (signalled) wishes.let_signals_kill();
    server.begin_drain();
    const auto deadline = why.deadline.value_or(server.drain_deadline());
    log.info(
        "draining: no new calls",
        log::kv(
            "because_of",
            !signalled             ? "API"
            : why.signal == SIGINT ? "SIGINT"
                                   : "SIGTERM"
        ),
        log::kv("active_calls", server.active_calls()),
        log::kv("deadline_s", deadline.count())
    );
    Drain drain{{deadline}, Clock::now()};
    for (;;) {
        const auto now = Clock::now();
        const auto calls = log::kv("active_calls", server.active_calls());
        switch (drain.next(server.active_calls(), now)) {
            case Drain::Step::end:
                if (server.active_calls() > 0) log.warn("ending calls", calls);
                return;
            case Drain::Step::say_goodbye:
                log.info("saying goodbye", calls);
                server.say_goodbye();
                break;
            case Drain::Step::tell:
                log.info("draining", calls, log::kv("left_ms", drain.left(now)));
                break;
            case Drain::Step::wait:
                break;
        }
        const auto wish = wishes.wait_until(std::min(drain.next_deadline(), now + glance));
        if (!wish) continue;
        if (wish->kind == Kind::reload) log.warn("not reloaded: the server is about to end");
        if (wish->kind == Kind::end && !signalled) {
            // An orchestrator's usual order: drain, then SIGTERM. The next signal is meant
            // otherwise.
            signalled = true;
            wishes.let_signals_kill();
        }
    }
}

}  // namespace

int serve_command(std::span<const std::string_view> arguments) {
    const auto started = Clock::now();
    const Options given{"serve", arguments, options, 0};
    if (given.help()) {
        fmt::print("{}", help);
        return 0;
    }
    const config::Environment environment = config::process_environment();
    const auto file = find_config_file(given.value("--config"), environment);
    const config::Loaded loaded = config::load(file, environment, gcp_secrets(environment));
    if (loaded.count(config::Severity::error) + loaded.count(config::Severity::warning) > 0) {
        fmt::print(stderr, "{}", config::list_problems(loaded, config::Severity::warning));
    }
    if (!loaded.ok()) return 1;

    log::configure(loaded.config.logging);
    log::set_google_project(loaded.config.tracing.google_project);
    const log::Logger log;
    Wishes wishes;
    allow_many_files();
    std::optional<Server> running;
    try {
        running.emplace(loaded);
        running->on_drain([&wishes](auto deadline) { wishes.drain(deadline); });
        running->start();
    } catch (const std::runtime_error& error) {
        throw std::runtime_error{
            fmt::format("{}\n`oavc doctor -c {}` tells more", error.what(), loaded.file)};
    }
    Server& server = *running;
    fmt::print("{}ready in {:.0f} ms\n", server.banner(), to_ms(Clock::now() - started));
    std::fflush(stdout);
    fmt::print("{}", server.service_report());
    std::fflush(stdout);
    log.info("serving", log::kv("version", OAVC_VERSION), log::kv("file", loaded.file));

    drain(server, wishes, serve_until_asked(server, wishes, file, environment));
    server.stop();
    log.info("stopped");
    return 0;
}

}  // namespace oavc::app
