#include "api/span_exporter.hpp"

#include "support/fake_collector.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>

namespace oavc::api {
namespace {

trace::Span span() {
    trace::Span made;
    made.context =
        *trace::parse_traceparent("00-5b8efff798038103d269b633813fc60c-eee19b7ec3c1b174-01");
    made.name = "call";
    return made;
}

class SpanExporterTest : public testing::Test {
protected:
    void make(std::string headers = {}) {
        exporter.emplace(
            trace::Config{.endpoint = collector.url(), .headers = std::move(headers)},
            trace::Resource{"oavc", "1.2.0", "a1"},
            log::Logger{}
        );
        exporter->start();
    }
    void take(std::size_t count) {
        for (std::size_t i = 0; i < count; ++i)
            exporter->take(span());
    }

    test::FakeCollector collector;
    std::optional<SpanExporter> exporter;
};

TEST_F(SpanExporterTest, AFullBatchIsSentAtOnceWithTheOperatorsHeaders) {
    make("authorization=Bearer%20secret, x-tenant=a=b");
    take(trace::ExportQueue::batch_size);
    ASSERT_TRUE(collector.wait_for_spans(trace::ExportQueue::batch_size));
    const auto request = collector.requests().at(0);
    EXPECT_EQ(request.headers.at("authorization"), "Bearer secret");
    EXPECT_EQ(request.headers.at("x-tenant"), "a=b");
    EXPECT_EQ(collector.spans().at(0).at("name").as_string(), "call");
    exporter->stop();
    EXPECT_EQ(exporter->stats().exported, trace::ExportQueue::batch_size);
}

TEST_F(SpanExporterTest, TheEndOfTheProcessSendsWhatIsLeft) {
    make();
    take(trace::ExportQueue::batch_size + 3);
    exporter->stop();
    EXPECT_EQ(collector.spans().size(), trace::ExportQueue::batch_size + 3);
    exporter->stop();  // once is enough
}

TEST_F(SpanExporterTest, ABusyCollectorIsAskedAgain) {
    collector.answer(503, {{"Retry-After", "0"}}, R"({"code":14,"message":"busy"})");
    make();
    take(trace::ExportQueue::batch_size);
    ASSERT_TRUE(collector.wait_for_requests(1));
    collector.answer(200);
    ASSERT_TRUE(collector.wait_for_spans(trace::ExportQueue::batch_size));
    exporter->stop();
    EXPECT_GE(exporter->stats().retries, 1u);
    EXPECT_EQ(exporter->stats().failed, 0u);
}

TEST_F(SpanExporterTest, WhatACollectorRefusesIsNotSentAgain) {
    collector.answer(400, {}, R"({"code":3,"message":"bad span"})");
    make();
    take(2);
    exporter->stop();
    EXPECT_EQ(collector.requests().size(), 1u);
    EXPECT_EQ(exporter->stats().failed, 2u);
}

TEST_F(SpanExporterTest, ACollectorThatIsAwayCostsSpansAndNoTime) {
    collector.stop();
    make();
    take(3 * trace::ExportQueue::most_spans);
    const auto stats = exporter->stats();
    EXPECT_GE(stats.dropped, trace::ExportQueue::most_spans);
    EXPECT_LE(stats.waiting, trace::ExportQueue::most_spans + trace::ExportQueue::batch_size);
    exporter->stop();
}

TEST_F(SpanExporterTest, ACollectorThatHangsDoesNotHoldTheProcess) {
    collector.hang(true);
    make();
    take(trace::ExportQueue::batch_size);
    ASSERT_TRUE(collector.wait_for_requests(1));
    const auto began = std::chrono::steady_clock::now();
    exporter->stop();
    EXPECT_LT(std::chrono::steady_clock::now() - began, 8s) << "10 s are an answer's limit";
}

TEST(TracesUrl, IsTheEndpointsUnlessItIsWhole) {
    EXPECT_EQ(traces_url("http://collector:4318"), "http://collector:4318/v1/traces");
    EXPECT_EQ(traces_url("https://c/otlp/"), "https://c/otlp/v1/traces");
    EXPECT_EQ(traces_url("https://c/otlp/v1/traces"), "https://c/otlp/v1/traces");
}

TEST(OtlpHeaders, AreReadAsTheEnvironmentHasThem) {
    EXPECT_TRUE(otlp_headers("").empty());
    EXPECT_TRUE(otlp_headers(",=x,nothing,").empty());
    const auto headers = otlp_headers("a=1, B = two%2C ,a=3");
    EXPECT_EQ(headers.size(), 2u);
    EXPECT_EQ(headers.at("A"), "3");
    EXPECT_EQ(headers.at("b"), "two,");
}

}  // namespace
}  // namespace oavc::api
