#include "pipeline/manager.hpp"

#include "async/signal.hpp"
#include "pipeline/session.hpp"
#include "transports/errors.hpp"

#include <boost/asio/error.hpp>

#include <algorithm>
#include <exception>
#include <optional>
#include <regex>
#include <string>
#include <utility>

namespace oavc::pipeline {

namespace {

/// Dialled users are short; a longer one is matched by its beginning, which bounds std::regex.
constexpr std::size_t longest_matched = 128;

}  // namespace

/// The running sessions of one shard. Touched on that shard only.
struct PipelineManager::ShardSessions {
    std::vector<Session*> running;
};

/// What calls are made from. Nothing but the phrases changes after it was made.
struct PipelineManager::Plan {
    Plan(Config c, Services s, std::shared_ptr<const void> o)
        : config{std::move(c)}, services{s}, owner{std::move(o)} {
        for (const AgentConfig& agent : config.agents) {
            if (agent.match.empty()) continue;
            patterns.emplace_back(std::regex{agent.match, std::regex::ECMAScript}, &agent);
        }
    }
    Plan(const Plan&) = delete;
    Plan& operator=(const Plan&) = delete;

    const AgentConfig& agent_for(const transports::CallInfo& call) const;

    const Config config;
    const Services services;
    const std::shared_ptr<const void> owner;  ///< of the services
    PhraseCache phrases;
    std::vector<std::pair<std::regex, const AgentConfig*>> patterns;  ///< in order
};

PipelineManager::PipelineManager(
    Config config,
    Services services,
    async::ShardPool& shards,
    std::vector<CallObserver*> observers,
    log::Logger log,
    const async::Pulse* pulse,
    const Telemetry* telemetry
)
    : shards_{shards},
      observers_{std::move(observers)},
      log_{std::move(log)},
      pulse_{pulse},
      telemetry_{telemetry},
      admission_{config.limits},
      plan_{std::make_shared<Plan>(std::move(config), services, nullptr)} {
    for (std::size_t i = 0; i < shards_.size(); ++i) {
        sessions_.push_back(std::make_unique<ShardSessions>());
    }
}

PipelineManager::~PipelineManager() = default;

Clock::duration PipelineManager::lag() const noexcept {
    return pulse_ == nullptr ? Clock::duration{0} : pulse_->worst_lag(Clock::now());
}

Result<transports::AdmissionSlot, transports::Refusal> PipelineManager::admit(
    const transports::CallOffer& offer
) noexcept {
    return admission_.ask(offer, lag());
}

std::shared_ptr<PipelineManager::Plan> PipelineManager::plan() const {
    const std::lock_guard lock{plan_mutex_};
    return plan_;
}

void PipelineManager::adopt(Config config, Services services, std::shared_ptr<const void> owner) {
    const LimitsConfig limits = config.limits;
    auto fresh = std::make_shared<Plan>(std::move(config), services, std::move(owner));
    {
        const std::lock_guard lock{plan_mutex_};
        plan_.swap(fresh);
    }
    admission_.set_limits(limits);
}

const AgentConfig& PipelineManager::Plan::agent_for(const transports::CallInfo& call) const {
    for (const AgentConfig& agent : config.agents) {
        if (!call.agent.empty() && agent.name == call.agent) return agent;
    }
    const auto dialled = call.to.substr(0, longest_matched);
    for (const auto& [pattern, agent] : patterns) {
        if (std::regex_search(dialled, pattern)) return *agent;
    }
    for (const AgentConfig& agent : config.agents) {
        if (agent.match.empty()) return agent;
    }
    return config.agents.back();
}

asio::awaitable<void> PipelineManager::run_call(
    async::Shard& shard,
    std::unique_ptr<transports::Transport> transport,
    transports::AdmissionSlot slot
) {
    const auto made_from = plan();
    const AgentConfig& agent = made_from->agent_for(transport->info());
    SessionContext context{
        made_from->config,
        agent,
        made_from->services,
        made_from->phrases,
        observers_,
        log_,
        [] { return Clock::now(); },
        telemetry_};
    Session session{shard, std::move(transport), std::move(context)};
    auto& running = sessions_[shard.index()]->running;
    running.push_back(&session);
    const std::string names[]{session.id().value, session.info().native_id};
    {
        const std::lock_guard lock{where_mutex_};
        for (const auto& name : names)
            where_[name] = shard.index();
    }
    try {
        co_await session.run();
    } catch (const std::exception& error) {
        // One call dies, not the process; the session's destructor asserts that nothing is left.
        log_.error("a call failed", log::kv("error", std::string_view{error.what()}));
    }
    {
        const std::lock_guard lock{where_mutex_};
        for (const auto& name : names)
            where_.erase(name);
    }
    std::erase(running, &session);
}

namespace {

/// An outcome on its way from a call's shard to whoever asked. Destroyed uncalled, it is `gone`.
class Outcome {
public:
    explicit Outcome(async::Shard& asker) : asker_{asker}, changed_{asker.executor()} {}

    asio::awaitable<Result<void>> wait() {
        while (!outcome_) {
            if (!co_await changed_.wait()) co_return error_code{asio::error::operation_aborted};
        }
        if (*outcome_) co_return *outcome_;
        co_return Result<void>{};
    }

    /// What the call is given: tells `outcome` once, on the asker's shard.
    static std::function<void(error_code)> sender(std::shared_ptr<Outcome> outcome) {
        struct Promise {
            std::shared_ptr<Outcome> outcome;
            ~Promise() { tell(transports::CallControlErrc::gone); }
            void tell(error_code value) {
                if (!outcome) return;
                auto& asker = outcome->asker_;
                asker.post([outcome = std::move(outcome), value] {
                    outcome->outcome_ = value;
                    outcome->changed_.notify();
                });
            }
        };
        auto promise = std::make_shared<Promise>();
        promise->outcome = std::move(outcome);
        return [promise = std::move(promise)](error_code value) { promise->tell(value); };
    }

private:
    async::Shard& asker_;
    async::Signal changed_;
    std::optional<error_code> outcome_;
};

}  // namespace

asio::awaitable<Result<void>> PipelineManager::command(
    async::Shard& here, std::string call, CallCommand command
) {
    std::size_t index = 0;
    {
        const std::lock_guard lock{where_mutex_};
        const auto found = where_.find(call);
        if (found == where_.end()) co_return transports::CallControlErrc::gone;
        index = found->second;
    }
    const auto outcome = std::make_shared<Outcome>(here);
    shards_[index].post([sessions = sessions_[index].get(),
                         call = std::move(call),
                         command = std::move(command),
                         done = Outcome::sender(outcome)]() mutable {
        for (Session* session : sessions->running) {
            if (session->id().value != call && session->info().native_id != call) continue;
            return session->obey(std::move(command), std::move(done));
        }
    });
    const auto done = co_await outcome->wait();
    co_return done;
}

asio::awaitable<void> PipelineManager::make_phrases(async::Shard& shard) {
    const auto made = plan();
    co_await pipeline::make_phrases(
        shard,
        made->services.tts,
        made->services.emergency_tts,
        made->config.agents,
        made->phrases,
        log_
    );
}

void PipelineManager::say_goodbye() {
    for (std::size_t i = 0; i < shards_.size(); ++i) {
        shards_[i].post([sessions = sessions_[i].get()] {
            for (Session* session : sessions->running)
                session->say_goodbye();
        });
    }
}

}  // namespace oavc::pipeline
