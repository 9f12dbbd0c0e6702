#pragma once

#include "services/config.hpp"
#include "services/detail/line_splitter.hpp"
#include "services/errors.hpp"
#include "services/llm/detail/reply_reader.hpp"
#include "services/llm/llm.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>

namespace oavc::services {

/// The body of /api/chat or, by `config.api`, /api/generate. Tools go to /api/chat only.
/// generate has no roles: the system's messages go to `system`, and with more than one other the
/// conversation is written out, speaker by speaker, into `prompt`.
std::string ollama_request(const OllamaConfig& config, LlmRequest request, bool offer_tools);

/// What loads the model without asking anything: an empty prompt. The same num_ctx as requests,
/// because another one would load it anew.
std::string ollama_warm_up(const OllamaConfig& config);

/// The lines of /api/chat and /api/generate. Thinking is not spoken. A line with an error ends the
/// reply with ServiceErrc::unavailable, and so does an end without the "done" line: what came
/// before stands. Garbage is ServiceErrc::protocol.
class OllamaReader final : public ReplyReader {
public:
    /// `on_trouble` gets the server's words about a failure, for the log; called at most once.
    using OnTrouble = std::function<void(int status, std::string_view text)>;

    /// `strip_label`: drops "Assistant:" where the reply begins with it, as models like to answer
    /// to a conversation that was written out.
    OllamaReader(bool strip_label, OnTrouble on_trouble);

    void push(std::string_view bytes) override { lines_.push(bytes); }
    void finish() override { finished_ = true; }
    std::optional<Result<LlmEvent>> next() override;
    error_code refused(int status, std::string_view body) override;

private:
    void take(std::string_view line);
    void say(std::string_view text);
    void end(ServiceErrc why);

    const OnTrouble on_trouble_;
    LineSplitter lines_;
    std::deque<LlmEvent> events_;
    bool at_begin_;     ///< the reply may still turn out to begin with the label
    std::string held_;  ///< what may be a piece of the label
    bool finished_{false};
    error_code end_;
};

}  // namespace oavc::services
