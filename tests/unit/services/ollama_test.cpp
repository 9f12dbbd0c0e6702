#include "services/llm/ollama.hpp"

#include "async/background.hpp"
#include "services/llm/detail/ollama_protocol.hpp"
#include "services/llm/ollama_models.hpp"
#include "services/service_factory.hpp"
#include "support/chat_adapter.hpp"
#include "support/fake_ollama.hpp"
#include "support/llm_client.hpp"
#include "support/tls_front.hpp"

#include <boost/json/parse.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace oavc::services {
namespace {

namespace json = boost::json;
using Role = ChatMessage::Role;
using test::ChatBehaviour;
using test::FakeOllama;
using test::Heard;
using test::LlmClient;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// The protocol, from bytes.

OllamaConfig config_for(std::string api) {
    OllamaConfig config;
    config.api = std::move(api);
    config.max_tokens = 80;
    return config;
}

json::object request_of(const OllamaConfig& config, LlmRequest request, bool tools = true) {
    return json::parse(ollama_request(config, std::move(request), tools)).as_object();
}

LlmRequest conversation() {
    LlmRequest request;
    request.messages.push_back({Role::system, "Kısa yanıt ver."});
    request.messages.push_back({Role::user, "Hi"});
    request.messages.push_back({Role::assistant, "Hello!"});
    request.messages.push_back({Role::user, "When do you open?"});
    return request;
}

TEST(OllamaRequest, GenerateHasTheSystemsWordsApartAndOneQuestionAsItIs) {
    const auto body = request_of(config_for("generate"), LlmClient::question("Saat kaç?"));
    EXPECT_EQ(body.at("system").as_string(), "Be brief.");
    EXPECT_EQ(body.at("prompt").as_string(), "Saat kaç?");
    EXPECT_EQ(body.at("think").as_bool(), false) << "absent means on";
    EXPECT_EQ(body.at("stream").as_bool(), true);
    const auto& options = body.at("options").as_object();
    EXPECT_EQ(options.at("num_predict").as_int64(), 80);
    EXPECT_FALSE(options.contains("max_tokens")) << "the server ignores it in silence";
    EXPECT_EQ(options.at("num_ctx").as_int64(), 4096);
    EXPECT_FALSE(options.contains("stop"));
}

TEST(OllamaRequest, GenerateWritesALongerConversationOut) {
    auto config = config_for("generate");
    config.stop = {"\n\n"};
    const auto body = request_of(config, conversation());
    EXPECT_EQ(
        body.at("prompt").as_string(),
        "User: Hi\nAssistant: Hello!\nUser: When do you open?\nAssistant:"
    );
    EXPECT_EQ(json::serialize(body.at("options").at("stop")), R"(["\n\n","\nUser:"])");
}

TEST(OllamaRequest, ChatHasRolesAndTools) {
    auto request = conversation();
    request.messages.push_back({Role::assistant, "", {{"call_1", "lookup", R"({"id":"42"})"}}});
    request.messages.push_back({Role::tool, "shipped", {}, "call_1", "lookup"});
    request.tools = {{"lookup", "Finds an order.", R"({"type":"object"})"}, {"bad", "", "{no"}};
    const auto body = request_of(config_for("chat"), request);
    const auto& messages = body.at("messages").as_array();
    ASSERT_EQ(messages.size(), 6u);
    EXPECT_EQ(messages[0].at("role").as_string(), "system");
    EXPECT_EQ(
        json::serialize(messages[4].at("tool_calls")),
        R"([{"id":"call_1","function":{"name":"lookup","arguments":{"id":"42"}}}])"
    ) << "arguments are an object here";
    EXPECT_EQ(messages[5].at("tool_call_id").as_string(), "call_1");
    EXPECT_EQ(messages[5].at("tool_name").as_string(), "lookup");
    EXPECT_EQ(body.at("tools").as_array().size(), 2u);
    EXPECT_FALSE(body.contains("prompt"));
    EXPECT_FALSE(request_of(config_for("chat"), request, false).contains("tools"));
    EXPECT_FALSE(request_of(config_for("generate"), request).contains("tools"));
}

TEST(OllamaRequest, KeepAliveIsANumberOrADuration) {
    auto config = config_for("chat");
    config.keep_alive = "-1";
    EXPECT_EQ(request_of(config, {}).at("keep_alive").as_int64(), -1);
    config.keep_alive = "30m";
    EXPECT_EQ(request_of(config, {}).at("keep_alive").as_string(), "30m");
    config.keep_alive = "";
    EXPECT_FALSE(request_of(config, {}).contains("keep_alive"));
}

TEST(OllamaRequest, WhatWasSaidAlreadyIsContinued) {
    for (const auto* api : {"chat", "generate"}) {
        auto request = LlmClient::question("When do you open?");
        request.said_already = "We open at nine, and";
        const auto body = ollama_request(config_for(api), request, true);
        EXPECT_THAT(body, HasSubstr("We open at nine, and"));
        EXPECT_THAT(body, HasSubstr("Do not repeat"));
    }
}

TEST(OllamaRequest, TheWarmUpHasTheContextOfTheRequests) {
    const auto body = json::parse(ollama_warm_up(config_for("chat"))).as_object();
    EXPECT_EQ(body.at("options").at("num_ctx").as_int64(), 4096);
    EXPECT_FALSE(body.contains("prompt"));
}

TEST(OllamaNames, LackOfATagMeansLatest) {
    EXPECT_EQ(with_tag("qwen3"), "qwen3:latest");
    EXPECT_EQ(with_tag("qwen3:4b"), "qwen3:4b");
    EXPECT_EQ(with_tag("host:5000/lib/m"), "host:5000/lib/m:latest");
}

Heard read(std::string_view body, std::size_t cut, bool strip_label = false) {
    OllamaReader reader{strip_label, [](int, std::string_view) {}};
    return test::read_body(reader, body, cut);
}
Heard read(std::string_view body) { return read(body, body.size()); }

TEST(OllamaReader, ReadsTheSameHoweverItIsCut) {
    const std::string body =
        "{\"message\":{\"role\":\"assistant\",\"content\":\"\",\"thinking\":\"hmm\"},\"done\":"
        "false}\n"
        "{\"message\":{\"role\":\"assistant\",\"content\":\"Ölçü "
        "\\ud83d\\ude00\"},\"done\":false}\r\n"
        "{\"message\":{\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"f\","
        "\"arguments\":{\"id\":42}}}]},\"done\":false}\n"
        "{\"message\":{\"content\":\" son\"},\"done\":true,\"done_reason\":\"stop\"}";
    for (std::size_t cut = 0; cut <= body.size(); ++cut) {
        const auto heard = read(body, cut);
        EXPECT_EQ(heard.text, "Ölçü 😀 son") << cut;
        EXPECT_EQ(heard.end, ServiceErrc::end_of_stream) << cut;
        ASSERT_EQ(heard.calls.size(), 1u);
        EXPECT_EQ(heard.calls[0].arguments, "{\"id\":42}");
    }
}

TEST(OllamaReader, WhatCameBeforeAnErrorStands) {
    const std::string begin = "{\"response\":\"Mer\",\"done\":false}\n";
    for (const auto& [end, expected] : std::vector<std::pair<std::string, ServiceErrc>>{
             {"{\"error\":\"out of memory\"}\n", ServiceErrc::unavailable},
             {"", ServiceErrc::unavailable},
             {"{\"response\":\"ha", ServiceErrc::unavailable},
             {"<html>\n", ServiceErrc::protocol},
             {"[1,2]\n", ServiceErrc::protocol},
             {std::string(2'000'000, '{'), ServiceErrc::protocol}}) {
        const auto heard = read(begin + end);
        EXPECT_EQ(heard.text, "Mer");
        EXPECT_EQ(heard.end, expected) << end.substr(0, 20);
    }
}

TEST(OllamaReader, MembersOfAnotherKindAreAsGoodAsAbsent) {
    const auto heard = read(
        "{\"response\":17,\"done\":\"no\"}\n{\"message\":[],\"done\":1}\n"
        "{\"message\":{\"content\":null,\"tool_calls\":[1,{\"function\":2},{}]}}\n"
        "{\"response\":\"x\",\"done\":true}\n"
    );
    EXPECT_EQ(heard.text, "x");
    EXPECT_EQ(heard.end, ServiceErrc::end_of_stream);
}

TEST(OllamaReader, TheSpeakersLabelIsNotSpoken) {
    const auto spoken = [](const std::vector<std::string>& tokens) {
        std::string body;
        for (const auto& token : tokens)
            body += "{\"response\":" + json::serialize(json::value(token)) + ",\"done\":false}\n";
        return read(body + "{\"response\":\"\",\"done\":true}\n", 0, true).text;
    };
    EXPECT_EQ(spoken({"Assistant:", " Hello."}), " Hello.");
    EXPECT_EQ(spoken({" Ass", "istant", ": Hello", "."}), "Hello.");
    EXPECT_EQ(spoken({"Assist", "ance is here."}), "Assistance is here.");
    EXPECT_EQ(spoken({"As"}), "As") << "held back until the end told";
    EXPECT_EQ(spoken({"Hello.", " Assistant: x"}), "Hello. Assistant: x") << "only at the begin";
}

TEST(OllamaPull, AddsUpItsLayers) {
    OllamaPull pull;
    EXPECT_TRUE(pull.take(R"({"status":"pulling manifest"})"));
    EXPECT_EQ(pull.progress().total, 0u);
    EXPECT_TRUE(pull.take(R"({"status":"pulling a","digest":"a","total":100})"));
    EXPECT_TRUE(pull.take(R"({"status":"pulling b","digest":"b","total":50,"completed":20})"));
    EXPECT_TRUE(pull.take(R"({"status":"pulling a","digest":"a","total":100,"completed":60})"));
    EXPECT_EQ(pull.progress().completed, 80u);
    EXPECT_EQ(pull.progress().total, 150u);
    EXPECT_FALSE(pull.take("garbage"));
    EXPECT_FALSE(pull.done());
    EXPECT_TRUE(pull.take(R"({"status":"success"})"));
    EXPECT_TRUE(pull.done());
    EXPECT_TRUE(pull.take(R"({"error":"disk full"})"));
    EXPECT_EQ(pull.error(), "disk full");
}

// The adapter, against a server.

class Ollama : public ::testing::TestWithParam<const char*> {
protected:
    OllamaConfig config() const {
        auto made = config_for(GetParam());
        made.endpoint.url = server.url();
        return made;
    }
    void behave(void (*change)(ChatBehaviour&)) { server.behave(change); }

    FakeOllama server;
};
INSTANTIATE_TEST_SUITE_P(
    Ollama,
    Ollama,
    ::testing::Values("generate", "chat"),
    [](const auto& each) { return std::string{each.param}; }
);

TEST_P(Ollama, AnswersOverOneConnectionThatWasOpenBeforehand) {
    OllamaLlm service{config()};
    LlmClient client{service};
    EXPECT_TRUE(client.settle_until([&] { return server.connections() == 1; }));
    for (std::size_t turn = 0; turn < 3; ++turn) {
        const auto heard = client.hear("Hi");
        EXPECT_EQ(heard.text, "Hello from the model.");
        EXPECT_EQ(heard.end, ServiceErrc::end_of_stream);
        client.settle_until([&, before = Clock::now()] { return Clock::now() - before > 20ms; });
        EXPECT_EQ(server.asks().back().on_connection, turn);
    }
    EXPECT_EQ(server.connections(), 1u);
}

TEST_P(Ollama, TextComesWhileTheModelIsStillSpeaking) {
    behave([](ChatBehaviour& b) { b.stall_after = 2; });
    OllamaLlm service{config()};
    LlmClient client{service};
    const auto reply = client.ask(LlmClient::question("Hi"));
    EXPECT_EQ(client.first(*reply), "Hello");
    EXPECT_EQ(client.first(*reply), " from");
    EXPECT_EQ(server.abandoned(), 0u);
}

TEST_P(Ollama, CancellingStopsTheServerAndTheNextReplyIsClean) {
    OllamaLlm service{config()};
    LlmClient client{service};
    test::expect_that_cancelling_stops_it(client, server);
}

TEST_P(Ollama, ADeadlineAroundNextLeavesNothingBehind) {
    behave([](ChatBehaviour& b) { b.first_after = 1h; });
    OllamaLlm service{config()};
    LlmClient client{service};
    auto reply = client.ask(LlmClient::question("Hi"));
    const auto late =
        test::result_of(client.shard, async::with_deadline(reply->next(), milliseconds{100}));
    EXPECT_EQ(late.error(), asio::error::timed_out);
    reply.reset();
    EXPECT_TRUE(client.settle_until([&] { return server.abandoned() == 1; }));
}

asio::awaitable<void> read_on(LlmReply* reply) {
    for (;;) {
        const auto event = co_await reply->next();
        if (event.has_error()) co_return;
    }
}

TEST_P(Ollama, AReplyMayGoRightAfterItsReaderWasCancelled) {
    OllamaLlm service{config()};
    std::optional<LlmClient> client{service};
    std::size_t asked = 0;
    for (const bool begun : {false, true}) {
        server.behave([begun](ChatBehaviour& b) {
            b.first_after = begun ? 0ms : 1h;
            b.stall_after = 1;
        });
        auto reply = client->ask(LlmClient::question("Hi"));
        std::optional<async::Background> reader{
            std::in_place, client->shard.executor(), [](std::exception_ptr) { ADD_FAILURE(); }};
        reader->spawn(read_on(reply.get()));
        ++asked;
        EXPECT_TRUE(client->settle_until([&] { return server.asks().size() == asked; }));
        client->settle_until([before = Clock::now()] { return Clock::now() - before > 20ms; });
        // As a call ends: nothing runs in between.
        reader.reset();
        reply.reset();
        if (begun) {
            client.reset();
        } else {
            EXPECT_TRUE(client->settle_until([&] { return server.abandoned() == asked; }));
        }
    }
}

TEST_P(Ollama, ARestartedServerIsNotNoticed) {
    OllamaLlm service{config()};
    LlmClient client{service};
    EXPECT_EQ(client.hear("Hi").end, ServiceErrc::end_of_stream);
    server.stop();
    server.start();
    EXPECT_EQ(client.hear("Hi").end, ServiceErrc::end_of_stream);
}

TEST_P(Ollama, AServerThatIsNotThereIsUnavailable) {
    server.stop();
    OllamaLlm service{config()};
    LlmClient client{service};
    EXPECT_EQ(client.hear("Hi").end, ServiceErrc::unavailable);
    server.start();
    EXPECT_EQ(client.hear("Hi").end, ServiceErrc::end_of_stream);
}

TEST_P(Ollama, RefusalsAreToldApart) {
    OllamaLlm service{config()};
    LlmClient client{service};
    for (const auto& [status, expected] : std::vector<std::pair<int, ServiceErrc>>{
             {400, ServiceErrc::rejected},
             {403, ServiceErrc::rejected},
             {429, ServiceErrc::overloaded},
             {500, ServiceErrc::unavailable},
             {503, ServiceErrc::overloaded}}) {
        server.behave([status = status](ChatBehaviour& b) { b.refuse = status; });
        EXPECT_EQ(client.hear("Hi").end, expected) << status;
    }
    server.reset();
    server.remove_model("llama3.2:3b");
    EXPECT_EQ(client.hear("Hi").end, ServiceErrc::configuration);
}

TEST_P(Ollama, WhatCameStandsWhenTheReplyBreaks) {
    OllamaLlm service{config()};
    LlmClient client{service};
    test::expect_that_what_came_stands(client, server);
    EXPECT_EQ(client.hear("Hi").text, "Hello from the model.") << "and the next one is whole";
}

TEST_P(Ollama, ThinkingIsNotSpokenAndSingleBytesAreRead) {
    behave([](ChatBehaviour& b) {
        b.thinking = {"Let me", " think."};
        b.tokens = {"Günaydın", "."};
        b.byte_by_byte = true;
        b.crlf = true;
    });
    OllamaLlm service{config()};
    LlmClient client{service};
    EXPECT_EQ(client.hear("Hi").text, "Günaydın.");
}

TEST_P(Ollama, SpeaksTls) {
    const test::SelfMadeCertificate certificate{
        std::filesystem::temp_directory_path().string(), "localhost"};
    test::TlsFront front{certificate, server.port()};
    auto secured = config();
    secured.endpoint.url = "https://localhost:" + std::to_string(front.port());
    secured.endpoint.tls.ca_file = certificate.certificate_file;
    OllamaLlm service{secured};
    LlmClient client{service};
    EXPECT_EQ(client.hear("Hi").text, "Hello from the model.");
    EXPECT_EQ(client.hear("Hi").text, "Hello from the model.");
    EXPECT_TRUE(test::result_of(client.shard, service.probe(client.shard)).has_value());
    secured.endpoint.tls.ca_file.clear();
    OllamaLlm distrustful{secured};
    EXPECT_TRUE(test::result_of(client.shard, distrustful.probe(client.shard)).has_error());
}

TEST_P(Ollama, ShowsItsCertificateToAServerThatAsks) {
    const std::string folder = std::filesystem::temp_directory_path().string();
    const test::SelfMadeCertificate theirs{folder, "localhost"};
    const test::SelfMadeCertificate ours{folder, "oavc"};
    test::TlsFront front{theirs, server.port(), &ours};
    auto secured = config();
    secured.endpoint.url = "https://localhost:" + std::to_string(front.port());
    secured.endpoint.tls.ca_file = theirs.certificate_file;
    async::Shard shard{9};
    {
        OllamaLlm stranger{secured};
        EXPECT_TRUE(test::result_of(shard, stranger.probe(shard)).has_error());
    }
    secured.endpoint.tls.certificate_file = ours.certificate_file;
    secured.endpoint.tls.key_file = ours.key_file;
    OllamaLlm service{secured};
    LlmClient client{service};
    EXPECT_EQ(client.hear("Hi").text, "Hello from the model.");
    EXPECT_TRUE(test::result_of(client.shard, service.probe(client.shard)).has_value());
}

TEST_P(Ollama, TellsWhetherItAnswers) {
    async::Shard shard{9};
    auto made = config();
    made.endpoint.url += "/";
    OllamaLlm service{made};
    EXPECT_TRUE(test::result_of(shard, service.probe(shard)).has_value());
    server.stop();
    EXPECT_EQ(test::result_of(shard, service.probe(shard)).error(), ServiceErrc::unavailable);
}

TEST_P(Ollama, LoadsTheModelBeforeItIsAsked) {
    async::Shard shard{9};
    server.load_time(50ms);
    OllamaLlm service{config()};
    EXPECT_TRUE(test::result_of(shard, service.prepare(shard)).has_value());
    ASSERT_EQ(server.loads().size(), 1u);
    EXPECT_THAT(server.loads()[0], HasSubstr("\"num_ctx\":4096"));
    EXPECT_TRUE(server.asks().empty());
}

TEST_P(Ollama, IsPreparedBehindTheFailoverToo) {
    async::Shard shard{9};
    async::WorkerPool workers{1, 4};
    Config all;
    all.llm_provider = "openai";
    all.llm_fallback = "ollama";
    all.ollama = config();
    ServiceFactory factory{all, workers};
    const auto service = factory.make_llm();
    EXPECT_TRUE(test::result_of(shard, service->prepare(shard)).has_value());
    EXPECT_EQ(server.loads().size(), 1u);
    server.remove_model("llama3.2:3b");
    EXPECT_EQ(test::result_of(shard, service->prepare(shard)).error(), ServiceErrc::configuration);
}

TEST_P(Ollama, AMissingModelIsPulledWhereThatIsAllowed) {
    async::Shard shard{9};
    auto made = config();
    made.model = "qwen3";
    {
        OllamaLlm service{made};
        EXPECT_EQ(
            test::result_of(shard, service.prepare(shard)).error(), ServiceErrc::configuration
        );
    }
    made.pull_missing = true;
    OllamaLlm service{made};
    EXPECT_EQ(test::result_of(shard, service.prepare(shard)).error(), ServiceErrc::configuration)
        << "nobody publishes it";
    server.publish("qwen3");
    server.pulling({.breaks_off = true});
    EXPECT_EQ(test::result_of(shard, service.prepare(shard)).error(), ServiceErrc::unavailable);
    server.pulling({});
    EXPECT_TRUE(test::result_of(shard, service.prepare(shard)).has_value());
    EXPECT_TRUE(server.has_model("qwen3:latest"));
    EXPECT_EQ(server.loads().size(), 1u);
}

class OllamaTools : public Ollama {};
INSTANTIATE_TEST_SUITE_P(Chat, OllamaTools, ::testing::Values("chat"));

LlmRequest with_tools() {
    auto request = LlmClient::question("Bye");
    request.tools = {{"end_call", "Hangs up.", "{}"}};
    return request;
}

TEST_P(OllamaTools, CallsArriveWholeBesideText) {
    behave([](ChatBehaviour& b) {
        b.tokens = {"One moment."};
        b.calls = {{"end_call", "{}"}, {"transfer_call", R"({"to":{"name":"Ayşe"}})"}};
    });
    OllamaLlm service{config()};
    LlmClient client{service};
    const auto heard = client.hear(with_tools());
    EXPECT_EQ(heard.text, "One moment.");
    ASSERT_EQ(heard.calls.size(), 2u);
    EXPECT_EQ(heard.calls[0].name, "end_call");
    EXPECT_EQ(heard.calls[1].id, "call_1");
    EXPECT_EQ(heard.calls[1].arguments, R"({"to":{"name":"Ayşe"}})");
}

TEST_P(OllamaTools, AModelWithoutToolsIsNotOfferedAny) {
    server.add_model("llama3.2:3b", {.capabilities = {"completion"}});
    OllamaLlm service{config()};
    LlmClient client{service};
    EXPECT_EQ(client.hear(with_tools()).end, ServiceErrc::rejected) << "nobody knew";
    EXPECT_EQ(client.hear(with_tools()).end, ServiceErrc::end_of_stream) << "now we do";
    OllamaLlm prepared{config()};
    LlmClient other{prepared};
    EXPECT_TRUE(test::result_of(other.shard, prepared.prepare(other.shard)).has_value());
    EXPECT_EQ(other.hear(with_tools()).end, ServiceErrc::end_of_stream);
}

}  // namespace
}  // namespace oavc::services
