#include "app/server.hpp"

#include "api/call_log.hpp"
#include "api/control_api.hpp"
#include "app/cli.hpp"
#include "app/options.hpp"
#include "app/resolve.hpp"
#include "async/run_blocking.hpp"
#include "async/shard_pool.hpp"
#include "async/task_group.hpp"
#include "async/worker_pool.hpp"
#include "config/explain.hpp"
#include "media/vad.hpp"
#include "net/http_server.hpp"
#include "observability/log.hpp"
#include "pipeline/manager.hpp"
#include "services/service_factory.hpp"
#include "transports/factory.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include <fmt/format.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

namespace oavc::app {

namespace {

/// Calls that are told to end get this long to say their goodbye.
constexpr Clock::duration goodbye_time = 10s;

std::size_t or_cores(std::size_t wanted) noexcept {
    if (wanted != 0) return wanted;
    const unsigned cores = std::thread::hardware_concurrency();
    return cores == 0 ? 1 : cores;
}

/// An address that a client on this machine can use.
std::string reachable(const std::string& host) {
    if (host == "0.0.0.0" || host == "::" || host.empty()) return "127.0.0.1";
    return host.find(':') == std::string::npos ? host : "[" + host + "]";
}

net::HttpResponse json(int status, std::string body) {
    net::HttpResponse response;
    response.status = status;
    response.content_type = "application/json";
    response.body = std::move(body) + "\n";
    response.headers.emplace("Cache-Control", "no-store");
    return response;
}

std::shared_ptr<const media::VadFactory> make_vad(const media::VadConfig& config) {
    auto made = media::make_vad_factory(config);
    if (!made) throw std::runtime_error{"[vad] " + made.error()};
    return *made;
}

net::HttpServer::Options http_options(const api::Config& config) {
    net::HttpServer::Options options;
    options.host = config.host;
    options.port = config.port;
    return options;
}

config::Config resolved(config::Config config) {
    resolve_names(config);
    return config;
}

}  // namespace

/// In the order in which they need each other: destroyed from the bottom up.
struct Server::Parts {
    explicit Parts(const config::Loaded& loaded)
        : file{loaded.file},
          config{resolved(loaded.config)},
          shards{or_cores(config.pipeline.limits.shards)},
          workers{or_cores(config.pipeline.limits.workers), config.pipeline.limits.worker_queue},
          vad{make_vad(config.pipeline.vad)},
          services{config.services, workers},
          stt{services.make_stt(config.services.stt_provider)},
          llm{services.make_llm(config.services.llm_provider)},
          tts{services.make_tts(config.services.tts_provider)},
          emergency_tts{services.make_emergency_tts()},
          manager{
              config.pipeline,
              pipeline::Services{*stt, *llm, *tts, *vad, emergency_tts.get()},
              shards,
              {&calls},
              log},
          chores{
              shards[0].executor(),
              [this](std::exception_ptr) { log.error("preparing failed; calls go on without"); }},
          http{shards, http_options(config.api)},
          api{config.api, calls} {}

    asio::awaitable<net::HttpResponse> live() const {
        co_return json(200, R"({"status":"alive","version":")" OAVC_VERSION R"("})");
    }

    asio::awaitable<net::HttpResponse> ready() const {
        const bool draining = manager.draining();
        const bool yes = running.load() && !draining;
        const char* status = yes ? "ready" : draining ? "draining" : "starting";
        co_return json(
            yes ? 200 : 503,
            fmt::format(
                R"({{"status":"{}","active_calls":{},"max_calls":{}}})",
                status,
                manager.active_calls(),
                manager.max_calls()
            )
        );
    }

    void add_health() {
        http.handle("GET", "/health/live", [this](async::Shard&, net::HttpRequest) {
            return live();
        });
        http.handle("GET", "/health/ready", [this](async::Shard&, net::HttpRequest) {
            return ready();
        });
    }

    const std::string file;
    const config::Config config;
    log::Logger log;
    api::CallLog calls;
    async::ShardPool shards;
    async::WorkerPool workers;
    std::shared_ptr<const media::VadFactory> vad;  ///< shared with the calls' engines: weights
    services::ServiceFactory services;
    std::unique_ptr<services::SttService> stt;
    std::unique_ptr<services::LlmService> llm;
    std::unique_ptr<services::TtsService> tts;
    std::unique_ptr<services::TtsService> emergency_tts;
    pipeline::PipelineManager manager;
    async::TaskGroup chores;  ///< on shard 0: what is made ready while calls may come already
    net::HttpServer http;
    api::ControlApi api;
    std::vector<std::unique_ptr<transports::Listener>> listeners;
    // State.
    std::atomic<bool> running{false};  ///< everything is bound; read by /health/ready
    bool shards_running{false};
    bool http_running{false};
    std::size_t listening{0};  ///< so many of `listeners` were started
};

Server::Server(const config::Loaded& loaded) : parts_{std::make_unique<Parts>(loaded)} {
    Parts& parts = *parts_;
    parts.add_health();
    parts.api.register_on(parts.http);
    const transports::TransportFactory factory{parts.config.opensips, parts.config.twilio};
    const transports::ListenerContext context{parts.shards, parts.manager, parts.http, parts.log};
    parts.listeners = factory.make(parts.config.telephony.provider, context);
}

Server::~Server() { stop(); }

void Server::start() {
    Parts& parts = *parts_;
    parts.shards.start();
    parts.shards_running = true;
    try {
        for (auto& listener : parts.listeners) {
            listener->start();
            ++parts.listening;
        }
        parts.http.start();
        parts.http_running = true;
    } catch (...) {
        stop();
        throw;
    }
    parts.running = true;
    parts.shards[0].post([&parts] {
        parts.chores.spawn(parts.manager.make_phrases(parts.shards[0]));
    });
}

std::string Server::banner() const {
    const Parts& parts = *parts_;
    const config::Config& c = parts.config;
    const bool opensips = c.telephony.provider != "twilio";
    const bool twilio = c.telephony.provider != "opensips";
    const std::string base = fmt::format("http://{}:{}", reachable(c.api.host), parts.http.port());

    std::string text = fmt::format("oavc {}, configuration {}\n", OAVC_VERSION, parts.file);
    const auto line = [&](std::string_view name, std::string_view what) {
        text += fmt::format("  {:<10}{}\n", name, what);
    };
    if (opensips) {
        line(
            "opensips",
            fmt::format(
                "events on udp {}:{}, commands to {}:{}, RTP on {} ports {} to {}",
                c.opensips.event_ip,
                c.opensips.event_port,
                c.opensips.mi_ip,
                c.opensips.mi_port,
                c.opensips.rtp_bind_ip,
                c.opensips.rtp_port_start,
                c.opensips.rtp_port_end
            )
        );
    }
    if (twilio) {
        line(
            "twilio",
            fmt::format(
                "webhook POST {}/, media on /ws{}",
                c.twilio.public_url.empty() ? base : c.twilio.public_url,
                c.twilio.validate_signatures ? "" : "; SIGNATURES ARE NOT CHECKED"
            )
        );
    }
    line("http", fmt::format("{}, with /health/ready and /api/v1/calls", base));
    line(
        "speech",
        fmt::format("{} → {} → {}", parts.stt->name(), parts.llm->name(), parts.tts->name())
    );
    std::string vad{parts.vad->name()};
    if (!parts.vad->note().empty()) vad.append(": ").append(parts.vad->note());
    line("vad", vad);
    if (c.pipeline.agents.size() > 1) {
        for (const pipeline::AgentConfig& agent : c.pipeline.agents) {
            line(
                "agent",
                agent.match.empty() ? agent.name + " for all other numbers"
                                    : agent.name + " for " + agent.match
            );
        }
    }
    line(
        "limits",
        fmt::format(
            "{} calls on {} shards, {} workers",
            c.pipeline.limits.max_calls,
            parts.shards.size(),
            or_cores(c.pipeline.limits.workers)
        )
    );
    line(
        "try", fmt::format("oavc call -c {} --via {}", parts.file, opensips ? "opensips" : "twilio")
    );
    return text;
}

void Server::begin_drain() {
    parts_->manager.begin_drain();
    for (auto& listener : parts_->listeners)
        listener->stop_accepting();
}

std::size_t Server::active_calls() const noexcept { return parts_->manager.active_calls(); }

void Server::say_goodbye() { parts_->manager.say_goodbye(); }

void Server::stop() {
    Parts& parts = *parts_;
    parts.running = false;
    if (!parts.shards_running) return;
    parts.manager.begin_drain();
    while (parts.listening > 0)
        parts.listeners[--parts.listening]->stop();
    if (parts.http_running) parts.http.stop();
    parts.http_running = false;
    parts.shards[0].post([&parts] { parts.chores.cancel(); });
    async::run_blocking(parts.shards[0], parts.chores.join());
    parts.workers.stop();
    parts.shards.drain_and_join();
    parts.shards_running = false;
}

// ── the command ─────────────────────────────────────────────────────────────────────────────────

namespace {

constexpr const char* help = R"(usage: oavc serve [-c FILE]

Answers calls until SIGTERM or SIGINT (Ctrl-C). Running calls then get [limits] drain_deadline to
finish, are said goodbye to, and the exit status is 0; a second signal ends the process at once.

  -c, --config FILE   default: $OAVC_CONFIG_FILE, else $CONFIG_FILE, else
                      cfg/opensips-ai-voice-connector.ini, else config/dev.ini

  oavc serve -c config/dev.ini                everything embedded, on this machine only
  OAVC_API_PORT=9000 oavc serve               the environment wins over the file
  oavc check-config config/dev.ini --explain  what would it do, and why?
)";

constexpr Options::Spec options[]{{"--config", "-c", true}};

/// Signals arrive here, on the main thread, which has nothing else to do.
class Signals {
public:
    Signals() {
        std::signal(SIGPIPE, SIG_IGN);
        signals_.async_wait([this](const error_code& error, int signal) {
            if (!error) received_ = signal;
        });
    }

    /// Returns the first signal.
    int wait() {
        while (received_ == 0)
            context_.run_one();
        return received_;
    }

    /// From now on a signal does what it does to any process: ends it.
    void back_to_default() { signals_.clear(); }

private:
    asio::io_context context_{1};
    asio::signal_set signals_{context_, SIGINT, SIGTERM};
    int received_{0};
};

/// Waits for the calls to end, at most `limit`. False: some are left.
bool wait_for_calls(const Server& server, Clock::duration limit) {
    const TimePoint deadline = Clock::now() + limit;
    while (server.active_calls() > 0) {
        if (Clock::now() >= deadline) return false;
        std::this_thread::sleep_for(10ms);
    }
    return true;
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
    const config::Loaded loaded =
        config::load(find_config_file(given.value("--config"), environment), environment);
    if (loaded.count(config::Severity::error) + loaded.count(config::Severity::warning) > 0) {
        fmt::print(stderr, "{}", config::list_problems(loaded, config::Severity::warning));
    }
    if (!loaded.ok()) return 1;

    log::configure(loaded.config.logging);
    const log::Logger log;
    Signals signals;
    Server server{loaded};
    server.start();
    fmt::print("{}ready in {:.0f} ms\n", server.banner(), to_ms(Clock::now() - started));
    std::fflush(stdout);
    log.info("serving", log::kv("version", OAVC_VERSION), log::kv("file", loaded.file));

    const int signal = signals.wait();
    signals.back_to_default();
    server.begin_drain();
    const auto drain = loaded.config.pipeline.limits.drain_deadline;
    log.info(
        "draining: no new calls",
        log::kv("signal", signal == SIGINT ? "SIGINT" : "SIGTERM"),
        log::kv("active_calls", server.active_calls()),
        log::kv("deadline_s", drain.count())
    );
    if (!wait_for_calls(server, drain)) {
        log.info("saying goodbye", log::kv("active_calls", server.active_calls()));
        server.say_goodbye();
        if (!wait_for_calls(server, goodbye_time)) {
            log.warn("ending calls", log::kv("active_calls", server.active_calls()));
        }
    }
    server.stop();
    log.info("stopped");
    return 0;
}

}  // namespace oavc::app
