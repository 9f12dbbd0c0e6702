#include "app/server.hpp"

#include "api/call_audit.hpp"
#include "api/call_log.hpp"
#include "api/control_api.hpp"
#include "api/event_feed.hpp"
#include "app/banner.hpp"
#include "app/certificates.hpp"
#include "app/client_identities.hpp"
#include "app/engines.hpp"
#include "app/health.hpp"
#include "app/http_options.hpp"
#include "app/reload.hpp"
#include "app/resolve.hpp"
#include "app/scrape.hpp"
#include "app/tracing.hpp"
#include "async/deadline.hpp"
#include "async/pulse.hpp"
#include "async/run_blocking.hpp"
#include "async/shard_pool.hpp"
#include "async/task_group.hpp"
#include "async/worker_pool.hpp"
#include "base/random.hpp"
#include "net/http_server.hpp"
#include "observability/audit.hpp"
#include "observability/log.hpp"
#include "observability/log_fields.hpp"
#include "observability/metrics.hpp"
#include "pipeline/call_telemetry.hpp"
#include "pipeline/manager.hpp"
#include "pipeline/outgoing_calls.hpp"
#include "pipeline/recording.hpp"
#include "transports/factory.hpp"

#include <boost/asio/ip/address.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

namespace oavc::app {

namespace {

std::size_t or_cores(std::size_t wanted) noexcept {
    if (wanted != 0) return wanted;
    const unsigned cores = std::thread::hardware_concurrency();
    return cores == 0 ? 1 : cores;
}

/// Calls that have ended have this long to get their recordings to the disk.
constexpr milliseconds recording_time = 10s;

/// Services that answer their first probe within this are known when we say that we are ready; the
/// start waits no longer.
constexpr Clock::duration usual_answer = 100ms;
/// Engines in this process load what they need meanwhile: some 20 ms, a large model seconds.
constexpr Clock::duration own_engines = 10s;
/// The report at start waits so long for the others.
constexpr Clock::duration slow_answer = 1s;

/// Metrics of carriers are at most so old.
constexpr Clock::duration carriers_told = 1s;

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

std::unique_ptr<pipeline::Recordings> make_recordings(
    const pipeline::Config& config,
    async::WorkerPool& workers,
    audit::Log& audit,
    const log::Logger& log,
    metrics::Registry& metrics
) {
    const bool wanted = std::ranges::any_of(config.agents, &pipeline::AgentConfig::record);
    if (!wanted) return nullptr;
    return std::make_unique<pipeline::Recordings>(config.recording, workers, audit, log, &metrics);
}

std::chrono::sys_seconds now_in_seconds() {
    return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
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
        : started{loaded},
          current{loaded},
          config{resolved(loaded.config)},
          file_times{engine_file_times(loaded)},
          certificate_times{certificate_file_times(loaded)},
          logging{loaded.config.logging},
          audit{config.audit, log, &metrics},
          shards{or_cores(config.pipeline.limits.shards)},
          pulse{shards},
          workers{or_cores(config.pipeline.limits.workers), config.pipeline.limits.worker_queue},
          recordings{make_recordings(config.pipeline, workers, audit, log, metrics)},
          engines{make_engines(config)},
          manager{
              config.pipeline,
              services_of(*engines.current()),
              shards,
              {&calls, &feed, &call_audit},
              log,
              &pulse,
              &telemetry},
          http{shards, http_options(config.api)},
          rtp_ports{rtp_address(config), config.rtp.port_start, config.rtp.port_end},
          outgoing{config.pipeline.outgoing, agent_names(config.pipeline), log},
          api{config.api, calls, reach()},
          scrape{
              metrics,
              {manager,
               workers,
               engines,
               http,
               api.access(),
               feed,
               pulse,
               tracing ? &tracing->exporter : nullptr}} {}

    std::shared_ptr<Engines> make_engines(const config::Config& from) {
        return std::make_shared<Engines>(from, workers, metrics, shards[0], log);
    }

    pipeline::Services services_of(const Engines& made) const noexcept {
        auto services = made.services();
        services.recordings = recordings.get();
        return services;
    }

    /// What carriers count they count on shard 0.
    asio::awaitable<void> publish_carriers(std::vector<const transports::Listener*> carriers) {
        for (;;) {
            for (const auto* const carrier : carriers)
                scrape.tell_carrier(carrier->name(), carrier->counts());
            const bool waited = co_await async::sleep_for(carriers_told);
            if (!waited) co_return;
        }
    }

    asio::awaitable<void> delete_old_recordings() {
        for (;;) {
            recordings->delete_old();
            const bool waited = co_await async::sleep_for(1h);
            if (!waited) co_return;
        }
    }

    api::Reach reach() {
        api::Reach made;
        made.commands = &manager;
        made.outgoing = &outgoing;
        made.feed = &feed;
        made.audit = &audit;
        made.version = OAVC_VERSION;
        made.instance = instance;
        made.drain = [this](std::optional<std::chrono::seconds> deadline) {
            begin_drain();
            if (on_drain) on_drain(deadline);
            return manager.active_calls();
        };
        made.set_level = [this](log::Level level) {
            const std::lock_guard lock{logging_mutex};
            logging.level = level;
            log::configure(logging);
            log.info("log level changed", log::kv("by", "api"));
        };
        return made;
    }

    void begin_drain() {
        manager.begin_drain();
        outgoing.begin_drain();
        for (auto& listener : listeners)
            listener->stop_accepting();
    }

    /// Their files may have been replaced under the same names.
    bool reload_certificates() {
        bool all = true;
        const auto reload = [&](const auto& whose) {
            try {
                whose();
            } catch (const std::runtime_error& error) {
                log.error(
                    "certificates not reloaded: the old ones go on",
                    log::kv("error", std::string_view{error.what()})
                );
                all = false;
            }
        };
        reload([this] { http.reload_certificates(); });
        if (tracing) {
            reload([this] { tracing->exporter.reload_certificates(); });
        }
        for (auto* const listener : listening) {
            reload([listener] { listener->reload_certificates(); });
        }
        return all;
    }

    /// Once they have been read.
    void watch_certificates() {
        certificates.read(shown_certificates(config, current.config), now_in_seconds());
    }

    /// What calls find quicker when it was made before them: fixed sentences, a loaded model. What
    /// was being made for an older configuration is given up.
    void begin_chores() {
        end_chores();
        chores =
            std::make_unique<async::TaskGroup>(shards[0].executor(), [this](std::exception_ptr) {
                log.error("preparing failed; calls go on without");
            });
        shards[0].post([this,
                        carriers = std::vector<const transports::Listener*>{
                            listening.begin(), listening.end()}] {
            chores->spawn(publish_carriers(carriers));
            chores->spawn(manager.make_phrases(shards[0]));
            chores->spawn(prepare_model(engines.current()));
            if (recordings) chores->spawn(delete_old_recordings());
        });
    }
    void end_chores() {
        if (!chores) return;
        shards[0].post([this] { chores->cancel(); });
        async::run_blocking(shards[0], chores->join());
        chores.reset();
    }

    Liveness liveness() const {
        const TimePoint now = Clock::now();
        return {instance, shards.size(), pulse.worst_lag(now), pulse.stuck(now)};
    }

    Readiness readiness() const {
        const auto current_engines = engines.current();
        const auto& health = current_engines->health;
        return {
            running.load(),
            manager.closed(),
            health.usable(),
            manager.admission(),
            health.snapshot()};
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
    asio::awaitable<void> prepare_model(std::shared_ptr<Engines> used) {
        const auto prepared = co_await used->llm->prepare(shards[0]);
        if (!prepared) log.warn("the model is not ready", log::kv("error", prepared.error()));
    }

    net::HttpResponse metrics_text() {
        net::HttpResponse response;
        response.content_type = metrics::Registry::content_type;
        response.body = scrape.text();
        return response;
    }

    void add_probes() {
        const auto handle = [this](const char* path, auto make) {
            http.handle(
                "GET",
                path,
                [make](async::Shard&, net::HttpRequest) -> asio::awaitable<net::HttpResponse> {
                    co_return make();
                }
            );
        };
        handle("/health/live", [this] { return answer(liveness()); });
        handle("/health/ready", [this] { return answer(readiness(), Clock::now()); });
        handle("/metrics", [this] { return metrics_text(); });
    }

    const config::Loaded started;  ///< what sockets and threads were made from
    config::Loaded current;        ///< what holds now; main's
    /// Of this very process: by it `oavc doctor` knows that a public URL leads here.
    const std::string instance{random_hex(8)};
    const config::Config config;  ///< of `started`, with addresses for names
    FileTimes file_times;         ///< of what the engines read; main's
    FileTimes certificate_times;  ///< as they were read last; main's
    std::mutex logging_mutex;
    log::Settings logging;
    log::Logger log;
    api::CallLog calls;
    api::EventFeed feed;
    metrics::Registry metrics;
    CertificateWatch certificates{metrics, log};  ///< main's
    audit::Log audit;
    api::CallAudit call_audit{audit};
    async::ShardPool shards;
    async::Pulse pulse;
    async::WorkerPool workers;
    std::unique_ptr<Tracing> tracing{make_tracing(config.tracing, instance, log)};  ///< may be null
    pipeline::Telemetry telemetry{metrics, tracing ? &tracing->tracer : nullptr};
    std::unique_ptr<pipeline::Recordings> recordings;  ///< null: no agent recorded at start
    EngineRoom engines;
    pipeline::PipelineManager manager;
    std::unique_ptr<async::TaskGroup> chores;  ///< on shard 0; null: none
    net::HttpServer http;
    transports::rtp::RtpPorts rtp_ports;
    pipeline::OutgoingCalls outgoing;
    api::ControlApi api;
    Scrape scrape;
    std::vector<std::unique_ptr<transports::Listener>> listeners;
    // State.
    std::function<void(std::optional<std::chrono::seconds>)> on_drain;  ///< set before start
    std::atomic<bool> running{false};  ///< everything is bound; read by /health/ready
    bool shards_running{false};
    bool http_running{false};
    std::vector<transports::Listener*> listening;  ///< those that were started
};

Server::Server(const config::Loaded& loaded) : parts_{std::make_unique<Parts>(loaded)} {
    Parts& parts = *parts_;
    parts.add_probes();
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
    load_client_identities(parts.shards, parts.config, nullptr, parts.log);
    parts.watch_certificates();
    parts.audit.start();
    if (parts.tracing) parts.tracing->exporter.start();
    parts.audit.record(
        {.what = "server_started",
         .who = "system",
         .more =
             {{"version", OAVC_VERSION},
              {"instance", parts.instance},
              {"file", parts.started.file}}}
    );
    parts.shards.start();
    parts.shards_running = true;
    parts.pulse.start();
    const auto engines = parts.engines.current();
    engines->health.start();
    try {
        parts.start_listeners();
        parts.http.start();
        parts.http_running = true;
    } catch (...) {
        stop();
        throw;
    }
    parts.running = true;
    engines->health.wait_for_own_engines(own_engines);
    engines->health.wait_for_first_answers(usual_answer);
    parts.begin_chores();
}

std::string Server::banner() const {
    const Parts& parts = *parts_;
    const auto engines = parts.engines.current();
    std::string vad{engines->vad->name()};
    if (!engines->vad->note().empty()) vad.append(": ").append(engines->vad->note());
    std::vector<std::string_view> carriers;
    for (const transports::Listener* const listener : parts.listening)
        carriers.push_back(listener->name());
    return app::banner(
        {.config = parts.config,
         .file = parts.started.file,
         .carriers = std::move(carriers),
         .can_dial = parts.outgoing.has_carrier(),
         .http_port = parts.http.port(),
         .https_port = parts.http.tls_port(),
         .stt = engines->stt->name(),
         .llm = engines->llm->name(),
         .tts = engines->tts->name(),
         .vad = std::move(vad),
         .shards = parts.shards.size(),
         .workers = or_cores(parts.config.pipeline.limits.workers)}
    );
}

std::string Server::service_report() const {
    const Parts& parts = *parts_;
    const auto engines = parts.engines.current();
    engines->health.wait_for_first_answers(slow_answer);
    std::string text;
    bool all = true;
    for (const auto& provider : engines->health.snapshot()) {
        text += "  " + services::describe(provider) + "\n";
        all = all && provider.known && provider.usable;
    }
    if (!all) text += fmt::format("  see       oavc doctor -c {}\n", parts.started.file);
    return text;
}

void Server::on_drain(std::function<void(std::optional<std::chrono::seconds>)> asked) {
    parts_->on_drain = std::move(asked);
}

void Server::reload(const config::Loaded& fresh) {
    Parts& parts = *parts_;
    const auto plan = plan_reload(parts.started, parts.current, fresh);
    auto times = engine_file_times(fresh);
    auto certificates = certificate_file_times(fresh);
    const bool clients =
        load_client_identities(parts.shards, fresh.config, &parts.current.config, parts.log);
    const bool new_engines = plan.engines || times != parts.file_times;
    auto engines = parts.engines.current();
    if (new_engines) {
        engines = parts.make_engines(fresh.config);
        engines->health.start();
        engines->health.wait_for_own_engines(own_engines);
    }
    if (new_engines || plan.calls) {
        parts.manager.adopt(fresh.config.pipeline, parts.services_of(*engines), engines);
        if (new_engines) parts.engines.replace(std::move(engines));
        parts.begin_chores();
    }
    const bool servers = parts.reload_certificates();
    if (clients && servers) parts.certificate_times = std::move(certificates);
    parts.api.set_tokens(fresh.config.api);
    parts.audit.record({.what = "config_reloaded", .who = "system"});
    {
        // Also when nothing is different: whoever rotates log files asks for a new one this way.
        const std::lock_guard lock{parts.logging_mutex};
        parts.logging = fresh.config.logging;
        log::configure(parts.logging);
    }
    parts.file_times = std::move(times);
    parts.current = fresh;
    if (clients && servers) parts.watch_certificates();
    parts.log.info(
        "configuration reloaded: it holds for new calls",
        log::kv("file", fresh.file),
        log::kv("changed", fmt::format("{}", fmt::join(plan.changed, ", "))),
        log::kv("new_engines", new_engines)
    );
    if (plan.restart.empty()) return;
    parts.log.warn(
        "these changes need a restart",
        log::kv("keys", fmt::format("{}", fmt::join(plan.restart, ", ")))
    );
}

void Server::refresh_certificates() {
    Parts& parts = *parts_;
    parts.certificates.remind(now_in_seconds());
    auto times = certificate_file_times(parts.current);
    if (times == parts.certificate_times) return;
    const auto& config = parts.current.config;
    const bool clients = load_client_identities(parts.shards, config, &config, parts.log);
    const bool servers = parts.reload_certificates();
    if (!clients || !servers) return;
    parts.certificate_times = std::move(times);
    parts.watch_certificates();
    parts.log.info("certificates were renewed: they hold for connections to come");
}

void Server::sweep() { parts_->engines.sweep(); }

std::chrono::seconds Server::drain_deadline() const noexcept {
    return parts_->current.config.pipeline.limits.drain_deadline;
}

void Server::begin_drain() { parts_->begin_drain(); }

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
    parts.engines.stop_monitors();
    parts.end_chores();
    parts.pulse.stop();
    if (parts.recordings && !parts.recordings->wait_until_written(recording_time)) {
        parts.log.error("recordings have no end: the disk is too slow");
    }
    parts.workers.stop();
    parts.audit.record({.what = "server_stopped", .who = "system"});
    parts.shards.drain_and_join();
    parts.shards_running = false;
    if (parts.tracing) parts.tracing->exporter.stop();
}

}  // namespace oavc::app
