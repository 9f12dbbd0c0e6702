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

/// The agents' compiled patterns, in order.
struct PipelineManager::Agents {
    std::vector<std::pair<std::regex, const AgentConfig*>> patterns;
};

PipelineManager::PipelineManager(
    Config config,
    Services services,
    async::ShardPool& shards,
    std::vector<CallObserver*> observers,
    log::Logger log
)
    : config_{std::move(config)},
      services_{services},
      shards_{shards},
      observers_{std::move(observers)},
      log_{std::move(log)},
      agents_{std::make_unique<Agents>()} {
    for (std::size_t i = 0; i < shards_.size(); ++i) {
        sessions_.push_back(std::make_unique<ShardSessions>());
    }
    for (const AgentConfig& agent : config_.agents) {
        if (agent.match.empty()) continue;
        agents_->patterns.emplace_back(std::regex{agent.match, std::regex::ECMAScript}, &agent);
    }
}

PipelineManager::~PipelineManager() = default;

transports::AdmissionSlot PipelineManager::admit() noexcept {
    if (!draining()) {
        auto active = active_.load(std::memory_order_relaxed);
        while (active < config_.limits.max_calls) {
            if (active_.compare_exchange_weak(active, active + 1, std::memory_order_relaxed)) {
                total_.fetch_add(1, std::memory_order_relaxed);
                return transports::AdmissionSlot{*this};
            }
        }
    }
    refused_.fetch_add(1, std::memory_order_relaxed);
    return {};
}

void PipelineManager::release_slot() noexcept { active_.fetch_sub(1, std::memory_order_relaxed); }

const AgentConfig& PipelineManager::agent_for(const transports::CallInfo& call) const {
    for (const AgentConfig& agent : config_.agents) {
        if (!call.agent.empty() && agent.name == call.agent) return agent;
    }
    const auto dialled = call.to.substr(0, longest_matched);
    for (const auto& [pattern, agent] : agents_->patterns) {
        if (std::regex_search(dialled, pattern)) return *agent;
    }
    for (const AgentConfig& agent : config_.agents) {
        if (agent.match.empty()) return agent;
    }
    return config_.agents.back();
}

asio::awaitable<void> PipelineManager::run_call(
    async::Shard& shard,
    std::unique_ptr<transports::Transport> transport,
    transports::AdmissionSlot slot
) {
    const AgentConfig& agent = agent_for(transport->info());
    SessionContext context{
        config_, agent, services_, phrases_, observers_, log_, [] { return Clock::now(); }};
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
    co_await pipeline::make_phrases(
        shard, services_.tts, services_.emergency_tts, config_.agents, phrases_, log_
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
