#pragma once

#include "services/config.hpp"
#include "services/detail/sse_parser.hpp"
#include "services/errors.hpp"
#include "services/llm/detail/reply_reader.hpp"
#include "services/llm/llm.hpp"

#include <boost/json/array.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::services {

/// The body of POST /chat/completions, streaming.
std::string openai_request(const OpenAiConfig& config, LlmRequest request);

/// The events of a streamed chat completion. Pieces of tool calls are collected by index and told
/// when the choice is finished. An error in mid-stream ends the reply with
/// ServiceErrc::unavailable, or rejected where the server calls the request invalid; so does an end
/// of which neither a finish_reason nor [DONE] told: what came before stands. Reasoning is not
/// spoken, a refusal is.
class OpenAiReader final : public ReplyReader {
public:
    /// `on_trouble` gets the server's words about a failure, for the log; called at most once.
    using OnTrouble = std::function<void(int status, std::string_view text)>;

    explicit OpenAiReader(OnTrouble on_trouble) : on_trouble_{std::move(on_trouble)} {}

    void push(std::string_view bytes) override { sse_.push(bytes); }
    void finish() override { finished_ = true; }
    std::optional<Result<LlmEvent>> next() override;
    error_code refused(int status, std::string_view body) override;

private:
    /// A function call under construction.
    struct Call {
        std::int64_t index;
        ToolCall tool;
    };

    void take(const SseEvent& event);
    void collect(const boost::json::array& deltas);
    void tell_calls();
    void say(std::string_view text);
    void end(ServiceErrc why) { end_ = make_error_code(why); }

    const OnTrouble on_trouble_;
    SseParser sse_;
    std::deque<LlmEvent> events_;
    std::vector<Call> calls_;
    std::size_t calls_size_{0};  ///< bytes in calls_
    bool choice_finished_{false};
    bool finished_{false};
    error_code end_;
};

}  // namespace oavc::services
