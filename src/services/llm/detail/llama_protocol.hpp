#pragma once

#include "services/config.hpp"
#include "services/llm/llm.hpp"

#include <string>
#include <string_view>

namespace oavc::services {

/// One question as the predecessor's server wants it: form A (`messages`) or the flat form B
/// (`prompt`). The server reads the first system message and the last of the user; with
/// config.fold_history the turns before are told in that last message, in words of `language`
/// (Turkish, else English).
std::string llama_request(
    const LlamaConfig& config, const LlmRequest& request, std::string_view language
);

/// What one message of the server brings.
struct LlamaMessage {
    std::string text;   ///< of the answer; may be empty
    bool done{false};   ///< the answer is complete
    std::string error;  ///< the server's words; no `done` follows
};

/// Understands `chunk`, and where that is missing the spellings of the servers that stood in for
/// this one: Ollama's, OpenAI's, `token`. What is no JSON object, or means nothing here (RAG
/// context), brings nothing.
LlamaMessage parse_llama_message(std::string_view text) noexcept;

}  // namespace oavc::services
