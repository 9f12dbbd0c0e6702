#include "pipeline/call_telemetry.hpp"

#include "transports/errors.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace oavc::pipeline {
namespace {

using testing::HasSubstr;
using testing::Not;
using transports::EndReason;

transports::MediaStats over_rtp() {
    transports::MediaStats media;
    media.received = 980;
    media.lost = 20;
    media.sent = 1000;
    media.dropped = 3;
    media.jitter_ms = 4;
    media.round_trip_ms = 60;
    media.mos = 4.1;
    return media;
}

class CallTelemetryTest : public testing::Test {
protected:
    transports::CallInfo call{.via = "sip"};
    metrics::Registry registry;
    Telemetry telemetry{registry};
    const TimePoint t0{};
    TimePoint clock{};
    std::function<TimePoint()> now = [this] { return clock; };
};

TEST_F(CallTelemetryTest, EverySeriesExistsBeforeTheFirstCall) {
    const auto text = registry.text();
    for (const auto* line : {
             R"(oavc_calls_ended_total{direction="in",outcome="caller_hung_up",via="twilio"} 0)",
             R"(oavc_media_packets_total{event="lost",via="opensips"} 0)",
             "oavc_heard_latency_seconds_count 0",
             R"(oavc_answer_latency_seconds_bucket{le="0.03"} 0)",
             R"(oavc_turn_stage_seconds_count{stage="llm"} 0)",
             R"(oavc_replies_total{outcome="interrupted"} 0)",
             "oavc_rtp_mos_count 0",
         })
        EXPECT_THAT(text, HasSubstr(line));
}

TEST_F(CallTelemetryTest, ACallIsCountedByCarrierDirectionAndOutcome) {
    CallTelemetry one{&telemetry, call, now};
    one.on_started({"c-1"}, "front", t0);
    one.on_answered(t0 + 8ms);
    one.on_ended(EndReason::caller_hung_up, over_rtp(), t0 + 20s);
    const auto text = registry.text();
    for (const auto* line : {
             R"(oavc_calls_ended_total{direction="in",outcome="caller_hung_up",via="sip"} 1)",
             R"(oavc_call_setup_seconds_bucket{via="sip",le="0.005"} 0)",
             R"(oavc_call_setup_seconds_bucket{via="sip",le="0.01"} 1)",
             R"(oavc_call_duration_seconds_bucket{via="sip",le="15"} 0)",
             R"(oavc_call_duration_seconds_bucket{via="sip",le="30"} 1)",
             R"(oavc_media_packets_total{event="lost",via="sip"} 20)",
             R"(oavc_media_packets_total{event="dropped",via="sip"} 3)",
             "oavc_rtp_loss_ratio_sum 0.02\n",
             "oavc_rtp_jitter_seconds_sum 0.004\n",
             "oavc_rtp_mos_sum 4.1",
             "oavc_rtp_round_trip_seconds_sum 0.06\n",
         })
        EXPECT_THAT(text, HasSubstr(line));
}

TEST_F(CallTelemetryTest, PacketsOfARunningCallAreCountedOnceAlsoWhenALostOneComesLate) {
    CallTelemetry one{&telemetry, call, now};
    one.on_started({"c-1"}, "front", t0);
    transports::MediaStats media;
    media.received = 240;
    media.lost = 10;
    one.on_media(media);
    media.received = 480;
    media.lost = 8;
    one.on_media(media);
    EXPECT_THAT(registry.text(), HasSubstr(R"({event="received",via="sip"} 480)"));
    EXPECT_THAT(registry.text(), HasSubstr(R"({event="lost",via="sip"} 10)"));
    one.on_ended(EndReason::caller_hung_up, over_rtp(), t0 + 20s);
    EXPECT_THAT(registry.text(), HasSubstr(R"({event="received",via="sip"} 980)"));
    EXPECT_THAT(registry.text(), HasSubstr(R"({event="lost",via="sip"} 20)"));
}

TEST_F(CallTelemetryTest, HowLongACalleesTelephoneRingsIsNotOurSetup) {
    call.outgoing = true;
    CallTelemetry one{&telemetry, call, now};
    one.on_started({"c-1"}, "front", t0);
    one.on_ended(EndReason::not_answered, {}, t0 + 30s);
    const auto text = registry.text();
    EXPECT_THAT(
        text,
        HasSubstr(
            R"(oavc_calls_ended_total{direction="out",outcome=")" +
            std::string{to_string(EndReason::not_answered)} + R"(",via="sip"} 1)"
        )
    );
    EXPECT_THAT(text, HasSubstr(R"(oavc_call_setup_seconds_count{via="sip"} 0)"));
    EXPECT_THAT(text, HasSubstr(R"(oavc_call_duration_seconds_count{via="sip"} 0)"));
    EXPECT_THAT(text, HasSubstr("oavc_rtp_mos_count 0")) << "no RTP came";
}

TEST_F(CallTelemetryTest, AnUnknownCarrierGetsNoLabelOfItsOwn) {
    call.via = "carrier-of-the-future";
    CallTelemetry one{&telemetry, call, now};
    one.on_ended(EndReason::we_hung_up, {}, t0);
    EXPECT_THAT(registry.text(), Not(HasSubstr("future")));
    EXPECT_THAT(
        registry.text(),
        HasSubstr(R"(oavc_calls_ended_total{direction="in",outcome="we_hung_up",via="other"} 1)")
    );
}

TEST_F(CallTelemetryTest, TheStagesOfATurnAddUpToWhatTheCallerHeard) {
    CallTelemetry one{&telemetry, call, now};
    one.on_answer_heard({500ms, 100ms, 200ms, 150ms, 50ms, 1000ms}, t0);
    one.on_barge_in(90ms);
    one.on_reply_ended(true, t0);
    one.on_reply_ended(false, t0);
    const auto text = registry.text();
    for (const auto* line : {
             "oavc_heard_latency_seconds_sum 1\n",
             "oavc_answer_latency_seconds_sum 0.5\n",
             R"(oavc_answer_latency_seconds_bucket{le="0.25"} 0)",
             R"(oavc_answer_latency_seconds_bucket{le="0.5"} 1)",
             R"(oavc_turn_stage_seconds_sum{stage="endpointing"} 0.5)",
             R"(oavc_turn_stage_seconds_sum{stage="stt"} 0.1)",
             R"(oavc_turn_stage_seconds_sum{stage="llm"} 0.2)",
             R"(oavc_turn_stage_seconds_sum{stage="tts"} 0.15)",
             R"(oavc_turn_stage_seconds_sum{stage="playout"} 0.05)",
             R"(oavc_barge_in_silence_seconds_bucket{le="0.1"} 1)",
             R"(oavc_replies_total{outcome="complete"} 1)",
         })
        EXPECT_THAT(text, HasSubstr(line));
}

TEST_F(CallTelemetryTest, WithoutTelemetryNothingHappens) {
    CallTelemetry one{nullptr, call, now};
    one.on_answered(t0);
    one.on_answer_heard({}, t0);
    one.on_barge_in(1ms);
    one.on_reply_ended(false, t0);
    one.on_ended(EndReason::we_hung_up, over_rtp(), t0);
}

// --- Traces -------------------------------------------------------------------------------------

constexpr auto from_elsewhere = "00-5b8efff798038103d269b633813fc60c-eee19b7ec3c1b174-01";

class Kept final : public trace::SpanSink {
public:
    void take(trace::Span span) noexcept override { spans.push_back(std::move(span)); }
    const trace::Span& one(std::string_view name) const {
        const auto found = std::ranges::find(spans, name, &trace::Span::name);
        EXPECT_NE(found, spans.end()) << name;
        return *found;
    }
    std::vector<trace::Span> spans;
};

bool has(const trace::Span& span, std::string_view key, const trace::Value& value) {
    return std::ranges::any_of(span.attributes, [&](const auto& attribute) {
        return attribute.key == key && attribute.value == value;
    });
}

class CallTraceTest : public CallTelemetryTest {
protected:
    Kept kept;
    trace::Tracer tracer{1.0, kept};
    metrics::Registry other_registry;
    Telemetry traced{other_registry, &tracer};
};

TEST_F(CallTraceTest, ACallIsATreeOfTurnsAndTheirRequests) {
    CallTelemetry one{&traced, call, now};
    one.on_started({"c-1"}, "front", t0);
    clock = t0 + 10ms;
    one.on_answered(clock);
    { const auto greeting = one.ask_voice(); }
    one.on_speech(t0 + 1s);
    one.on_speech_ended(t0 + 2s);
    one.on_turn(1, {}, "vosk", t0 + 2600ms);
    clock = t0 + 2600ms;
    {
        auto model = one.ask_model();
        EXPECT_EQ(model.traceparent().substr(0, 36), one.traceparent().substr(0, 36));
        EXPECT_NE(model.traceparent(), one.traceparent()) << "a span of its own";
        clock = t0 + 2800ms;
        model.on_first("first_token", {.provider = "openai", .failed_over = true}, "ollama");
        model.on_first("first_token", {}, "ollama");
        clock = t0 + 3s;
    }
    one.on_answer_heard({600ms, 0ms, 200ms, 150ms, 50ms, 1000ms}, clock);
    one.on_reply_ended(false, t0 + 5s);
    EXPECT_EQ(kept.spans.size(), 3u) << "the turn may have another reply";
    one.on_ended(EndReason::caller_hung_up, over_rtp(), t0 + 9s);

    ASSERT_EQ(kept.spans.size(), 5u);
    const auto& whole = kept.one("call");
    const auto& turn = kept.one("turn");
    const auto& stt = kept.one("stt");
    const auto& llm = kept.one("llm");
    EXPECT_EQ(whole.parent, trace::SpanId{});
    EXPECT_EQ(kept.one("tts").parent, whole.context.span) << "a greeting is of no turn";
    EXPECT_EQ(turn.parent, whole.context.span);
    EXPECT_EQ(stt.parent, turn.context.span);
    EXPECT_EQ(llm.parent, turn.context.span);
    for (const auto& span : kept.spans) {
        EXPECT_EQ(span.context.trace, whole.context.trace);
        EXPECT_LE(whole.start, span.start);
        EXPECT_LE(span.end, whole.end);
    }
    EXPECT_EQ(whole.end - whole.start, 9s);
    EXPECT_EQ(turn.start - whole.start, 1s);
    EXPECT_EQ(turn.end - whole.start, 5s);
    EXPECT_EQ(stt.end - whole.start, 2600ms);
    EXPECT_EQ(llm.end - llm.start, 400ms);
    EXPECT_EQ(llm.events.size(), 1u);
    EXPECT_TRUE(has(llm, "gen_ai.provider.name", std::string{"openai"}));
    EXPECT_TRUE(has(llm, "oavc.failed_over", true));
    EXPECT_TRUE(has(stt, "gen_ai.provider.name", std::string{"vosk"}));
    EXPECT_TRUE(has(turn, "oavc.latency.heard", 1.0));
    EXPECT_TRUE(has(whole, "oavc.call", std::string{"c-1"}));
    EXPECT_TRUE(has(whole, "oavc.outcome", std::string{"caller_hung_up"}));
}

TEST_F(CallTraceTest, ANoiseDuringAnAnswerIsNoTurn) {
    CallTelemetry one{&traced, call, now};
    one.on_started({"c-1"}, "front", t0);
    one.on_speech(t0 + 1s);
    one.on_turn(1, {}, "vosk", t0 + 2s);
    one.on_speech(t0 + 3s);
    one.on_speech_dropped();
    clock = t0 + 4s;
    { const auto model = one.ask_model(); }
    EXPECT_EQ(kept.one("llm").parent, kept.one("stt").parent) << "still turn 1's";
    one.on_ended(EndReason::we_hung_up, {}, t0 + 5s);
    EXPECT_EQ(std::ranges::count(kept.spans, "turn", &trace::Span::name), 1);
}

TEST_F(CallTraceTest, ATraceThatBeganElsewhereGoesOn) {
    call.parameters["traceparent"] = from_elsewhere;
    CallTelemetry one{&traced, call, now};
    one.on_started({"c-1"}, "front", t0);
    one.on_ended(EndReason::we_hung_up, {}, t0);
    const auto& whole = kept.one("call");
    EXPECT_EQ(trace::to_hex(whole.context.trace), "5b8efff798038103d269b633813fc60c");
    EXPECT_EQ(trace::to_hex(whole.parent), "eee19b7ec3c1b174");
    EXPECT_NE(whole.context.span, whole.parent);
}

TEST_F(CallTraceTest, WhatItsBeginnerDoesNotKeepWeDoNotKeepButPassOn) {
    call.parameters["traceparent"] = "00-5b8efff798038103d269b633813fc60c-eee19b7ec3c1b174-00";
    CallTelemetry one{&traced, call, now};
    one.on_started({"c-1"}, "front", t0);
    one.on_speech(t0);
    one.on_turn(1, {}, "vosk", t0);
    {
        auto model = one.ask_model();
        model.on_first("first_token", {}, "openai");
        EXPECT_EQ(model.traceparent().substr(0, 35), "00-5b8efff798038103d269b633813fc60c");
        EXPECT_EQ(model.traceparent().substr(52), "-00");
    }
    one.on_ended(EndReason::we_hung_up, {}, t0);
    EXPECT_TRUE(kept.spans.empty());
}

TEST_F(CallTraceTest, AFailedRequestSaysWhy) {
    CallTelemetry one{&traced, call, now};
    one.on_started({"c-1"}, "front", t0);
    {
        auto model = one.ask_model();
        model.on_failed(make_error_code(transports::CallControlErrc::busy));
    }
    EXPECT_EQ(kept.one("llm").problem, "busy");
}

TEST_F(CallTelemetryTest, WithoutATracerNothingIsPassedOn) {
    CallTelemetry one{&telemetry, call, now};
    EXPECT_EQ(one.traceparent(), "");
    EXPECT_EQ(one.ask_model().traceparent(), "");
}

}  // namespace
}  // namespace oavc::pipeline
