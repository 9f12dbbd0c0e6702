#include "app/options.hpp"
#include "support/fake_ollama.hpp"
#include "support/run_program.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace oavc::app {
namespace {

using test::FakeOllama;
using test::ProgramResult;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class OllamaModelsCommand : public testing::Test {
protected:
    /// `oavc models ollama …` of a user whose server is the fake.
    ProgramResult run(std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), {OAVC_BINARY, "models", "ollama"});
        arguments.insert(arguments.end(), {"--url", server.url()});
        return test::run_program(std::move(arguments), {}, OAVC_SOURCE_DIR);
    }

    FakeOllama server;
};

TEST_F(OllamaModelsCommand, ListsWhatTheServerHas) {
    server.add_model("qwen3:4b", {.size = 397'821'319});
    const auto result = run({"list"});
    EXPECT_EQ(result.status, 0);
    EXPECT_THAT(
        result.output,
        AllOf(
            HasSubstr("llama3.2:3b"), HasSubstr("2.0 GB"), HasSubstr("398 MB"), HasSubstr("Q4_K_M")
        )
    );
    server.remove_model("qwen3:4b");
    server.remove_model("llama3.2:3b");
    EXPECT_THAT(run({}).output, HasSubstr("no models yet: oavc models ollama pull NAME"));
}

TEST_F(OllamaModelsCommand, PullsSeveral) {
    server.publish("qwen3");
    server.publish("phi4:mini");
    const auto result = run({"pull", "qwen3", "phi4:mini"});
    EXPECT_EQ(result.status, 0);
    EXPECT_EQ(result.output, "qwen3 is there\nphi4:mini is there\n") << "no bar but on a terminal";
    EXPECT_TRUE(server.has_model("qwen3:latest"));
    EXPECT_TRUE(server.has_model("phi4:mini"));
}

TEST_F(OllamaModelsCommand, SaysWhyAPullFailed) {
    auto result = run({"pull", "qwenn"});
    EXPECT_EQ(result.status, 1);
    EXPECT_THAT(result.output, AllOf(HasSubstr("qwenn"), HasSubstr("is the name right?")));
    server.publish("qwen3");
    server.pulling({.fails = true});
    result = run({"pull", "qwen3"});
    EXPECT_EQ(result.status, 1);
    EXPECT_THAT(result.output, HasSubstr("no space left on device"));
    server.pulling({.breaks_off = true});
    EXPECT_THAT(run({"pull", "qwen3"}).output, HasSubstr("goes on from there"));
}

TEST_F(OllamaModelsCommand, ShowsWhatAModelCan) {
    const auto result = run({"show", "llama3.2:3b"});
    EXPECT_EQ(result.status, 0);
    EXPECT_THAT(
        result.output,
        AllOf(
            HasSubstr("131072 tokens"), HasSubstr("completion, tools"), HasSubstr("temperature 0.6")
        )
    );
}

TEST_F(OllamaModelsCommand, DeletesAndKnowsWhatIsMeant) {
    auto result = run({"rm", "llama3.2:1b"});
    EXPECT_EQ(result.status, 1);
    EXPECT_THAT(result.output, HasSubstr("did you mean llama3.2:3b?"));
    EXPECT_EQ(run({"rm", "llama3.2:3b"}).status, 0);
    EXPECT_FALSE(server.has_model("llama3.2:3b"));
    EXPECT_THAT(run({"show", "llama3.2:3b"}).output, HasSubstr("the server has no models yet"));
}

TEST_F(OllamaModelsCommand, SaysWhereNobodyAnswers) {
    server.stop();
    const auto result = run({"list"});
    EXPECT_EQ(result.status, 1);
    EXPECT_THAT(result.output, AllOf(HasSubstr(server.url()), HasSubstr("ollama serve")));
}

TEST_F(OllamaModelsCommand, MisuseIsExplained) {
    EXPECT_EQ(run({"push"}).status, 2);
    EXPECT_EQ(run({"rm"}).status, 2);
    EXPECT_EQ(run({"pull"}).status, 2) << "no configuration, no name";
    EXPECT_EQ(run({"list", "x"}).status, 2);
    EXPECT_THAT(run({"-c", "x.ini"}).output, HasSubstr("give one"));
    EXPECT_THAT(run({"--help"}).output, HasSubstr("oavc models ollama rm NAME"));
}

}  // namespace
}  // namespace oavc::app
