#include "observability/trace.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

namespace oavc::trace {
namespace {

constexpr auto valid = "00-5b8efff798038103d269b633813fc60c-eee19b7ec3c1b174-01";

TEST(Traceparent, IsReadAndWrittenAsW3cHasIt) {
    const auto context = parse_traceparent(valid);
    ASSERT_TRUE(context);
    EXPECT_EQ(to_hex(context->trace), "5b8efff798038103d269b633813fc60c");
    EXPECT_EQ(to_hex(context->span), "eee19b7ec3c1b174");
    EXPECT_TRUE(context->sampled);
    EXPECT_EQ(to_traceparent(*context), valid);
}

TEST(Traceparent, UnknownFlagsAreNotPassedOn) {
    const auto context =
        parse_traceparent("00-5b8efff798038103d269b633813fc60c-eee19b7ec3c1b174-fe");
    ASSERT_TRUE(context);
    EXPECT_FALSE(context->sampled);
    EXPECT_TRUE(to_traceparent(*context).ends_with("-00"));
}

TEST(Traceparent, OfAVersionToComeTheKnownPartIsRead) {
    EXPECT_TRUE(parse_traceparent("01-5b8efff798038103d269b633813fc60c-eee19b7ec3c1b174-01"));
    EXPECT_TRUE(parse_traceparent("01-5b8efff798038103d269b633813fc60c-eee19b7ec3c1b174-01-x"));
    EXPECT_FALSE(parse_traceparent("01-5b8efff798038103d269b633813fc60c-eee19b7ec3c1b174-01x"));
}

TEST(Traceparent, WhatIsWrongIsNone) {
    for (const auto* text : {
             "",
             "00-00000000000000000000000000000000-eee19b7ec3c1b174-01",
             "00-5b8efff798038103d269b633813fc60c-0000000000000000-01",
             "ff-5b8efff798038103d269b633813fc60c-eee19b7ec3c1b174-01",
             "00-5B8EFFF798038103D269B633813FC60C-eee19b7ec3c1b174-01",
             "00-5b8efff798038103d269b633813fc60c-eee19b7ec3c1b174-01-x",
             "00-5b8efff798038103d269b633813fc60c-eee19b7ec3c1b174-0g",
             "00_5b8efff798038103d269b633813fc60c-eee19b7ec3c1b174-01",
         })
        EXPECT_FALSE(parse_traceparent(text)) << text;
    const std::string whole{valid};
    for (std::size_t size = 0; size < whole.size(); ++size)
        EXPECT_FALSE(parse_traceparent(whole.substr(0, size))) << size;
    EXPECT_EQ(to_traceparent({}), "");
}

class Sink final : public SpanSink {
    void take(Span) noexcept override {}
};

TEST(Tracer, KeepsTheShareOfTracesThatWasAskedFor) {
    Sink sink;
    SpanId parent;
    const auto kept = [&](double ratio) {
        const Tracer tracer{ratio, sink};
        int count = 0;
        for (int i = 0; i < 2000; ++i)
            count += tracer.begin("", parent).sampled ? 1 : 0;
        return count;
    };
    EXPECT_EQ(kept(0), 0);
    EXPECT_EQ(kept(1), 2000);
    EXPECT_NEAR(kept(0.25), 500, 150);
}

TEST(Tracer, GoesByTheDecisionOfWhoBeganTheTrace) {
    Sink sink;
    SpanId parent;
    const Tracer none{0, sink};
    const auto context = none.begin(valid, parent);
    EXPECT_TRUE(context.sampled);
    EXPECT_EQ(to_hex(parent), "eee19b7ec3c1b174");
    EXPECT_NE(context.span, parent);
    EXPECT_FALSE(none.begin("nonsense", parent).sampled);
    EXPECT_EQ(parent, SpanId{});
}

TEST(Tracer, GivesEverySpanAnIdOfItsOwn) {
    Sink sink;
    SpanId parent;
    const Context root = Tracer{1, sink}.begin("", parent);
    std::set<SpanId> ids{root.span};
    for (int i = 0; i < 100; ++i) {
        const Context child = Tracer::below(root);
        EXPECT_EQ(child.trace, root.trace);
        EXPECT_TRUE(ids.insert(child.span).second);
    }
    EXPECT_FALSE(Tracer::below({}).valid()) << "no trace has no spans";
}

}  // namespace
}  // namespace oavc::trace
