// Whole calls: the real server in this process, the real caller on real sockets.

#include "caller/report.hpp"
#include "caller/run.hpp"
#include "caller/words.hpp"
#include "support/running_server.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <functional>

namespace oavc::caller {
namespace {

using Kind = Options::Speech::Kind;

/// Keeps what a run told; may act on the server's events.
class Witness final : public RunObserver {
public:
    std::function<void(const ServerEvent&)> on_event;
    std::string over;
    std::size_t answered{0};

private:
    void on_waiting(std::string_view) override {}
    void on_call(std::size_t, std::string_view) override {}
    void on_answered(const Dialled&) override { ++answered; }
    void on_caller_speaks(milliseconds, const Utterance&) override {}
    void on_server_event(milliseconds, const ServerEvent& event) override {
        if (on_event) on_event(event);
    }
    void on_over(milliseconds, std::string_view why) override { over = why; }
    void on_report(const CallReport&) override {}
};

Options call_over(std::string via, std::vector<Options::Speech> speech) {
    Options options;
    options.via = std::move(via);
    options.speech = std::move(speech);
    options.json = true;  // no recording
    options.wait = 20s;
    options.timeout = 90s;
    return options;
}

class CallOver : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(
    EachCarrier,
    CallOver,
    testing::Values("opensips", "twilio"),
    [](const auto& info) { return info.param; }
);

TEST_P(CallOver, IsUnderstoodAnsweredAndEndedInOrder) {
    test::RunningServer server;
    server.start();
    Witness witness;
    CallRun run{
        call_over(
            GetParam(),
            {{Kind::text, "what are your opening hours"}, {Kind::text, "no thank you goodbye"}}
        ),
        server.config(),
        witness};
    const auto calls = run.run();
    ASSERT_EQ(calls.size(), 1U);
    const CallReport& call = calls[0];
    EXPECT_EQ(call.result, "ok");
    EXPECT_EQ(verdict(call), "") << to_json(call);
    EXPECT_LT(call.setup_ms, 2'000);
    EXPECT_EQ(call.rtp.lost, 0U);
    EXPECT_GT(call.rtp.received, 50U);
    EXPECT_FALSE(witness.over.empty()) << "the goodbye of the dialogue hangs up";

    ASSERT_EQ(call.turns.size(), 2U);
    const TurnReport& turn = call.turns[0];
    ASSERT_TRUE(turn.heard_latency_ms);
    ASSERT_TRUE(turn.stages);
    const Stages& stages = *turn.stages;
    const double sum =
        stages.endpointing_ms + stages.stt_ms + stages.llm_ms + stages.tts_ms + stages.playout_ms;
    // The server's split, and what the caller saw on the wire from the other side.
    EXPECT_NEAR(sum, *turn.heard_latency_ms, 100) << to_json(call);
    EXPECT_TRUE(server.calls_end_within(5s));
}

TEST_P(CallOver, FallsSilentWhenInterruptedAndStaysSo) {
    test::RunningServer server;
    server.start();
    Witness witness;
    CallRun run{
        call_over(
            GetParam(),
            {{Kind::text, "tell me about your savings accounts"},
             {Kind::text, "where is the nearest branch", true}}
        ),
        server.config(),
        witness};
    const auto calls = run.run();
    ASSERT_EQ(calls.size(), 1U);
    const CallReport& call = calls[0];
    ASSERT_EQ(call.turns.size(), 2U);
    EXPECT_TRUE(call.turns[0].interrupted) << to_json(call);
    ASSERT_TRUE(call.turns[0].barge_in_ms);
    EXPECT_LE(*call.turns[0].barge_in_ms, 300);
    EXPECT_EQ(call.turns[0].leaked_ms, 0);
    EXPECT_GE(
        word_accuracy(call.turns[1].server_said, call.turns[1].connector_said), min_reply_accuracy
    ) << "what is heard afterwards is the next reply and nothing else: "
      << to_json(call);
    EXPECT_TRUE(server.calls_end_within(5s));
}

TEST_P(CallOver, HearsAGoodbyeWhenTheServerIsTold) {
    test::RunningServer server;
    server.start();
    Witness witness;
    bool told = false;
    std::string last_sentence;
    witness.on_event = [&](const ServerEvent& event) {
        if (event.kind == "sentence") last_sentence = event.text;
        if (event.kind != "reply_started" || event.turn == 0 || std::exchange(told, true)) return;
        server->begin_drain();  // what SIGTERM does, without waiting for the deadline
        server->say_goodbye();
    };
    CallRun run{
        call_over(GetParam(), {{Kind::text, "what are your opening hours"}}),
        server.config(),
        witness};
    const auto calls = run.run();
    ASSERT_EQ(calls.size(), 1U);
    EXPECT_TRUE(told);
    EXPECT_EQ(last_sentence, server.config().pipeline.agents.back().goodbye);
    EXPECT_FALSE(witness.over.empty()) << "the server hangs up";
    EXPECT_TRUE(server.calls_end_within(10s));

    CallRun refused{call_over(GetParam(), {{Kind::text, "hello"}}), server.config(), witness};
    const auto late = refused.run();
    ASSERT_EQ(late.size(), 1U);
    EXPECT_NE(late[0].result, "ok") << "no new calls while draining";
    EXPECT_EQ(witness.answered, 1U);
    server->stop();
}

TEST_P(CallOver, CarriesRealHumanSpeech) {
    const char* shared = std::getenv("OAVC_SHARED");  // NOLINT(concurrency-mt-unsafe)
    const std::filesystem::path folder = shared != nullptr
                                             ? std::filesystem::path{shared}
                                             : std::filesystem::path{OAVC_SOURCE_DIR} / "../shared";
    const auto recording = folder / "audio/jfk.wav";
    if (!std::filesystem::exists(recording)) {
        GTEST_SKIP() << "no recording at " << recording << " (set OAVC_SHARED)";
    }
    test::RunningServer server{"tests/data/real-speech.ini"};
    server.start();
    Witness witness;
    CallRun run{call_over(GetParam(), {{Kind::wav, recording.string()}}), server.config(), witness};
    const auto calls = run.run();
    ASSERT_EQ(calls.size(), 1U);
    ASSERT_EQ(calls[0].turns.size(), 1U);
    EXPECT_NE(calls[0].turns[0].caller_said.find("country"), std::string::npos)
        << to_json(calls[0]);
    EXPECT_TRUE(server.calls_end_within(5s));
}

}  // namespace
}  // namespace oavc::caller
