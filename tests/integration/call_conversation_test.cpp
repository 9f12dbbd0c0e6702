// Whole calls: the real server in this process, the real caller on real sockets.

#include "caller/report.hpp"
#include "caller/run.hpp"
#include "caller/words.hpp"
#include "services/tts/flite_voice.hpp"
#include "support/clips.hpp"
#include "support/running_server.hpp"
#include "support/temporary_folder.hpp"
#include "support/witness.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace oavc::caller {
namespace {

using Kind = Options::Speech::Kind;
using test::call_over;
using test::Witness;

class CallOver : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(
    EachCarrier,
    CallOver,
    testing::Values("opensips", "twilio"),
    [](const auto& info) { return info.param; }
);

/// The same with a SIP phone, for what is worth its time.
class CallOverAll : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(
    EachCarrier,
    CallOverAll,
    testing::Values("opensips", "sip", "twilio"),
    [](const auto& info) { return info.param; }
);

/// One side of a recording, 8 kHz: 0 the caller, 1 the connector.
std::vector<media::Sample> side(const test::Pcm& recording, std::size_t channel) {
    std::vector<media::Sample> out;
    for (std::size_t i = channel; i < recording.size(); i += 2)
        out.push_back(recording[i]);
    return out;
}

/// First and last sample that somebody hears.
std::pair<std::size_t, std::size_t> voiced(std::span<const media::Sample> samples) {
    constexpr int audible = 500;
    const auto is_audible = [](media::Sample s) { return std::abs(int{s}) > audible; };
    const auto first = std::find_if(samples.begin(), samples.end(), is_audible);
    const auto last = std::find_if(samples.rbegin(), samples.rend(), is_audible);
    return {
        static_cast<std::size_t>(first - samples.begin()),
        samples.size() - static_cast<std::size_t>(last - samples.rbegin())};
}

/// All of the goodbye is in the recording, as long as it was synthesised, and then came the
/// hang-up.
void expect_whole_goodbye(
    const std::string& file, const std::string& goodbye, const std::string& voice
) {
    const auto said = services::synthesize_flite(goodbye, voice);
    ASSERT_TRUE(said.has_value());
    const auto narrow = test::resample(said->samples, said->rate, narrowband);
    const auto [first, last] = voiced(narrow);
    const auto recording = test::read_wav(file);
    ASSERT_TRUE(recording.has_value());
    const auto asked_until = voiced(side(*recording, 0)).second;
    auto heard = side(*recording, 1);
    heard.erase(heard.begin(), heard.begin() + static_cast<std::ptrdiff_t>(asked_until));
    const auto [begin, end] = voiced(heard);
    EXPECT_GE(end - begin + samples_in(60ms, narrowband), last - first) << "cut short";
    // A busy machine may send with gaps.
    EXPECT_LE(end - begin, last - first + samples_in(1'000ms, narrowband));
    EXPECT_GE(heard.size() - end, samples_in(100ms, narrowband)) << "the last word needs its time";
    EXPECT_LE(heard.size() - end, samples_in(3'000ms, narrowband));
}

TEST_P(CallOverAll, IsUnderstoodAnsweredAndEndedInOrder) {
    test::RunningServer server;
    server.start();
    const test::TemporaryFolder folder;
    Witness witness;
    auto options = call_over(
        GetParam(),
        {{Kind::text, "what are your opening hours"}, {Kind::text, "no thank you goodbye"}}
    );
    options.record = folder.file("call.wav");
    CallRun run{options, server.config(), witness};
    const auto calls = run.run();
    ASSERT_EQ(calls.size(), 1U);
    const CallReport& call = calls[0];
    EXPECT_EQ(call.result, "ok");
    EXPECT_EQ(verdict(call), "") << to_json(call);
    EXPECT_LT(call.setup_ms, 2'000);
    EXPECT_EQ(call.rtp.lost, 0U);
    EXPECT_GT(call.rtp.received, 50U);
    EXPECT_NE(witness.over.find("the connector"), std::string::npos)
        << "the goodbye of the dialogue hangs up: " << witness.over;

    ASSERT_EQ(call.turns.size(), 2U);
    const TurnReport& turn = call.turns[0];
    ASSERT_TRUE(turn.heard_latency_ms);
    ASSERT_TRUE(turn.stages);
    const Stages& stages = *turn.stages;
    const double sum =
        stages.endpointing_ms + stages.stt_ms + stages.llm_ms + stages.tts_ms + stages.playout_ms;
    // The server's split, and what the caller saw on the wire from the other side.
    EXPECT_NEAR(sum, *turn.heard_latency_ms, 100) << to_json(call);
    const auto& goodbye = call.turns[1];
    EXPECT_EQ(goodbye.server_said, "Goodbye, and thank you for calling.");
    EXPECT_EQ(word_accuracy(goodbye.server_said, goodbye.connector_said), 1.0) << to_json(call);
    expect_whole_goodbye(options.record, goodbye.server_said, server.config().services.flite.voice);
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
