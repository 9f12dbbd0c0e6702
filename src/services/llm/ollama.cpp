#include "services/llm/ollama.hpp"

#include "net/errors.hpp"
#include "net/http_client.hpp"
#include "net/http_stream.hpp"
#include "observability/log.hpp"
#include "services/detail/stream_error.hpp"
#include "services/detail/trace_header.hpp"
#include "services/errors.hpp"
#include "services/llm/detail/ollama_protocol.hpp"
#include "services/llm/ollama_models.hpp"

#include <utility>

namespace oavc::services {

namespace {

using log::kv;

class OllamaSession final : public LlmSession {
public:
    OllamaSession(async::Shard& shard, std::shared_ptr<OllamaLlm::Shared> shared, log::Logger log)
        : shared_{std::move(shared)},
          log_{std::move(log)},
          connections_{std::make_shared<net::HttpConnections>(
              shard,
              net::HttpConnections::Options{
                  .url = shared_->config.endpoint.url,
                  .tls = shared_->config.endpoint.tls,
                  .headers = {},
                  .connect_timeout = shared_->config.endpoint.connect_timeout}
          )} {}

    std::unique_ptr<LlmReply> ask(LlmRequest question) override {
        const auto& config = shared_->config;
        const bool chat = config.api == "chat";
        const bool offer_tools = chat && !question.tools.empty() && !shared_->without_tools;
        net::HttpConnections::Request request;
        request.target = chat ? "/api/chat" : "/api/generate";
        request.headers = with_trace({}, std::move(question.traceparent));
        request.body = ollama_request(config, std::move(question), offer_tools);
        auto reader = std::make_unique<OllamaReader>(
            !chat,
            [shared = shared_, log = log_, offer_tools](int status, std::string_view text) {
                if (const auto not_logged = shared->complaints.allow(Clock::now())) {
                    log.warn(
                        "Ollama failed to answer",
                        kv("model", shared->config.model),
                        kv("status", status),
                        kv("reason", text),
                        kv("not_logged_before", *not_logged)
                    );
                }
                if (offer_tools && text.find("does not support tools") != std::string_view::npos) {
                    shared->without_tools = true;
                }
            }
        );
        return streamed_reply(connections_, std::move(request), std::move(reader));
    }

private:
    const std::shared_ptr<OllamaLlm::Shared> shared_;
    const log::Logger log_;
    /// Shared with replies: one may be read while its session goes.
    const std::shared_ptr<net::HttpConnections> connections_;
};

/// Logs a pull at every tenth of the way.
class PullLog {
public:
    explicit PullLog(std::string model) : model_{std::move(model)} {}
    void operator()(const OllamaProgress& progress) {
        if (progress.total == 0) return;
        const auto tenth = progress.completed * 10 / progress.total;
        if (tenth == last_) return;
        last_ = tenth;
        log::Logger{}.info(
            "pulling model",
            kv("model", model_),
            kv("percent", tenth * 10),
            kv("megabytes", progress.total / 1'000'000)
        );
    }

private:
    std::string model_;
    std::uint64_t last_{0};
};

error_code report(const OllamaFailure& failure, const OllamaConfig& config) {
    log::Logger{}.error(
        "Ollama is not ready",
        kv("model", config.model),
        kv("url", config.endpoint.url),
        kv("reason", failure.what)
    );
    return failure.error;
}

}  // namespace

OllamaLlm::OllamaLlm(OllamaConfig config)
    : capabilities_{.tools = config.api == "chat", .cancel = true},
      shared_{std::make_shared<Shared>()} {
    shared_->config = std::move(config);
}

asio::awaitable<Result<std::unique_ptr<LlmSession>>> OllamaLlm::open(
    async::Shard& shard, LlmOptions options
) {
    std::unique_ptr<LlmSession> session =
        std::make_unique<OllamaSession>(shard, shared_, std::move(options.log));
    co_return session;
}

asio::awaitable<Result<void>> OllamaLlm::probe(async::Shard& shard) {
    const auto endpoint = shared_->config.endpoint;
    net::HttpClientRequest request;
    request.url = endpoint.url.substr(0, endpoint.url.find_last_not_of('/') + 1) + "/api/version";
    request.tls = endpoint.tls;
    const auto answer =
        co_await net::http_request(shard, std::move(request), endpoint.connect_timeout);
    if (answer.has_error()) co_return service_error(answer.error());
    if (answer->status == 200) co_return Result<void>{};
    co_return service_error({answer->status, net::http_status_category()});
}

asio::awaitable<Result<void>> OllamaLlm::prepare(async::Shard& shard) {
    const auto shared = shared_;
    const auto& config = shared->config;
    OllamaModels server{shard, config.endpoint};
    auto info = co_await server.show(config.model);
    if (info.has_error() && info.error().status == 404) {
        if (!config.pull_missing) {
            OllamaFailure missing = info.error();
            missing.what += "; fetch it with `oavc models ollama pull " + config.model +
                            "`, or set pull_missing = true";
            co_return report(missing, config);
        }
        log::Logger{}.info("pulling model", kv("model", config.model), kv("percent", 0));
        const auto pulled = co_await server.pull(config.model, PullLog{config.model});
        if (pulled.has_error()) co_return report(pulled.error(), config);
        log::Logger{}.info("model pulled", kv("model", config.model));
        info = co_await server.show(config.model);
    }
    if (info.has_error()) co_return report(info.error(), config);
    // Servers of before 2025 do not tell what a model can do.
    if (capabilities_.tools && !info->capabilities.empty() && !info->can("tools")) {
        shared->without_tools = true;
        log::Logger{}.warn(
            "the model knows no tools: it can neither hang up nor transfer",
            kv("model", config.model)
        );
    }
    if (!config.warm_up) co_return Result<void>{};
    const auto begun = Clock::now();
    const auto loaded = co_await server.load(ollama_warm_up(config));
    if (loaded.has_error()) co_return report(loaded.error(), config);
    log::Logger{}.info("model loaded", kv("model", config.model), kv("ms", Clock::now() - begun));
    co_return Result<void>{};
}

}  // namespace oavc::services
