#include "services/llm/llama.hpp"

#include "async/deadline.hpp"
#include "async/task_group.hpp"
#include "services/errors.hpp"
#include "services/llm/detail/continuation.hpp"
#include "services/llm/detail/llama_protocol.hpp"
#include "support/await.hpp"
#include "support/fake_llama.hpp"
#include "support/spoken.hpp"
#include "support/tls_front.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

namespace oavc::services {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

using Role = ChatMessage::Role;

LlmRequest ask_for(std::string text) {
    LlmRequest request;
    request.messages = {{Role::system, "Kısa konuş."}, {Role::user, std::move(text)}};
    return request;
}

LlmRequest third_turn() {
    LlmRequest request;
    request.messages = {
        {Role::system, "Be brief."},
        {Role::user, "Hello."},
        {Role::assistant, "Good morning."},
        {Role::user, "Where is my card?"},
    };
    return request;
}

std::string text_at(const boost::json::value& value, std::string_view pointer) {
    boost::system::error_code missing;
    const auto* const found = value.find_pointer(pointer, missing);
    return found != nullptr && found->is_string() ? std::string{found->get_string()} : "";
}

// --- The protocol, from bytes -------------------------------------------------------------------

TEST(LlamaRequest, HasThePredecessorsForm) {
    EXPECT_EQ(
        llama_request({}, ask_for("Bakiyem ne kadar?"), "tr"),
        R"({"messages":[{"role":"system","content":"Kısa konuş."},)"
        R"({"role":"user","content":"Bakiyem ne kadar?"}],)"
        R"("temperature":0.2,"max_tokens":80,"stream":true,"use_rag":true,"top_p":0.7})"
    );
    LlamaConfig config;
    config.model = "llama3.2:3b-instruct-turkish";
    config.use_rag = false;
    const auto request = llama_request(config, ask_for("a"), "tr");
    EXPECT_THAT(request, HasSubstr(R"("model":"llama3.2:3b-instruct-turkish")"));
    EXPECT_THAT(request, HasSubstr(R"("use_rag":false)"));
}

TEST(LlamaRequest, HasAFlatForm) {
    LlamaConfig config;
    config.dialect = "prompt";
    EXPECT_EQ(
        llama_request(config, ask_for("Bakiyem ne kadar?"), "tr"),
        R"({"prompt":"Bakiyem ne kadar?","system_prompt":"Kısa konuş.",)"
        R"("stop":["User:","System:","\n\n"],)"
        R"("temperature":0.2,"max_tokens":80,"stream":true,"use_rag":true,"top_p":0.7})"
    );
}

TEST(LlamaRequest, TellsTheTurnsBeforeInTheOneMessageThatIsRead) {
    const auto request = boost::json::parse(llama_request({}, third_turn(), "en"));
    EXPECT_THAT(request.at("messages").as_array(), SizeIs(2));
    EXPECT_EQ(text_at(request, "/messages/0/content"), "Be brief.");
    EXPECT_EQ(
        text_at(request, "/messages/1/content"),
        "The conversation so far:\nCaller: Hello.\nAssistant: Good morning.\n\n"
        "The caller now says: Where is my card?"
    );
    const auto turkish = boost::json::parse(llama_request({}, third_turn(), "tr-TR"));
    EXPECT_EQ(
        text_at(turkish, "/messages/1/content"),
        "Önceki konuşma:\nArayan: Hello.\nAsistan: Good morning.\n\n"
        "Arayan şimdi diyor ki: Where is my card?"
    );
}

TEST(LlamaRequest, LeavesTheTurnsAloneForAServerThatReadsThem) {
    LlamaConfig config;
    config.fold_history = false;
    const auto request = boost::json::parse(llama_request(config, third_turn(), "en"));
    EXPECT_THAT(request.at("messages").as_array(), SizeIs(4));
    EXPECT_EQ(text_at(request, "/messages/3/content"), "Where is my card?");
}

TEST(LlamaRequest, AsksToGoOnBehindWhatWasSaid) {
    auto broken = third_turn();
    broken.said_already = "Your card";
    const auto request = boost::json::parse(llama_request({}, broken, "en"));
    EXPECT_EQ(
        text_at(request, "/messages/1/content"),
        "The conversation so far:\nCaller: Hello.\nAssistant: Good morning.\n"
        "Caller: Where is my card?\nAssistant: Your card\n\n" +
            std::string{continue_reply}
    );
}

TEST(LlamaRequest, LeavesOutTheOldestTurnsOfALongConversation) {
    LlmRequest request;
    for (int i = 0; i < 100; ++i) {
        request.messages.push_back({Role::user, "question " + std::to_string(i)});
        request.messages.push_back({Role::assistant, std::string(100, 'x')});
    }
    request.messages.push_back({Role::user, "now"});
    const auto text =
        text_at(boost::json::parse(llama_request({}, request, "en")), "/messages/0/content");
    EXPECT_LT(text.size(), 4'300u);
    EXPECT_THAT(text, HasSubstr("question 99"));
    EXPECT_THAT(text, Not(HasSubstr("question 50")));
}

TEST(LlamaMessage, TakesTheTextWhereverAServerOfThisKindPutsIt) {
    const std::vector<std::pair<std::string, std::string>> spellings{
        {R"({"chunk":" Mer"})", " Mer"},
        {R"({"message":{"content":"a"},"done":false})", "a"},
        {R"({"response":"b"})", "b"},
        {R"({"choices":[{"delta":{"content":"c"}}]})", "c"},
        {R"({"token":"d"})", "d"},
        {R"({"token":"later","chunk":"first"})", "first"},
        {R"({"chunk":"say\u0131"})", "sayı"},
        {R"({"chunk":"\n"})", "\n"},
        {R"({"rag_context":"x","context_length":1})", ""},
        {R"({"chunk":7})", ""},
        {R"({"choices":[]})", ""},
        {R"({"unknown":"x"})", ""},
    };
    for (const auto& [message, text] : spellings) {
        const auto parsed = parse_llama_message(message);
        EXPECT_EQ(parsed.text, text) << message;
        EXPECT_FALSE(parsed.done) << message;
        EXPECT_THAT(parsed.error, IsEmpty()) << message;
    }
}

TEST(LlamaMessage, KnowsTheEndAndTheErrors) {
    EXPECT_TRUE(parse_llama_message(R"({"done":true})").done);
    const auto both = parse_llama_message(R"({"chunk":"!","done":true})");
    EXPECT_TRUE(both.done);
    EXPECT_EQ(both.text, "!");
    EXPECT_EQ(
        parse_llama_message(R"({"error":"Processing error: x"})").error, "Processing error: x"
    );
    EXPECT_THAT(parse_llama_message(R"({"error":{"code":3}})").error, HasSubstr("3"));
    EXPECT_THAT(parse_llama_message(R"({"error":null,"chunk":"a"})").error, IsEmpty());
    for (const auto garbage : {"", "{", "[]", "null", "\xFF", "{\"done\":1}"}) {
        EXPECT_FALSE(parse_llama_message(garbage).done) << garbage;
    }
    EXPECT_FALSE(parse_llama_message(std::string(100'000, '[')).done);
}

// --- Against a server ---------------------------------------------------------------------------

struct Answer {
    std::string text;
    std::size_t pieces{0};
    error_code end;
};

asio::awaitable<Answer> read_answer(LlmReply& reply) {
    Answer answer;
    for (;;) {
        const auto event = co_await reply.next();
        if (!event) {
            answer.end = event.error();
            co_return answer;
        }
        answer.text += event->text;
        ++answer.pieces;
    }
}

class Llama : public ::testing::Test {
protected:
    void TearDown() override {
        session_.reset();
        test::run_dry(shard_);
    }
    LlamaConfig config() const {
        LlamaConfig made;
        made.endpoint.url = server_.url();
        made.endpoint.connect_timeout = 20s;
        return made;
    }
    LlmSession& session(const LlamaConfig& config) {
        service_.emplace(config);
        session_ = test::value_of(shard_, service_->open(shard_, {"tr"}));
        return *session_;
    }
    LlmSession& session() { return session(config()); }
    Answer ask(LlmSession& session, std::string text = "Merhaba") {
        const auto reply = session.ask(ask_for(std::move(text)));
        return test::result_of(shard_, read_answer(*reply));
    }

    async::Shard shard_{0};
    test::FakeLlama server_;
    std::optional<LlamaLlm> service_;
    std::unique_ptr<LlmSession> session_;
};

TEST_F(Llama, StreamsAnswersOneAfterAnotherOnOneConnection) {
    server_.set({.rag_context = "Çalışma saatleri 09.00-18.00"});
    server_.model([](const std::string& user) { return "Siz \"" + user + "\" dediniz."; });
    auto& model = session();
    for (int i = 0; i < 4; ++i) {
        const auto answer = ask(model, "şu " + std::to_string(i));
        EXPECT_EQ(answer.end, ServiceErrc::end_of_stream);
        EXPECT_EQ(answer.text, "Siz \"şu " + std::to_string(i) + "\" dediniz.");
        EXPECT_EQ(answer.pieces, 4u);
    }
    EXPECT_LE(server_.connections().total(), 2) << "one in use and one in reserve";
}

TEST_F(Llama, AnAnswerMayBeEmptyOrEndWithAnError) {
    auto& model = session();
    server_.say({R"({"done":true})"});
    EXPECT_EQ(ask(model).end, ServiceErrc::end_of_stream);

    server_.say({R"({"chunk":"Bir"})", R"({"error":"Processing error: x"})"});
    const auto cut = ask(model);
    EXPECT_EQ(cut.text, "Bir");
    EXPECT_EQ(cut.end, ServiceErrc::unavailable);

    server_.say({R"({"error":"Prompt text is required"})"});
    EXPECT_EQ(ask(model).end, ServiceErrc::unavailable);
    server_.say({});
    EXPECT_EQ(ask(model).end, ServiceErrc::end_of_stream);
}

TEST_F(Llama, NothingOfACancelledAnswerReachesTheNext) {
    server_.model([](const std::string& user) { return user + " " + user + " " + user; });
    server_.trouble({.pause = 10ms});
    auto& model = session();
    for (int i = 0; i < 3; ++i) {
        auto old = model.ask(ask_for("eski"));
        EXPECT_EQ(test::value_of(shard_, old->next()).text, "eski");
        old.reset();
        EXPECT_EQ(ask(model, "yeni").text, "yeni yeni yeni");
    }
}

TEST_F(Llama, ACancelledAnswerIsCancelledAtTheServer) {
    server_.trouble({.stall_after = 1});
    auto& model = session();
    auto reply = model.ask(ask_for("a"));
    EXPECT_TRUE(test::result_of(shard_, reply->next()).has_value());
    EXPECT_TRUE(test::run_until(shard_, [&] { return server_.connections().open() == 2; }));
    reply.reset();
    EXPECT_TRUE(test::run_until(shard_, [&] { return server_.connections().open() == 1; }));
}

TEST_F(Llama, ALateAnswerIsNotTheNextOnesAnswer) {
    server_.model([](const std::string& user) { return user; });
    server_.trouble({.delay = 100ms});
    auto& model = session();
    auto late = model.ask(ask_for("birinci"));
    EXPECT_TRUE(test::result_of(shard_, async::with_deadline(late->next(), 20ms)).has_error());
    late.reset();
    EXPECT_EQ(ask(model, "ikinci").text, "ikinci");
}

TEST_F(Llama, AConnectionThatEndsInMidAnswerIsAnError) {
    for (const auto& trouble :
         {test::Trouble{.close_after = 1},
          test::Trouble{.close_after = 1, .close_code = 1000},
          test::Trouble{.pause = 10ms, .drop_after = 1}}) {
        server_.trouble(trouble);
        EXPECT_EQ(ask(session()).end, ServiceErrc::unavailable);
    }
}

TEST_F(Llama, AConnectionThatIsDeadWhenItIsTakenIsReplacedOnce) {
    server_.trouble({.close_after = 0});
    EXPECT_EQ(ask(session()).end, ServiceErrc::unavailable);
    EXPECT_THAT(server_.requests(), SizeIs(2));
}

TEST_F(Llama, GarbageIsIgnored) {
    server_.trouble({.garbage = true});
    EXPECT_EQ(ask(session()).text, "Evet efendim.");
}

TEST_F(Llama, AServerThatWasRestartedIsUsedAgain) {
    auto& model = session();
    EXPECT_EQ(ask(model).end, ServiceErrc::end_of_stream);
    server_.stop();
    EXPECT_EQ(ask(model).end, ServiceErrc::unavailable);
    server_.start();
    EXPECT_EQ(ask(model).end, ServiceErrc::end_of_stream);
}

TEST_F(Llama, RefusalsAndSilenceAreToldApart) {
    server_.refuse(503);
    EXPECT_EQ(ask(session()).end, ServiceErrc::overloaded);
    EXPECT_EQ(test::result_of(shard_, service_->probe(shard_)).error(), ServiceErrc::overloaded);
    server_.refuse(0);
    EXPECT_TRUE(test::result_of(shard_, service_->probe(shard_)).has_value());
    server_.freeze();
    auto impatient = config();
    impatient.endpoint.connect_timeout = 50ms;
    EXPECT_EQ(ask(session(impatient)).end, ServiceErrc::timed_out);
    server_.thaw();
}

TEST_F(Llama, ASessionMayGoWhileItsAnswerIsAwaited) {
    server_.trouble({.stall_after = 0});
    auto reply = session().ask(ask_for("a"));
    async::TaskGroup tasks{shard_.executor(), [](std::exception_ptr) {}};
    error_code end;
    const auto wait = [](LlmReply* of, error_code* into) -> asio::awaitable<void> {
        const auto event = co_await of->next();
        *into = event.error();
    };
    tasks.spawn(wait(reply.get(), &end));
    EXPECT_TRUE(test::run_until(shard_, [&] { return !server_.requests().empty(); }));
    tasks.cancel();
    reply.reset();
    session_.reset();
    EXPECT_TRUE(test::run_until(shard_, [&] { return tasks.empty(); }));
    EXPECT_EQ(end, ServiceErrc::cancelled);
}

TEST_F(Llama, WorksBehindTls) {
    const test::SelfMadeCertificate certificate{testing::TempDir(), "localhost"};
    const test::TlsFront front{certificate, server_.port()};
    auto secure = config();
    secure.endpoint.url = "wss://localhost:" + std::to_string(front.port());
    secure.endpoint.tls.ca_file = certificate.certificate_file;
    secure.endpoint.connect_timeout = 20s;
    EXPECT_EQ(ask(session(secure)).end, ServiceErrc::end_of_stream);
    session_.reset();
    test::run_dry(shard_);
}

TEST(LlamaConfigured, RefusesAnUnknownDialect) {
    LlamaConfig config;
    config.dialect = "grpc";
    EXPECT_THROW(LlamaLlm{config}, std::runtime_error);
}

}  // namespace
}  // namespace oavc::services
