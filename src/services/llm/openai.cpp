#include "services/llm/openai.hpp"

#include "net/errors.hpp"
#include "net/http_client.hpp"
#include "net/http_stream.hpp"
#include "observability/log.hpp"
#include "services/detail/complaints.hpp"
#include "services/detail/stream_error.hpp"
#include "services/detail/trace_header.hpp"
#include "services/errors.hpp"
#include "services/llm/detail/openai_protocol.hpp"

#include <utility>

namespace oavc::services {

namespace {

using log::kv;

/// Servers of one's own often want no key.
net::HttpHeaders authorization(const OpenAiConfig& config) {
    net::HttpHeaders headers;
    if (!config.api_key.empty()) headers.emplace("Authorization", "Bearer " + config.api_key);
    return headers;
}

class OpenAiSession final : public LlmSession {
public:
    OpenAiSession(
        async::Shard& shard,
        std::shared_ptr<const OpenAiConfig> config,
        std::shared_ptr<Complaints> complaints,
        log::Logger log
    )
        : config_{std::move(config)},
          complaints_{std::move(complaints)},
          log_{std::move(log)},
          connections_{std::make_shared<net::HttpConnections>(
              shard,
              net::HttpConnections::Options{
                  .url = config_->endpoint.url,
                  .tls = config_->endpoint.tls,
                  .headers = authorization(*config_),
                  .connect_timeout = config_->endpoint.connect_timeout}
          )} {}

    std::unique_ptr<LlmReply> ask(LlmRequest question) override {
        net::HttpConnections::Request request;
        request.target = "/chat/completions";
        request.headers = with_trace({}, std::move(question.traceparent));
        request.body = openai_request(*config_, std::move(question));
        auto complain = [config = config_,
                         complaints = complaints_,
                         log = log_](int status, std::string_view text) {
            const auto not_logged = complaints->allow(Clock::now());
            if (!not_logged) return;
            log.warn(
                "the model failed to answer",
                kv("url", config->endpoint.url),
                kv("model", config->model),
                kv("status", status),
                kv("reason", text),
                kv("not_logged_before", *not_logged)
            );
        };
        auto reader = std::make_unique<OpenAiReader>(std::move(complain));
        return streamed_reply(connections_, std::move(request), std::move(reader));
    }

private:
    const std::shared_ptr<const OpenAiConfig> config_;
    const std::shared_ptr<Complaints> complaints_;
    const log::Logger log_;
    /// Shared with replies: one may be read while its session goes.
    const std::shared_ptr<net::HttpConnections> connections_;
};

}  // namespace

OpenAiLlm::OpenAiLlm(OpenAiConfig config)
    : config_{std::make_shared<const OpenAiConfig>(std::move(config))},
      complaints_{std::make_shared<Complaints>()} {}

asio::awaitable<Result<std::unique_ptr<LlmSession>>> OpenAiLlm::open(
    async::Shard& shard, LlmOptions options
) {
    std::unique_ptr<LlmSession> session =
        std::make_unique<OpenAiSession>(shard, config_, complaints_, std::move(options.log));
    co_return session;
}

asio::awaitable<Result<void>> OpenAiLlm::probe(async::Shard& shard) {
    const auto config = config_;
    const auto& url = config->endpoint.url;
    net::HttpClientRequest request;
    request.url = url.substr(0, url.find_last_not_of('/') + 1) + "/models";
    request.tls = config->endpoint.tls;
    request.headers = authorization(*config);
    const auto answer =
        co_await net::http_request(shard, std::move(request), config->endpoint.connect_timeout);
    if (answer.has_error()) co_return service_error(answer.error());
    if (answer->status == 200) co_return Result<void>{};
    if (answer->status == 404) co_return make_error_code(ServiceErrc::configuration);
    co_return service_error({answer->status, net::http_status_category()});
}

}  // namespace oavc::services
