#include "config/keys/keys.hpp"
#include "config/keys/provider_keys.hpp"

namespace oavc::config {

namespace s = services;
using S = services::Config;

std::vector<Key> llm_keys() {
    std::vector<Key> keys{
        {"llm", "provider", of<&S::llm_provider>, Provider{"llm"}, "Who finds the reply."},
        {"llm", "fallback_provider", of<&S::llm_fallback>, Provider{"llm"}, fallback_help},
    };

    reach<&S::llama>(keys, "llm.llama", "url", {"ws://", "wss://"});
    trust<&S::llama>(keys, "llm.llama");
    using L = s::LlamaConfig;
    add(keys,
        {
            {"llm.llama",
             "temperature",
             at<&S::llama, &L::temperature>,
             Number{0.0, 2.0},
             "0 always says the same, more is more varied."},
            {"llm.llama",
             "top_p",
             at<&S::llama, &L::top_p>,
             Number{0.0, 1.0},
             "Only the likeliest tokens that make up this share are chosen from."},
            {"llm.llama",
             "max_tokens",
             at<&S::llama, &L::max_tokens>,
             Integer{1, 100'000},
             "Longest reply."},
            {"llm.llama",
             "use_rag",
             at<&S::llama, &L::use_rag>,
             Boolean{},
             "Let the server look up its documents."},
            {"llm.llama",
             "rag_url",
             at<&S::llama, &L::rag_url>,
             Url{{"ws://", "wss://"}},
             "Where the server's document search listens, for `oavc rag`."},
            {"llm.llama",
             "model",
             at<&S::llama, &L::model>,
             Text{},
             "Sent when given; the stock server has one model and ignores it."},
            {"llm.llama",
             "dialect",
             at<&S::llama, &L::dialect>,
             Choice{{"messages", "prompt"}},
             "Form of the request: messages as the predecessor's last client, or the older flat "
             "prompt."},
            {"llm.llama",
             "fold_history",
             at<&S::llama, &L::fold_history>,
             Boolean{},
             "The server reads only the last message of the caller: put the conversation so far "
             "into it."},
        });

    reach<&S::ollama>(keys, "llm.ollama", "base_url", {"http://", "https://"});
    trust<&S::ollama>(keys, "llm.ollama");
    using O = s::OllamaConfig;
    add(keys,
        {
            {"llm.ollama",
             "endpoint",
             at<&S::ollama, &O::api>,
             Choice{{"generate", "chat"}},
             "`/api/generate` or `/api/chat`. chat keeps turns apart and knows functions."},
            {"llm.ollama",
             "model",
             at<&S::ollama, &O::model>,
             Text{},
             "Model by its name; `oavc models ollama list` shows what the server has."},
            {"llm.ollama",
             "temperature",
             at<&S::ollama, &O::temperature>,
             Number{0.0, 2.0},
             "0 always says the same, more is more varied."},
            {"llm.ollama",
             "top_p",
             at<&S::ollama, &O::top_p>,
             Number{0.0, 1.0},
             "Only the likeliest tokens that make up this share are chosen from."},
            {"llm.ollama",
             "max_tokens",
             at<&S::ollama, &O::max_tokens>,
             Integer{1, 100'000},
             "Longest reply (`num_predict`)."},
            {"llm.ollama",
             "num_ctx",
             at<&S::ollama, &O::num_ctx>,
             Integer{256, 1'000'000},
             "Tokens of context. The server loads the model anew when requests differ in it."},
            {"llm.ollama",
             "keep_alive",
             at<&S::ollama, &O::keep_alive>,
             Text{},
             "How long the model stays loaded without requests, such as `30m`; `-1`: for ever."},
            {"llm.ollama",
             "think",
             at<&S::ollama, &O::think>,
             Boolean{},
             "Let thinking models think first. The caller waits meanwhile."},
            {"llm.ollama", "stop", at<&S::ollama, &O::stop>, List{}, "Texts that end a reply."},
            {"llm.ollama",
             "pull_missing",
             at<&S::ollama, &O::pull_missing>,
             Boolean{},
             "Let the server fetch the model at start when it has it not; progress is in the "
             "log."},
            {"llm.ollama",
             "warm_up",
             at<&S::ollama, &O::warm_up>,
             Boolean{},
             "Have the model loaded at start, not by the first caller."},
        });

    reach<&S::openai>(keys, "llm.openai", "base_url", {"http://", "https://"});
    trust<&S::openai>(keys, "llm.openai");
    using A = s::OpenAiConfig;
    add(keys,
        {
            {"llm.openai",
             "api_key",
             at<&S::openai, &A::api_key>,
             Secret{},
             "The key of the account. Empty: none is sent, for servers of your own."},
            {"llm.openai", "model", at<&S::openai, &A::model>, Text{}, "Model by its name."},
            {"llm.openai",
             "temperature",
             at<&S::openai, &A::temperature>,
             Number{-1.0, 2.0},
             "0 always says the same, more is more varied. Below 0 it is not sent: reasoning "
             "models refuse it."},
            {"llm.openai",
             "top_p",
             at<&S::openai, &A::top_p>,
             Number{-1.0, 1.0},
             "Only the likeliest tokens that make up this share are chosen from. Below 0 it is "
             "not sent."},
            {"llm.openai",
             "max_tokens",
             at<&S::openai, &A::max_tokens>,
             Integer{1, 100'000},
             "Longest reply."},
            {"llm.openai",
             "max_tokens_field",
             at<&S::openai, &A::max_tokens_field>,
             Choice{{"max_tokens", "max_completion_tokens"}},
             "What the server calls that limit: newer hosted models know only the second."},
            {"llm.openai", "stop", at<&S::openai, &A::stop>, List{}, "Texts that end a reply."},

            {"llm.scripted",
             "dialogue_file",
             at<&S::scripted, &s::ScriptedConfig::dialogue_file>,
             Path{},
             "The dialogue: patterns and replies, see [dialogue.md](dialogue.md)."},
        });
    return keys;
}

}  // namespace oavc::config
