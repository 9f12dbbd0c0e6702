#pragma once

// A call's side of a language model, for tests of adapters: asks, and reads replies to their end.

#include "async/deadline.hpp"
#include "services/errors.hpp"
#include "services/llm/llm.hpp"
#include "support/await.hpp"
#include "support/run_shard.hpp"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace oavc::test {

/// What a reply came to.
struct Heard {
    std::string text;
    std::vector<services::ToolCall> calls;
    error_code end;  ///< ServiceErrc::end_of_stream when all went well
};

class LlmClient {
public:
    explicit LlmClient(services::LlmService& service)
        : session_{value_of(shard, service.open(shard, {}))} {}
    ~LlmClient() {
        session_.reset();
        settle();
    }

    static services::LlmRequest question(std::string text) {
        services::LlmRequest request;
        request.messages.push_back({services::ChatMessage::Role::system, "Be brief."});
        request.messages.push_back({services::ChatMessage::Role::user, std::move(text)});
        return request;
    }

    std::unique_ptr<services::LlmReply> ask(services::LlmRequest request) {
        return session_->ask(std::move(request));
    }
    Result<services::LlmEvent> next(services::LlmReply& reply) {
        return result_of(shard, reply.next());
    }
    /// The first piece of text.
    std::string first(services::LlmReply& reply) {
        auto event = next(reply);
        return event ? event->text : event.error().message();
    }
    Heard rest(services::LlmReply& reply) {
        Heard heard;
        for (;;) {
            auto event = next(reply);
            if (event.has_error()) {
                heard.end = event.error();
                return heard;
            }
            if (event->kind == services::LlmEvent::Kind::text) heard.text += event->text;
            if (event->kind == services::LlmEvent::Kind::tool_call)
                heard.calls.push_back(std::move(event->tool));
        }
    }
    Heard hear(services::LlmRequest request) {
        const auto reply = ask(std::move(request));
        return rest(*reply);
    }
    Heard hear(std::string text) { return hear(question(std::move(text))); }

    /// Lets what runs in the background go on until `done`; false: it was not within a minute.
    template <class F>
    bool settle_until(F&& done) {
        return run_until(shard, std::forward<F>(done));
    }
    /// Lets everything that was cancelled end.
    void settle() { run_dry(shard); }

    async::Shard shard{9};

private:
    std::unique_ptr<services::LlmSession> session_;
};

}  // namespace oavc::test
