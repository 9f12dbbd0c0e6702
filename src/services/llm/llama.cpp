#include "services/llm/llama.hpp"

#include "net/http_client.hpp"
#include "observability/log.hpp"
#include "services/detail/stream_error.hpp"
#include "services/detail/trace_header.hpp"
#include "services/detail/warm_websocket.hpp"
#include "services/llm/detail/llama_protocol.hpp"

#include <fmt/format.h>

#include <optional>
#include <stdexcept>
#include <utility>

namespace oavc::services {

namespace {

/// Owners: the session, and replies.
struct Core {
    Core(async::Shard& shard, WarmWebSocket::Options options, log::Logger logger)
        : log{std::move(logger)} {
        supply.emplace(shard, std::move(options));
    }

    const log::Logger log;
    std::optional<WarmWebSocket> supply;  ///< none: the session is gone
    log::RateLimit complaints{10s};

    void pass_on(std::string_view complaint) {
        constexpr std::size_t longest = 200;
        if (!complaints.allow(Clock::now())) return;
        log.warn(
            "the llama server complains",
            log::kv("said", complaint.substr(0, longest)),
            log::kv("suppressed", complaints.suppressed())
        );
    }
};

/// One question and how far its answer has come. Owners: the reply, and a next() that waits.
struct Question {
    std::string request;
    std::unique_ptr<net::WebSocket> socket;
    bool answered{false};  ///< some text came
    bool tried_again{false};
    bool abandoned{false};
    error_code end;

    error_code finish(error_code why) {
        end = why;
        socket.reset();
        return why;
    }
};

asio::awaitable<Result<LlmEvent>> next(
    std::shared_ptr<Core> core, std::shared_ptr<Question> question
) {
    const auto cancelled = make_error_code(ServiceErrc::cancelled);
    for (;;) {
        if (question->abandoned) co_return cancelled;
        if (question->end) co_return question->end;
        if (!question->socket) {
            if (!core->supply) co_return cancelled;
            auto taken = co_await core->supply->take();
            if (question->abandoned) co_return cancelled;
            if (!taken) {
                if (taken.error() == cancelled) co_return cancelled;
                co_return question->finish(taken.error());
            }
            question->socket = std::move(*taken);
            if (!question->socket->send_text(question->request)) {
                co_return question->finish(make_error_code(ServiceErrc::rejected));
            }
        }
        const auto message = co_await question->socket->read();
        if (question->abandoned) co_return cancelled;
        if (!message) {
            if (message.error() == asio::error::operation_aborted) co_return cancelled;
            question->socket.reset();
            const bool again = !question->answered && !std::exchange(question->tried_again, true);
            if (!again) co_return question->finish(make_error_code(ServiceErrc::unavailable));
            continue;
        }
        if (message->binary) continue;
        auto brought = parse_llama_message(message->data);
        if (brought.done) {
            if (core->supply) core->supply->give_back(std::move(question->socket));
            question->finish(make_error_code(ServiceErrc::end_of_stream));
        } else if (!brought.error.empty()) {
            core->pass_on(brought.error);
            question->finish(make_error_code(ServiceErrc::unavailable));
        }
        if (brought.text.empty()) continue;
        question->answered = true;
        co_return LlmEvent{LlmEvent::Kind::text, std::move(brought.text)};
    }
}

class LlamaReply final : public LlmReply {
public:
    LlamaReply(std::shared_ptr<Core> core, std::string request) : core_{std::move(core)} {
        question_->request = std::move(request);
    }
    LlamaReply(const LlamaReply&) = delete;
    LlamaReply& operator=(const LlamaReply&) = delete;
    ~LlamaReply() override {
        question_->abandoned = true;
        question_->socket.reset();
    }
    asio::awaitable<Result<LlmEvent>> next() override { return services::next(core_, question_); }

private:
    const std::shared_ptr<Core> core_;
    const std::shared_ptr<Question> question_{std::make_shared<Question>()};
};

class LlamaSession final : public LlmSession {
public:
    LlamaSession(async::Shard& shard, const LlamaConfig& config, LlmOptions options)
        : config_{config},
          language_{std::move(options.language)},
          core_{std::make_shared<Core>(
              shard,
              WarmWebSocket::Options{
                  config.endpoint, with_trace({}, std::move(options.traceparent)), {}},
              std::move(options.log)
          )} {}
    LlamaSession(const LlamaSession&) = delete;
    LlamaSession& operator=(const LlamaSession&) = delete;
    ~LlamaSession() override { core_->supply.reset(); }

    std::unique_ptr<LlmReply> ask(LlmRequest request) override {
        return std::make_unique<LlamaReply>(core_, llama_request(config_, request, language_));
    }

private:
    const LlamaConfig config_;
    const std::string language_;
    const std::shared_ptr<Core> core_;
};

}  // namespace

LlamaLlm::LlamaLlm(const LlamaConfig& config) : config_{config} {
    if (config.dialect == "messages" || config.dialect == "prompt") return;
    throw std::runtime_error{
        fmt::format("[llm.llama] dialect: '{}' is neither messages nor prompt", config.dialect)};
}

asio::awaitable<Result<std::unique_ptr<LlmSession>>> LlamaLlm::open(
    async::Shard& shard, LlmOptions options
) {
    std::unique_ptr<LlmSession> session =
        std::make_unique<LlamaSession>(shard, config_, std::move(options));
    co_return session;
}

asio::awaitable<Result<void>> LlamaLlm::probe(async::Shard& shard) {
    const auto& endpoint = config_.endpoint;
    const auto socket = co_await net::websocket_connect(
        shard, endpoint.url, {}, endpoint.connect_timeout, {}, endpoint.tls
    );
    if (!socket) co_return service_error(socket.error());
    co_return Result<void>{};
}

}  // namespace oavc::services
