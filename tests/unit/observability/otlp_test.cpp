#include "observability/otlp.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace oavc::trace {
namespace {

using namespace std::chrono_literals;
using Kind = Verdict::Kind;
using testing::HasSubstr;
using testing::Not;

Span example() {
    Span span;
    span.context = *parse_traceparent("00-5b8efff798038103d269b633813fc60c-eee19b7ec3c1b174-01");
    span.parent =
        parse_traceparent("00-5b8efff798038103d269b633813fc60c-eee19b7ec3c1b173-01")->span;
    span.name = "llm.generate";
    span.kind = Span::Kind::client;
    span.start = std::chrono::system_clock::time_point{1'790'000'000s};
    span.end = span.start + 812ms;
    span.attributes = {
        {"gen_ai.request.model", std::string{"qwen3:4b"}},
        {"tokens", std::int64_t{31}},
        {"seconds", 0.25},
        {"cached", false}};
    span.events = {{"first_token", span.start + 210ms}};
    return span;
}

TEST(Otlp, WritesTheJsonThatCollectorsRead) {
    const Span spans[]{example()};
    EXPECT_EQ(
        otlp_json({"voice-connector", "1.2.0", "a1"}, spans),
        R"({"resourceSpans":[{"resource":{"attributes":[)"
        R"({"key":"service.name","value":{"stringValue":"voice-connector"}},)"
        R"({"key":"service.version","value":{"stringValue":"1.2.0"}},)"
        R"({"key":"service.instance.id","value":{"stringValue":"a1"}}]},)"
        R"("scopeSpans":[{"scope":{"name":"oavc.call","version":"1.2.0"},"spans":[)"
        R"({"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174",)"
        R"("parentSpanId":"eee19b7ec3c1b173","name":"llm.generate","kind":3,)"
        R"("startTimeUnixNano":"1790000000000000000","endTimeUnixNano":"1790000000812000000",)"
        R"("attributes":[{"key":"gen_ai.request.model","value":{"stringValue":"qwen3:4b"}},)"
        R"({"key":"tokens","value":{"intValue":"31"}},)"
        R"({"key":"seconds","value":{"doubleValue":0.25}},)"
        R"({"key":"cached","value":{"boolValue":false}}],)"
        R"("events":[{"timeUnixNano":"1790000000210000000","name":"first_token"}]}]}]}]})"
    );
}

TEST(Otlp, ARootHasNoParentAndAFailureItsReason) {
    Span span = example();
    span.parent = {};
    span.events.clear();
    span.problem = "service \"x\"\ntimed out";
    const Span spans[]{span, span};
    const auto text = otlp_json({}, spans);
    EXPECT_THAT(text, Not(HasSubstr("parentSpanId")));
    EXPECT_THAT(
        text, HasSubstr(R"("status":{"code":2,"message":"service \"x\"\u000atimed out"}},{)")
    );
}

TEST(Otlp, BytesThatAreNoUtf8AreLeftOut) {
    Span span = example();
    span.name = "ş\xff\xc3(\xed\xa0\x80 \xf0\x9f\x98\x80 \xc0\xaf!";
    const Span spans[]{span};
    EXPECT_THAT(otlp_json({}, spans), HasSubstr("\"name\":\"ş( \xf0\x9f\x98\x80 !\""));
}

TEST(OtlpAnswer, SaysWhetherToTryAgain) {
    EXPECT_EQ(judge_answer(200, "{}").kind, Kind::accepted);
    for (const int status : {429, 502, 503, 504})
        EXPECT_EQ(judge_answer(status, "").kind, Kind::retry) << status;
    for (const int status : {301, 400, 401, 404, 413, 500, 501})
        EXPECT_EQ(judge_answer(status, "").kind, Kind::refused) << status;
    EXPECT_EQ(judge_answer(400, R"({"code":3,"message":"bad span"})").why, "bad span");
    EXPECT_EQ(judge_answer(500, "<html>").why, "status 500");
}

TEST(OtlpAnswer, TellsWhatACollectorLeftOut) {
    const auto verdict = judge_answer(
        200, R"({"partialSuccess": {"rejectedSpans": "3", "errorMessage": "too old"}})"
    );
    EXPECT_EQ(verdict.kind, Kind::accepted) << "resending would only repeat it";
    EXPECT_EQ(verdict.rejected, 3u);
    EXPECT_EQ(verdict.why, "too old");
    EXPECT_EQ(judge_answer(200, R"({"partialSuccess":{"rejectedSpans":2}})").rejected, 2u);
    for (const auto* cut : {R"({"rejectedSpans")", R"({"rejectedSpans":)", R"({"rejectedSpans":")"})
        EXPECT_EQ(judge_answer(200, cut).rejected, 0u) << cut;
}

TEST(OtlpAnswer, RetryAfterIsBounded) {
    EXPECT_EQ(parse_retry_after("7"), Clock::duration{7s});
    EXPECT_EQ(parse_retry_after("99999999999999"), Clock::duration{300s});
    for (const auto* text : {"", "-1", "soon", "Wed, 21 Oct 2026 07:28:00 GMT"})
        EXPECT_EQ(parse_retry_after(text), std::nullopt) << text;
}

class ExportQueueTest : public testing::Test {
protected:
    void push(std::size_t count, TimePoint now) {
        for (std::size_t i = 0; i < count; ++i)
            queue.push(example(), now);
    }
    ExportQueue queue;
    const TimePoint t0{};
    const Verdict accepted;
    const Verdict busy{Kind::retry, 0, "busy"};
};

TEST_F(ExportQueueTest, SendsWhatHasWaitedLongEnough) {
    EXPECT_EQ(queue.next_deadline(), TimePoint::max());
    push(3, t0);
    EXPECT_EQ(queue.next_deadline(), t0 + 5s);
    EXPECT_TRUE(queue.next(t0 + 4999ms).empty());
    EXPECT_EQ(queue.next(t0 + 5s).size(), 3u);
    queue.on_answer(accepted, {}, t0 + 5s);
    EXPECT_EQ(queue.stats().exported, 3u);
    EXPECT_EQ(queue.waiting(), 0u);
}

TEST_F(ExportQueueTest, AFullBatchDoesNotWait) {
    push(ExportQueue::batch_size + 10, t0);
    EXPECT_TRUE(queue.full());
    EXPECT_EQ(queue.next(t0).size(), ExportQueue::batch_size);
    queue.on_answer(accepted, {}, t0 + 1s);
    EXPECT_EQ(queue.next(t0 + 1s).size(), 10u) << "as old as the first";
}

TEST_F(ExportQueueTest, ABoundIsKeptAndWhatIsDroppedCounted) {
    push(ExportQueue::most_spans + 7, t0);
    EXPECT_EQ(queue.waiting(), ExportQueue::most_spans);
    EXPECT_EQ(queue.stats().dropped, 7u);
}

TEST_F(ExportQueueTest, ABusyCollectorIsAskedAgainLaterAndLater) {
    push(1, t0);
    auto now = t0 + 5s;
    for (const auto wait : {1s, 2s, 4s, 8s}) {
        ASSERT_EQ(queue.next(now).size(), 1u);
        queue.on_answer(busy, {}, now);
        EXPECT_TRUE(queue.next(now + wait - 1ms).empty());
        EXPECT_EQ(queue.next_deadline(), now + wait);
        now += wait;
    }
    ASSERT_EQ(queue.next(now).size(), 1u);
    queue.on_answer(busy, {}, now);
    EXPECT_EQ(queue.stats().failed, 1u) << "given up";
    EXPECT_EQ(queue.stats().retries, 4u);
    push(1, now);
    EXPECT_TRUE(queue.next(now + 29s).empty()) << "a collector that is away is left alone";
    EXPECT_EQ(queue.next(now + 30s).size(), 1u);
}

TEST_F(ExportQueueTest, TheCollectorsOwnWishForAWaitCounts) {
    push(1, t0);
    ASSERT_FALSE(queue.next(t0 + 5s).empty());
    queue.on_answer(busy, Clock::duration{20s}, t0 + 5s);
    EXPECT_EQ(queue.next_deadline(), t0 + 25s);
}

TEST_F(ExportQueueTest, WhatIsRefusedIsNotSentAgain) {
    push(2, t0);
    ASSERT_FALSE(queue.next(t0 + 5s).empty());
    queue.on_answer({Kind::refused, 0, "bad"}, {}, t0 + 5s);
    EXPECT_EQ(queue.stats().failed, 2u);
    EXPECT_TRUE(queue.next(t0 + 60s).empty());
}

TEST_F(ExportQueueTest, ARejectedPartIsCountedApart) {
    push(5, t0);
    ASSERT_FALSE(queue.next(t0 + 5s).empty());
    queue.on_answer({Kind::accepted, 2, "old"}, {}, t0 + 5s);
    EXPECT_EQ(queue.stats().exported, 3u);
    EXPECT_EQ(queue.stats().rejected, 2u);
}

TEST_F(ExportQueueTest, TheEndWaitsForNothing) {
    push(2, t0);
    EXPECT_EQ(queue.flush().size(), 2u);
    queue.on_answer(accepted, {}, t0);
    EXPECT_TRUE(queue.flush().empty());
}

}  // namespace
}  // namespace oavc::trace
