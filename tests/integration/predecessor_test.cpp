// An operator of the Python predecessor puts this server in its place: his INI file, as it was
// shipped, and the environment of his Compose file stay as they are, and calls go on.

#include "caller/run.hpp"
#include "support/fake_llama.hpp"
#include "support/fake_piper.hpp"
#include "support/fake_vosk.hpp"
#include "support/provider_rigs.hpp"
#include "support/running_server.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace oavc::caller {
namespace {

/// Keeps what the server told.
class Witness final : public RunObserver {
public:
    std::vector<ServerEvent> events;
    std::string texts(std::string_view kind) const {
        std::string all;
        for (const auto& event : events) {
            if (event.kind == kind) all += event.text + "\n";
        }
        return all;
    }

private:
    void on_waiting(std::string_view) override {}
    void on_call(std::size_t, std::string_view) override {}
    void on_answered(const Dialled&) override {}
    void on_caller_speaks(milliseconds, const Utterance&) override {}
    void on_server_event(milliseconds, const ServerEvent& event) override {
        events.push_back(event);
    }
    void on_over(milliseconds, std::string_view) override {}
    void on_report(const CallReport&) override {}
};

TEST(Predecessor, ItsIniAndEnvironmentServeACallUnmodified) {
    constexpr std::string_view question = "what are your opening hours";
    constexpr std::string_view answer = "Hafta içi dokuzdan beşe kadar açığız.";
    test::WordsAsHeard words;
    words.expect(question);
    test::FakeVosk vosk;
    vosk.recognise([&](media::Samples audio) { return words(audio, wideband); });
    test::FakeLlama llama;
    llama.model([&](const std::string&) { return std::string{answer}; });
    test::FakePiper piper;
    piper.synthesizer([](const std::string& text) { return test::tone_saying(text, {22'050}); });

    const auto ports = test::free_ports(12);
    const auto port = [ports](int offset) { return std::to_string(ports + offset); };
    const config::Environment compose{
        {"VOSK_WEBSOCKET_URL", vosk.url()},
        {"LLAMA_WEBSOCKET_URL", llama.url()},
        {"LLAMA_MODEL", "llama3.2:3b-instruct"},
        {"PIPER_WEBSOCKET_URL", piper.url()},
        {"SYSTEM_PROMPT", "Sen bir banka asistanısın."},
        {"CONVERSATION_LANGUAGE", "tr"},
        {"CONVERSATION_MAX_TURNS", "20"},
        {"LLM_MAX_TOKENS", "80"},
        {"LLM_TEMPERATURE", "0.2"},
        {"VAD_CONFIDENCE", "0.5"},
        {"VAD_START_SECS", "0.2"},
        {"VAD_STOP_SECS", "0.8"},
        {"VAD_MIN_VOLUME", "0.6"},
        {"ENABLE_INTERRUPTIONS", "true"},
        {"ENABLE_METRICS", "true"},
        {"PIPELINE_TIMEOUT", "30"},
        {"PIPELINE_MAX_ERRORS", "3"},
        {"LOG_LEVEL", "ERROR"},
        {"WAIT_FOR_DEPS", "false"},
        // In the place of its container's network, and where its ports would meet another test's.
        {"OAVC_TELEPHONY_OPENSIPS_MI_IP", "127.0.0.1"},
        {"OAVC_TELEPHONY_OPENSIPS_EVENT_IP", "127.0.0.1"},
        {"RTP_HOST_IP", "127.0.0.1"},
        {"OPENSIPS_EVENT_PORT", port(0)},
        {"OPENSIPS_MI_PORT", port(1)},
        {"SIP_PORT", port(2)},
        {"RTP_MIN_PORT", port(4)},
        {"RTP_MAX_PORT", port(11)},
        {"PORT", port(3)},
        {"OAVC_LIMITS_MAX_CALLS", "4"},
    };
    auto server = test::RunningServer::as_written("tests/data/predecessor.ini", compose);
    EXPECT_EQ(server.warnings(), "");
    server.start();

    Options options;
    options.via = "opensips";
    options.speech = {{Options::Speech::Kind::text, std::string{question}}};
    options.json = true;
    options.wait = 20s;
    options.timeout = 90s;
    Witness witness;
    CallRun run{options, server.config(), witness};
    const auto calls = run.run();

    ASSERT_EQ(calls.size(), 1U);
    const CallReport& call = calls[0];
    ASSERT_EQ(call.turns.size(), 1U);
    EXPECT_EQ(call.result, "ok");
    EXPECT_NE(call.deaf, "") << "the caller's own recogniser knows no Turkish";
    EXPECT_TRUE(call.turns[0].heard_latency_ms) << "nothing was heard after the question";
    EXPECT_EQ(witness.texts("caller_said"), std::string{question} + "\n");
    const auto said = witness.texts("sentence");
    EXPECT_NE(said.find("Merhaba"), std::string::npos) << said;
    EXPECT_NE(said.find(answer), std::string::npos) << said;
    EXPECT_THAT(llama.requests(), testing::Contains(testing::HasSubstr("banka asistan")));
    EXPECT_EQ(call.rtp.lost, 0U);
    EXPECT_TRUE(server.calls_end_within(5s));
}

}  // namespace
}  // namespace oavc::caller
