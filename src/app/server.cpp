#include "app/server.hpp"

#include "api/call_log.hpp"
#include "api/control_api.hpp"
#include "app/cli.hpp"
#include "app/options.hpp"
#include "app/resolve.hpp"
#include "app/scrape.hpp"
#include "app/tracing.hpp"
#include "async/pulse.hpp"
#include "async/run_blocking.hpp"
#include "async/shard_pool.hpp"
#include "async/task_group.hpp"
#include "async/worker_pool.hpp"
#include "base/random.hpp"
#include "config/explain.hpp"
#include "media/vad.hpp"
#include "net/http_server.hpp"
#include "net/json_text.hpp"
#include "observability/log.hpp"
#include "observability/log_fields.hpp"
#include "observability/metrics.hpp"
#include "pipeline/call_telemetry.hpp"
#include "pipeline/manager.hpp"
#include "pipeline/outgoing_calls.hpp"
#include "services/failover/health.hpp"
#include "services/service_factory.hpp"
#include "transports/factory.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <optional>
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

/// Services that answer their first probe within this are known when we say that we are ready; the
/// start waits no longer.
constexpr Clock::duration usual_answer = 100ms;
/// The report at start waits so long for the others.
constexpr Clock::duration slow_answer = 1s;

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

/// Addresses are left out: this is told to everybody who can reach the port.
std::string services_json(const std::vector<services::Provider::Snapshot>& providers) {
    std::string text;
    for (const auto& provider : providers) {
        boost::json::object service{
            {"kind", to_string(provider.identity.kind)},
            {"provider", provider.identity.name},
            {"role", provider.identity.fallback ? "fallback" : "primary"},
            {"usable", provider.usable},
            {"breaker", to_string(provider.breaker)},
            {"succeeded", provider.succeeded},
            {"failed", provider.failed},
            {"last_error", provider.last_error},
        };
        if (provider.last_ok) {
            const auto ago = std::chrono::duration<double>(Clock::now() - *provider.last_ok);
            service["last_ok_seconds_ago"] = std::round(ago.count() * 10) / 10;
        }
        if (!text.empty()) text += ',';
        net::append_json(text, service);
    }
    return text;
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

/// Whose calls come first; the fallback's are beside them, also when both were named.
std::string first_provider(const config::TelephonyConfig& telephony) {
    if (telephony.provider != "both") return telephony.provider;
    if (telephony.fallback_provider == "twilio") return "opensips";
    return telephony.fallback_provider == "opensips" ? "twilio" : "both";
}

std::vector<std::string> agent_names(const pipeline::Config& config) {
    std::vector<std::string> names;
    for (const pipeline::AgentConfig& agent : config.agents)
        names.push_back(agent.name);
    return names;
}

config::Config resolved(config::Config config) {
    resolve_names(config);
    return config;
}

/// Of calls by RTP; of no meaning where there are none.
boost::asio::ip::address rtp_address(const config::Config& config) {
    if (!config.serves_rtp()) return {};
    return boost::asio::ip::make_address(config.rtp.bind_ip);
}

}  // namespace

/// In the order in which they need each other: destroyed from the bottom up.
struct Server::Parts {
    explicit Parts(const config::Loaded& loaded)
        : file{loaded.file},
          config{resolved(loaded.config)},
          shards{or_cores(config.pipeline.limits.shards)},
          pulse{shards},
          workers{or_cores(config.pipeline.limits.workers), config.pipeline.limits.worker_queue},
          vad{make_vad(config.pipeline.vad)},
          services{config.services, workers, &metrics},
          stt{services.make_stt()},
          llm{services.make_llm()},
          tts{services.make_tts()},
          health{services.watched(), config.services.failover.probe_interval, shards[0], log},
          emergency_tts{services.make_emergency_tts()},
          manager{
              config.pipeline,
              pipeline::Services{*stt, *llm, *tts, *vad, emergency_tts.get()},
              shards,
              {&calls},
              log,
              &pulse,
              &telemetry},
          chores{
              shards[0].executor(),
              [this](std::exception_ptr) { log.error("preparing failed; calls go on without"); }},
          http{shards, http_options(config.api)},
          scrape{
              metrics,
              {manager, workers, health, http, pulse, tracing ? &tracing->exporter : nullptr}},
          rtp_ports{rtp_address(config), config.rtp.port_start, config.rtp.port_end},
          outgoing{config.pipeline.outgoing, agent_names(config.pipeline), log},
          api{config.api, calls, &manager, &outgoing} {}

    /// Whether a restart would help: a shard that is stuck carries its calls no more.
    asio::awaitable<net::HttpResponse> live() const {
        const TimePoint now = Clock::now();
        const auto stuck = pulse.stuck(now);
        boost::json::object body{
            {"status", stuck ? "stuck" : "alive"},
            {"version", OAVC_VERSION},
            {"instance", instance},
            {"shards", shards.size()},
            {"lag_ms", std::round(to_ms(pulse.worst_lag(now)) * 10) / 10},
        };
        if (stuck) body["stuck_shard"] = *stuck;
        co_return json(stuck ? 503 : 200, net::json_text(body));
    }

    /// Whether a new call should come here.
    asio::awaitable<net::HttpResponse> ready() const {
        const auto refusal = manager.closed();
        boost::json::array reasons;
        if (!running.load()) reasons.push_back("starting");
        if (refusal) {
            const auto word = to_string(*refusal);
            reasons.push_back(boost::json::string_view{word.data(), word.size()});
        }
        if (!health.usable()) reasons.push_back("unavailable");
        const auto places = manager.admission();
        const auto* const first = reasons.empty() ? nullptr : &reasons.front().get_string();
        std::string body = fmt::format(
            R"({{"status":"{}","reasons":{},"active_calls":{},"max_calls":{},"services":[{}]}})",
            first == nullptr ? "ready" : std::string_view{first->data(), first->size()},
            net::json_text(reasons),
            places.active,
            places.capacity,
            services_json(health.snapshot())
        );
        co_return json(reasons.empty() ? 200 : 503, std::move(body));
    }

    /// With a fallback, one carrier that works is enough: a listener that cannot start is left out.
    void start_listeners() {
        std::string problems;
        for (auto& listener : listeners) {
            try {
                listener->start();
            } catch (const std::runtime_error& error) {
                if (config.telephony.fallback_provider.empty()) throw;
                log.error(
                    "a carrier cannot be used; going on with the other",
                    log::kv("via", listener->name()),
                    log::kv("error", std::string_view{error.what()})
                );
                problems += (problems.empty() ? "" : "\n") + std::string{error.what()};
                continue;
            }
            listening.push_back(listener.get());
            if (auto* const dialer = listener->dialer()) {
                outgoing.add_carrier(std::string{listener->name()}, *dialer);
            }
        }
        if (listening.empty()) throw std::runtime_error{problems};
    }

    /// Model servers load their models before the first caller waits for them.
    asio::awaitable<void> prepare_model() {
        const auto prepared = co_await llm->prepare(shards[0]);
        if (!prepared) log.warn("the model is not ready", log::kv("error", prepared.error()));
    }

    asio::awaitable<net::HttpResponse> metrics_text() {
        net::HttpResponse response;
        response.content_type = metrics::Registry::content_type;
        response.body = scrape.text();
        co_return response;
    }

    void add_health() {
        http.handle("GET", "/health/live", [this](async::Shard&, net::HttpRequest) {
            return live();
        });
        http.handle("GET", "/health/ready", [this](async::Shard&, net::HttpRequest) {
            return ready();
        });
        http.handle("GET", "/metrics", [this](async::Shard&, net::HttpRequest) {
            return metrics_text();
        });
    }

    const std::string file;
    /// Of this very process: by it `oavc doctor` knows that a public URL leads here.
    const std::string instance{random_hex(8)};
    const config::Config config;
    log::Logger log;
    api::CallLog calls;
    async::ShardPool shards;
    async::Pulse pulse;
    async::WorkerPool workers;
    std::shared_ptr<const media::VadFactory> vad;  ///< shared with the calls' engines: weights
    metrics::Registry metrics;
    std::unique_ptr<Tracing> tracing{make_tracing(config.tracing, instance, log)};  ///< may be null
    pipeline::Telemetry telemetry{metrics, tracing ? &tracing->tracer : nullptr};
    services::ServiceFactory services;
    std::unique_ptr<services::SttService> stt;
    std::unique_ptr<services::LlmService> llm;
    std::unique_ptr<services::TtsService> tts;
    services::HealthMonitor health;
    std::unique_ptr<services::TtsService> emergency_tts;
    pipeline::PipelineManager manager;
    async::TaskGroup chores;  ///< on shard 0: what is made ready while calls may come already
    net::HttpServer http;
    Scrape scrape;
    transports::rtp::RtpPorts rtp_ports;
    pipeline::OutgoingCalls outgoing;
    api::ControlApi api;
    std::vector<std::unique_ptr<transports::Listener>> listeners;
    // State.
    std::atomic<bool> running{false};  ///< everything is bound; read by /health/ready
    bool shards_running{false};
    bool http_running{false};
    std::vector<transports::Listener*> listening;  ///< those that were started
};

Server::Server(const config::Loaded& loaded) : parts_{std::make_unique<Parts>(loaded)} {
    Parts& parts = *parts_;
    parts.add_health();
    parts.api.register_on(parts.http);
    const transports::TransportFactory factory{
        parts.config.rtp, parts.config.opensips, parts.config.sip, parts.config.twilio};
    const transports::ListenerContext context{
        parts.shards, parts.manager, parts.http, parts.rtp_ports, parts.log};
    parts.listeners = factory.make(first_provider(parts.config.telephony), context);
    if (const auto& fallback = parts.config.telephony.fallback_provider; !fallback.empty()) {
        for (auto& listener : factory.make(fallback, context)) {
            // OpenSIPS's calls may come by SIP too: one listener is enough.
            const bool there = std::ranges::any_of(parts.listeners, [&listener](const auto& other) {
                return other->name() == listener->name();
            });
            if (!there) parts.listeners.push_back(std::move(listener));
        }
    }
}

Server::~Server() { stop(); }

void Server::start() {
    Parts& parts = *parts_;
    if (parts.tracing) parts.tracing->exporter.start();
    parts.shards.start();
    parts.shards_running = true;
    parts.pulse.start();
    parts.health.start();
    try {
        parts.start_listeners();
        parts.http.start();
        parts.http_running = true;
    } catch (...) {
        stop();
        throw;
    }
    parts.running = true;
    parts.health.wait_for_first_answers(usual_answer);
    parts.shards[0].post([&parts] {
        parts.chores.spawn(parts.manager.make_phrases(parts.shards[0]));
        parts.chores.spawn(parts.prepare_model());
    });
}

std::string Server::banner() const {
    const Parts& parts = *parts_;
    const config::Config& c = parts.config;
    const auto used = [&parts](std::string_view name) {
        return std::ranges::any_of(parts.listening, [name](const transports::Listener* listener) {
            return listener->name() == name;
        });
    };
    const bool opensips = used("opensips");
    const bool sip = used("sip");
    const bool twilio = used("twilio");
    const std::string base = fmt::format("http://{}:{}", reachable(c.api.host), parts.http.port());

    std::string text = fmt::format("oavc {}, configuration {}\n", OAVC_VERSION, parts.file);
    const auto line = [&](std::string_view name, std::string_view what) {
        text += fmt::format("  {:<10}{}\n", name, what);
    };
    if (opensips) {
        line(
            "opensips",
            fmt::format(
                "events on udp {}:{}, commands to {}:{}",
                c.opensips.event_ip,
                c.opensips.event_port,
                c.opensips.mi_ip,
                c.opensips.mi_port
            )
        );
    }
    if (sip) {
        std::string what =
            fmt::format("udp{} {}:{}", c.sip.tcp ? " and tcp" : "", c.sip.bind_ip, c.sip.port);
        what += fmt::format(", for {}", fmt::join(c.sip.allowed_peers, ", "));
        if (!c.sip.registrar.empty()) what += ", registered at " + c.sip.registrar;
        if (!c.sip.proxy.empty()) what += ", calls out through " + c.sip.proxy;
        line("sip", what);
    }
    if (opensips || sip) {
        line(
            "rtp", fmt::format("{} ports {} to {}", c.rtp.bind_ip, c.rtp.port_start, c.rtp.port_end)
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
    if (!c.pipeline.outgoing.dial_allowed.empty()) {
        line(
            "outgoing",
            parts.outgoing.has_carrier() ? "oavc dial NUMBER, or POST /api/v1/calls"
                                         : "NO CARRIER CAN PLACE CALLS: see oavc check-config"
        );
    }
    line("http", fmt::format("{}, with /health/ready, /metrics and /api/v1/calls", base));
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
    if (opensips || twilio) {
        const auto* via = opensips ? "opensips" : "twilio";
        line("try", fmt::format("oavc call -c {} --via {}", parts.file, via));
    }
    return text;
}

std::string Server::service_report() const {
    Parts& parts = *parts_;
    parts.health.wait_for_first_answers(slow_answer);
    std::string text;
    bool all = true;
    for (const auto& provider : parts.health.snapshot()) {
        text += "  " + services::describe(provider) + "\n";
        all = all && provider.known && provider.usable;
    }
    if (!all) text += fmt::format("  see       oavc doctor -c {}\n", parts.file);
    return text;
}

void Server::begin_drain() {
    parts_->manager.begin_drain();
    parts_->outgoing.begin_drain();
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
    parts.outgoing.begin_drain();
    while (!parts.outgoing.idle())  // a carrier is being asked: seconds, at most
        std::this_thread::sleep_for(10ms);
    while (!parts.listening.empty()) {
        parts.listening.back()->stop();
        parts.listening.pop_back();
    }
    if (parts.http_running) parts.http.stop();
    parts.http_running = false;
    parts.health.stop();
    parts.shards[0].post([&parts] { parts.chores.cancel(); });
    async::run_blocking(parts.shards[0], parts.chores.join());
    parts.pulse.stop();
    parts.workers.stop();
    parts.shards.drain_and_join();
    parts.shards_running = false;
    if (parts.tracing) parts.tracing->exporter.stop();
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

/// Every call has several sockets; the usual soft limit of 1024 files is for programs that
/// select().
void allow_many_files() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

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
    log::set_google_project(loaded.config.tracing.google_project);
    const log::Logger log;
    Signals signals;
    allow_many_files();
    std::optional<Server> running;
    try {
        running.emplace(loaded);
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
