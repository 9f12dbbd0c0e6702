// Every provider that is reached over HTTP or a WebSocket is told the call's trace.

#include "services/llm/llama.hpp"
#include "services/llm/ollama.hpp"
#include "services/llm/openai.hpp"
#include "services/stt/deepgram.hpp"
#include "services/stt/vosk.hpp"
#include "services/tts/deepgram_tts.hpp"
#include "services/tts/elevenlabs.hpp"
#include "services/tts/piper.hpp"
#include "support/await.hpp"
#include "support/scripted_http_server.hpp"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <string>
#include <utility>

namespace oavc::services {
namespace {

constexpr auto traceparent = "00-5b8efff798038103d269b633813fc60c-eee19b7ec3c1b174-01";

class TraceHeader : public testing::Test {
protected:
    ~TraceHeader() override {
        shard.context().restart();
        shard.context().run_for(milliseconds{50});
    }

    std::string url(std::string_view scheme) const {
        return std::string{scheme} + server.url().substr(server.url().find(':'));
    }
    /// What the server was told; it answers nobody.
    std::string told() {
        const auto give_up = Clock::now() + std::chrono::seconds{30};
        while (Clock::now() < give_up) {
            shard.context().restart();
            shard.context().run_for(milliseconds{5});
            const std::lock_guard lock{mutex};
            if (!seen.empty()) return seen;
        }
        return "nobody asked";
    }
    template <class Service, class Options>
    auto open(Service& service, Options options) {
        options.traceparent = traceparent;
        return test::value_of(shard, service.open(shard, std::move(options)));
    }

    async::Shard shard{0};
    std::mutex mutex;
    std::string seen;
    test::ScriptedHttpServer server{[this](test::ScriptedHttpServer::Exchange& http) {
        const auto& headers = http.request().headers;
        const auto found = headers.find("traceparent");
        const std::lock_guard lock{mutex};
        seen = found == headers.end() ? "without" : found->second;
        http.respond(503, "text/plain", "");
    }};
};

TEST_F(TraceHeader, OpenAiWithEachQuestion) {
    OpenAiConfig config;
    config.endpoint.url = url("http") + "/v1";
    OpenAiLlm llm{config};
    const auto session = open(llm, LlmOptions{});
    LlmRequest question;
    question.traceparent = traceparent;
    const auto reply = session->ask(std::move(question));
    EXPECT_FALSE(test::result_of(shard, reply->next()));
    EXPECT_EQ(told(), traceparent);
}

TEST_F(TraceHeader, OllamaWithEachQuestion) {
    OllamaConfig config;
    config.endpoint.url = url("http");
    OllamaLlm llm{config};
    const auto session = open(llm, LlmOptions{});
    LlmRequest question;
    question.traceparent = traceparent;
    const auto reply = session->ask(std::move(question));
    EXPECT_FALSE(test::result_of(shard, reply->next()));
    EXPECT_EQ(told(), traceparent);
}

TEST_F(TraceHeader, LlamaWithItsHandshake) {
    LlamaConfig config;
    config.endpoint.url = url("ws");
    LlamaLlm llm{config};
    const auto session = open(llm, LlmOptions{});
    EXPECT_EQ(told(), traceparent);
}

TEST_F(TraceHeader, VoskWithItsHandshake) {
    VoskConfig config;
    config.endpoint.url = url("ws");
    VoskStt stt{config};
    const auto stream = open(stt, SttOptions{});
    EXPECT_EQ(told(), traceparent);
}

TEST_F(TraceHeader, DeepgramSttWithItsHandshake) {
    DeepgramSttConfig config;
    config.endpoint.url = url("ws");
    config.api_key = "key";
    DeepgramStt stt{config};
    const auto stream = open(stt, SttOptions{});
    stream->begin(UtteranceId{1});
    EXPECT_EQ(told(), traceparent);
}

TEST_F(TraceHeader, DeepgramTtsWithItsHandshake) {
    DeepgramTtsConfig config;
    config.endpoint.url = url("ws");
    config.api_key = "key";
    DeepgramTts tts{config};
    const auto session = open(tts, TtsOptions{});
    EXPECT_EQ(told(), traceparent);
}

TEST_F(TraceHeader, PiperWithItsHandshake) {
    PiperConfig config;
    config.endpoint.url = url("ws");
    PiperTts tts{config};
    const auto session = open(tts, TtsOptions{});
    EXPECT_EQ(told(), traceparent);
}

TEST_F(TraceHeader, ElevenLabsWithItsHandshake) {
    ElevenLabsConfig config;
    config.endpoint.url = url("ws");
    config.api_key = "key";
    config.voice_id = "voice";
    ElevenLabsTts tts{config};
    const auto session = open(tts, TtsOptions{});
    EXPECT_EQ(told(), traceparent);
}

TEST_F(TraceHeader, AndNobodyWithoutATrace) {
    LlamaConfig config;
    config.endpoint.url = url("ws");
    LlamaLlm llm{config};
    const auto session = test::value_of(shard, llm.open(shard, {}));
    EXPECT_EQ(told(), "without");
}

}  // namespace
}  // namespace oavc::services
