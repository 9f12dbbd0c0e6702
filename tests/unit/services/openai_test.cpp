#include "services/llm/openai.hpp"

#include "services/llm/detail/chat_json.hpp"
#include "services/llm/detail/openai_protocol.hpp"
#include "support/chat_adapter.hpp"
#include "support/fake_openai.hpp"
#include "support/llm_client.hpp"
#include "support/tls_front.hpp"

#include <boost/json/parse.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

namespace oavc::services {
namespace {

namespace json = boost::json;
using Role = ChatMessage::Role;
using test::ChatBehaviour;
using test::FakeOpenAi;
using test::Heard;
using test::LlmClient;
using ::testing::HasSubstr;

// The protocol, from bytes.

json::object request_of(const OpenAiConfig& config, LlmRequest request) {
    return json::parse(openai_request(config, std::move(request))).as_object();
}

TEST(OpenAiRequest, HasTheConversationAndTheLimitUnderItsName) {
    OpenAiConfig config;
    config.max_tokens_field = "max_completion_tokens";
    config.stop = {"\n\n"};
    const auto body = request_of(config, LlmClient::question("Merhaba"));
    EXPECT_EQ(body.at("stream").as_bool(), true);
    EXPECT_EQ(body.at("max_completion_tokens").as_int64(), 150);
    EXPECT_FALSE(body.contains("max_tokens"));
    EXPECT_EQ(
        json::serialize(body.at("messages")),
        R"([{"role":"system","content":"Be brief."},{"role":"user","content":"Merhaba"}])"
    );
    EXPECT_EQ(json::serialize(body.at("stop")), R"(["\n\n"])");
    EXPECT_FALSE(body.contains("tools"));
}

TEST(OpenAiRequest, LeavesOutWhatModelsThatReasonRefuse) {
    OpenAiConfig config;
    config.temperature = -1;
    config.top_p = -1;
    config.max_tokens = 0;
    const auto body = request_of(config, LlmClient::question("Merhaba"));
    EXPECT_FALSE(body.contains("temperature"));
    EXPECT_FALSE(body.contains("top_p"));
    EXPECT_FALSE(body.contains("max_tokens"));
}

TEST(OpenAiRequest, ToolsAndTheirResultsGoBackAsTheyCame) {
    auto request = LlmClient::question("Where is my order?");
    request.messages.push_back({Role::assistant, "", {{"call_1", "lookup", R"({"id":"42"})"}}});
    request.messages.push_back({Role::tool, "shipped", {}, "call_1", "lookup"});
    request.tools = {{"lookup", "Finds an order.", R"({"type":"object"})"}};
    const auto body = request_of({}, request);
    EXPECT_EQ(
        json::serialize(body.at("messages").at(2)),
        R"({"role":"assistant","tool_calls":[{"id":"call_1","type":"function",)"
        R"("function":{"name":"lookup","arguments":"{\"id\":\"42\"}"}}]})"
    ) << "arguments are text here";
    EXPECT_EQ(
        json::serialize(body.at("messages").at(3)),
        R"({"role":"tool","content":"shipped","tool_call_id":"call_1"})"
    );
    EXPECT_EQ(
        json::serialize(body.at("tools")),
        R"([{"type":"function","function":{"name":"lookup","description":"Finds an order.",)"
        R"("parameters":{"type":"object"}}}])"
    );
}

TEST(OpenAiRequest, WhatWasSaidAlreadyIsContinued) {
    auto request = LlmClient::question("When do you open?");
    request.said_already = "We open at nine, and";
    const auto body = request_of({}, request);
    EXPECT_EQ(body.at("messages").at(2).at("content").as_string(), "We open at nine, and");
    EXPECT_EQ(body.at("messages").at(3).at("role").as_string(), "user");
}

Heard read(std::string_view body, std::size_t cut) {
    OpenAiReader reader{[](int, std::string_view) {}};
    return test::read_body(reader, body, cut);
}
Heard read(std::string_view body) { return read(body, body.size()); }

std::string delta(std::string_view content) {
    return "data: {\"choices\":[{\"index\":0,\"delta\":" + std::string{content} + "}]}\n\n";
}
const std::string stop = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const std::string usage = "data: {\"choices\":[],\"usage\":{\"total_tokens\":17}}\n\n";
const std::string done = "data: [DONE]\n\n";

TEST(OpenAiReader, ReadsTheSameHoweverItIsCut) {
    const std::string body =
        ": keep-alive\r\n\r\n" + delta(R"({"role":"assistant","content":null})") +
        delta(R"({"content":"Ölçü \ud83d\ude00"})") + delta(R"({"reasoning":"hmm","content":""})") +
        delta(R"({"refusal":" no"})") + stop + usage + done;
    for (std::size_t cut = 0; cut <= body.size(); ++cut) {
        const auto heard = read(body, cut);
        EXPECT_EQ(heard.text, "Ölçü 😀 no") << cut;
        EXPECT_EQ(heard.end, ServiceErrc::end_of_stream) << cut;
    }
}

TEST(OpenAiReader, PiecesOfToolCallsAreJoinedByIndex) {
    const auto heard = read(
        delta(R"({"content":null,"tool_calls":[{"index":0,"id":"a","type":"function",)"
              R"("function":{"name":"lookup","arguments":""}}]})") +
        delta(R"({"tool_calls":[{"index":1,"id":"b","function":{"name":"bye","arguments":"{no"}}]})"
        ) +
        delta(R"({"tool_calls":[{"index":0,"function":{"arguments":"{\"id\":"}}]})") +
        delta(R"({"tool_calls":[{"index":0,"id":"a","function":{"arguments":"\"42\"}"}}]})") +
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n" + done
    );
    ASSERT_EQ(heard.calls.size(), 2u);
    EXPECT_EQ(heard.calls[0].id, "a");
    EXPECT_EQ(heard.calls[0].name, "lookup");
    EXPECT_EQ(heard.calls[0].arguments, R"({"id":"42"})");
    EXPECT_EQ(heard.calls[1].arguments, "{}") << "what is no JSON";
    EXPECT_EQ(heard.end, ServiceErrc::end_of_stream);
}

TEST(OpenAiReader, ServersWithoutIndexesSendWholeCallsOrPiecesOfTheLatest) {
    const auto heard = read(
        delta(R"({"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}},)"
              R"({"id":"b","function":{"name":"g","arguments":"{\"x\""}}]})") +
        delta(R"({"tool_calls":[{"function":{"arguments":":1}"}}]})") +
        delta(R"({"tool_calls":[{"function":{"name":"h","arguments":"{}"}}]})") + stop + done
    );
    ASSERT_EQ(heard.calls.size(), 3u);
    EXPECT_EQ(heard.calls[0].arguments, "{}");
    EXPECT_EQ(heard.calls[1].arguments, "{\"x\":1}");
    EXPECT_EQ(heard.calls[2].name, "h");
}

TEST(OpenAiReader, ACallThatWasCutOffIsNotMade) {
    const auto heard =
        read(delta(R"({"tool_calls":[{"index":0,"id":"a","function":{"name":"end_call"}}]})"));
    EXPECT_TRUE(heard.calls.empty());
    EXPECT_EQ(heard.end, ServiceErrc::unavailable);
}

TEST(OpenAiReader, EndsAreToldApart) {
    const auto text = delta(R"({"content":"Mer"})");
    const auto end_of = [&](const std::string& rest) {
        const auto heard = read(text + rest);
        EXPECT_EQ(heard.text, "Mer");
        return heard.end;
    };
    EXPECT_EQ(end_of(done), ServiceErrc::end_of_stream);
    EXPECT_EQ(end_of("data: [DONE]"), ServiceErrc::end_of_stream);
    EXPECT_EQ(end_of(stop), ServiceErrc::end_of_stream) << "[DONE] may be missing";
    EXPECT_EQ(end_of(""), ServiceErrc::unavailable);
    EXPECT_EQ(end_of("data: {\"choi"), ServiceErrc::unavailable);
    EXPECT_EQ(
        end_of("data: {\"error\":{\"message\":\"x\",\"type\":\"server_error\"}}\n\n"),
        ServiceErrc::unavailable
    );
    EXPECT_EQ(end_of("event: error\ndata: {\"message\":\"x\"}\n\n"), ServiceErrc::unavailable);
    EXPECT_EQ(
        end_of("data: {\"error\":{\"message\":\"x\",\"type\":\"invalid_request_error\"}}\n\n"),
        ServiceErrc::rejected
    );
    EXPECT_EQ(end_of("data: <html>\n\n"), ServiceErrc::protocol);
    EXPECT_EQ(end_of(std::string(2'000'000, 'x')), ServiceErrc::protocol);
    std::string calls;
    for (int i = 0; i < 40; ++i)
        calls += delta(R"({"tool_calls":[{"index":)" + std::to_string(i) + "}]}");
    EXPECT_EQ(end_of(calls), ServiceErrc::protocol);
}

TEST(ErrorText, FindsTheWordsInEveryShape) {
    EXPECT_EQ(error_text(R"({"error":{"message":"no such\nmodel","code":1}})"), "no such model");
    EXPECT_EQ(error_text(R"({"error":"busy"})"), "busy");
    EXPECT_EQ(error_text(R"({"detail":"Not Found"})"), "Not Found");
    EXPECT_EQ(error_text(R"({"message":"m"})"), "m");
    EXPECT_EQ(error_text("<html>"), "");
    EXPECT_EQ(error_text(R"({"detail":[{"input":"what the caller said"}]})"), "");
    EXPECT_EQ(error_text("{\"error\":\"" + std::string(9999, 'x') + "\"}").size(), 200u);
}

// The adapter, against a server.

class OpenAi : public ::testing::Test {
protected:
    OpenAiConfig config() const {
        OpenAiConfig made;
        made.endpoint.url = server.url();
        return made;
    }
    void behave(void (*change)(ChatBehaviour&)) { server.behave(change); }

    FakeOpenAi server;
};

TEST_F(OpenAi, AnswersOverOneConnection) {
    OpenAiLlm service{config()};
    LlmClient client{service};
    for (int turn = 0; turn < 2; ++turn) {
        const auto heard = client.hear("Hi");
        EXPECT_EQ(heard.text, "Hello from the model.");
        EXPECT_EQ(heard.end, ServiceErrc::end_of_stream);
        client.settle_until([before = Clock::now()] { return Clock::now() - before > 20ms; });
    }
    EXPECT_EQ(server.connections(), 1u);
    EXPECT_EQ(server.asks()[0].authorization, "") << "no key, no header";
}

TEST_F(OpenAi, TheKeyIsShown) {
    server.want_key("secret");
    auto made = config();
    made.api_key = "secret";
    OpenAiLlm service{made};
    LlmClient client{service};
    EXPECT_EQ(client.hear("Hi").end, ServiceErrc::end_of_stream);
    EXPECT_TRUE(test::result_of(client.shard, service.probe(client.shard)).has_value());
    made.api_key = "wrong";
    OpenAiLlm stranger{made};
    LlmClient refused{stranger};
    EXPECT_EQ(refused.hear("Hi").end, ServiceErrc::rejected);
    EXPECT_EQ(
        test::result_of(refused.shard, stranger.probe(refused.shard)).error(), ServiceErrc::rejected
    );
}

TEST_F(OpenAi, ProbesSayWhatIsWrong) {
    async::Shard shard{9};
    auto made = config();
    made.endpoint.url += "/v2";
    OpenAiLlm elsewhere{made};
    EXPECT_EQ(test::result_of(shard, elsewhere.probe(shard)).error(), ServiceErrc::configuration);
    server.stop();
    OpenAiLlm service{config()};
    EXPECT_EQ(test::result_of(shard, service.probe(shard)).error(), ServiceErrc::unavailable);
    made.endpoint.url = "api.openai.com";
    OpenAiLlm misspelt{made};
    EXPECT_EQ(test::result_of(shard, misspelt.probe(shard)).error(), ServiceErrc::configuration);
    LlmClient client{misspelt};
    EXPECT_EQ(client.hear("Hi").end, ServiceErrc::configuration);
}

TEST_F(OpenAi, CancellingStopsTheServerAndTheNextReplyIsClean) {
    OpenAiLlm service{config()};
    LlmClient client{service};
    test::expect_that_cancelling_stops_it(client, server);
}

TEST_F(OpenAi, RefusalsAreToldApart) {
    OpenAiLlm service{config()};
    LlmClient client{service};
    for (const auto& [status, expected] : std::vector<std::pair<int, ServiceErrc>>{
             {400, ServiceErrc::rejected},
             {404, ServiceErrc::configuration},
             {409, ServiceErrc::unavailable},
             {422, ServiceErrc::rejected},
             {429, ServiceErrc::overloaded},
             {502, ServiceErrc::unavailable},
             {503, ServiceErrc::overloaded}}) {
        server.behave([status = status](ChatBehaviour& b) { b.refuse = status; });
        EXPECT_EQ(client.hear("Hi").end, expected) << status;
    }
    behave([](ChatBehaviour& b) { b.refusal_body = std::string(100'000, '<'); });
    EXPECT_EQ(client.hear("Hi").end, ServiceErrc::overloaded) << "a page of any length";
}

TEST_F(OpenAi, WhatCameStandsWhenTheReplyBreaks) {
    OpenAiLlm service{config()};
    LlmClient client{service};
    test::expect_that_what_came_stands(client, server);
    server.without_done(true);
    EXPECT_EQ(client.hear("Hi").end, ServiceErrc::end_of_stream);
}

TEST_F(OpenAi, ToolsAreCalledAndThinkingIsNotSpoken) {
    behave([](ChatBehaviour& b) {
        b.thinking = {"Let me think."};
        b.tokens = {"Bye."};
        b.calls = {{"end_call", "{}"}, {"transfer_call", R"({"to":"Ayşe"})"}};
        b.byte_by_byte = true;
        b.crlf = true;
    });
    OpenAiLlm service{config()};
    LlmClient client{service};
    const auto heard = client.hear("Bye");
    EXPECT_EQ(heard.text, "Bye.");
    ASSERT_EQ(heard.calls.size(), 2u);
    EXPECT_EQ(heard.calls[1].name, "transfer_call");
    EXPECT_EQ(heard.calls[1].arguments, R"({"to":"Ayşe"})");
}

TEST_F(OpenAi, SpeaksTls) {
    const test::SelfMadeCertificate certificate{
        std::filesystem::temp_directory_path().string(), "localhost"};
    test::TlsFront front{certificate, server.port()};
    auto secured = config();
    secured.endpoint.url = "https://localhost:" + std::to_string(front.port()) + "/v1";
    secured.endpoint.tls.ca_file = certificate.certificate_file;
    OpenAiLlm service{secured};
    LlmClient client{service};
    EXPECT_EQ(client.hear("Hi").text, "Hello from the model.");
    EXPECT_EQ(client.hear("Hi").text, "Hello from the model.");
    EXPECT_TRUE(test::result_of(client.shard, service.probe(client.shard)).has_value());
}

}  // namespace
}  // namespace oavc::services
