#include "services/tts/cached_tts.hpp"
#include "support/session_test.hpp"
#include "support/two_providers.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace oavc::pipeline {
namespace {

using testing::HasSubstr;
using transports::EndReason;

class SessionTraceTest : public SessionTest, private trace::SpanSink {
protected:
    SessionTraceTest() { telemetry = &measured_; }

    std::vector<const trace::Span*> all(std::string_view name) const {
        std::vector<const trace::Span*> found;
        for (const auto& span : spans) {
            if (span.name == name) found.push_back(&span);
        }
        return found;
    }
    std::string metrics() const { return registry_.text(); }

    std::vector<trace::Span> spans;

private:
    void take(trace::Span span) noexcept override { spans.push_back(std::move(span)); }

    metrics::Registry registry_;
    const trace::Tracer tracer_{1.0, *this};
    const Telemetry measured_{registry_, &tracer_};
};

TEST_F(SessionTraceTest, AConversationIsOneTraceOfWhichTheServicesAreTold) {
    agent.greeting = "Hello.";
    llm.reply({"It is noon. ", "And sunny."});
    start();
    run(1s);
    ask("what time is it");
    run(2s);
    call.finish(EndReason::caller_hung_up);
    run(100ms);
    ASSERT_TRUE(over);

    ASSERT_EQ(all("call").size(), 1u);
    ASSERT_EQ(all("turn").size(), 1u);
    ASSERT_EQ(all("stt").size(), 1u);
    ASSERT_EQ(all("llm").size(), 1u);
    ASSERT_EQ(all("tts").size(), 3u) << "the greeting, and a sentence each";
    const auto& whole = *all("call")[0];
    const auto& turn = *all("turn")[0];
    const auto& model = *all("llm")[0];
    EXPECT_EQ(turn.parent, whole.context.span);
    EXPECT_EQ(model.parent, turn.context.span);
    EXPECT_EQ(all("tts")[0]->parent, whole.context.span);
    EXPECT_EQ(all("tts")[1]->parent, turn.context.span);

    const auto of_call = trace::to_traceparent(whole.context);
    EXPECT_EQ(stt.opened.at(0).traceparent, of_call);
    EXPECT_EQ(llm.opened.at(0).traceparent, of_call);
    EXPECT_EQ(tts.opened.at(0).traceparent, of_call);
    EXPECT_EQ(llm.asks.at(0).traceparent, trace::to_traceparent(model.context));

    EXPECT_THAT(metrics(), HasSubstr("oavc_heard_latency_seconds_count 1\n"));
    EXPECT_THAT(metrics(), HasSubstr(R"(oavc_replies_total{outcome="complete"} 2)"));
    EXPECT_THAT(
        metrics(),
        HasSubstr(R"(oavc_calls_ended_total{direction="in",outcome="caller_hung_up",via="other"} 1)"
        )
    );
}

TEST_F(SessionTraceTest, NothingThatWasSaidIsInATrace) {
    llm.reply({"Your number 4242 is noted."});
    start();
    ask("my number is 05321234567");
    run(2s);
    call.finish(EndReason::caller_hung_up);
    run(100ms);
    for (const auto& span : spans) {
        std::string text = span.name + span.problem;
        for (const auto& attribute : span.attributes) {
            text += " " + attribute.key;
            if (const auto* const value = std::get_if<std::string>(&attribute.value)) {
                text += "=" + *value;
            }
        }
        for (const auto* secret : {"4242", "0532", "number", "noted"})
            EXPECT_EQ(text.find(secret), std::string::npos) << text;
    }
    EXPECT_GE(spans.size(), 5u);
}

TEST_F(SessionTraceTest, WhatOneCallWasToldTheNextIsToldWithoutSynthesis) {
    services::CachedTts remembers{std::make_unique<services::LentTts>(tts), 1 << 20};
    voice = &remembers;
    agent.greeting = "Good morning.";
    llm.fallback.events = {{services::LlmEvent::Kind::text, "It is noon. And sunny."}};
    std::vector<std::vector<std::string>> heard;
    for (int i = 0; i < 2; ++i) {
        spans.clear();
        over = false;
        start();
        run(1s);
        ask("what time is it");
        run(2s);
        call.finish(EndReason::caller_hung_up);
        run(100ms);
        ASSERT_TRUE(over);
        session.reset();
        heard.push_back(recorder.texts(CallEvent::Kind::heard));
        ASSERT_EQ(all("tts").size(), 3u);
        for (const auto* span : all("tts")) {
            const auto by =
                std::ranges::find(span->attributes, "gen_ai.provider.name", &trace::Attribute::key);
            ASSERT_NE(by, span->attributes.end());
            EXPECT_EQ(std::get<std::string>(by->value), i == 0 ? "fake-tts" : "cached");
        }
    }
    EXPECT_EQ(tts.spoken.size(), 3u) << "all of it in the first call";
    ASSERT_EQ(heard[0].size() * 2, heard[1].size());
    EXPECT_EQ(heard[1].back(), "It is noon. And sunny.");
    for (std::size_t i = 0; i < tts.spoken.size(); ++i) {
        const auto words = services::FakeTts::word_count(tts.spoken[i].text);
        EXPECT_EQ(heard_of(i), 2 * words * samples_in(tts.word_time, narrowband)) << i;
    }
}

TEST_F(SessionTraceTest, PacketsAreCountedWhileTheCallRuns) {
    start();
    run(100ms);
    call.stats.received = 250;
    run(5s);
    EXPECT_THAT(
        metrics(), HasSubstr(R"(oavc_media_packets_total{event="received",via="other"} 250)")
    );
    call.finish(EndReason::caller_hung_up);
    run(100ms);
}

TEST_F(SessionTraceTest, AFailedModelIsSeenInTheTrace) {
    llm.reply_then_fail({}, services::ServiceErrc::timed_out);
    start();
    ask("hello");
    run(1s);
    call.finish(EndReason::caller_hung_up);
    run(100ms);
    ASSERT_FALSE(all("llm").empty());
    EXPECT_EQ(all("llm")[0]->problem, "service timed out");
}

TEST_F(SessionTraceTest, AnInterruptedReplyIsCounted) {
    llm.reply({"One two three four five six seven eight nine ten."});
    start();
    ask("count");
    run(200ms);
    run(1s, true);
    run(1s);
    call.finish(EndReason::caller_hung_up);
    run(100ms);
    EXPECT_THAT(metrics(), HasSubstr(R"(oavc_replies_total{outcome="interrupted"} 1)"));
    EXPECT_THAT(metrics(), HasSubstr("oavc_barge_in_silence_seconds_count 1\n"));
}

}  // namespace
}  // namespace oavc::pipeline
