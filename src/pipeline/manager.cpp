#include "pipeline/manager.hpp"

#include "pipeline/session.hpp"

#include <algorithm>
#include <exception>
#include <regex>
#include <string>

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
    try {
        co_await session.run();
    } catch (const std::exception& error) {
        // One call dies, not the process; the session's destructor asserts that nothing is left.
        log_.error("a call failed", log::kv("error", std::string_view{error.what()}));
    }
    std::erase(running, &session);
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
