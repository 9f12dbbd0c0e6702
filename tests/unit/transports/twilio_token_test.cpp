#include "transports/twilio/token.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <set>

namespace oavc::transports::twilio {
namespace {

using Table = TokenTable<std::unique_ptr<int>>;
const TimePoint t0{};

TEST(TwilioToken, IsLongRandomAndSafeInMarkup) {
    std::set<std::string> seen;
    for (int i = 0; i < 100; ++i) {
        const auto token = make_token();
        EXPECT_EQ(token.size(), 43u) << "32 bytes";
        EXPECT_EQ(
            token.find_first_not_of(
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
            ),
            std::string::npos
        );
        seen.insert(token);
    }
    EXPECT_EQ(seen.size(), 100u);
    EXPECT_TRUE(same_token("abc", "abc"));
    EXPECT_FALSE(same_token("abc", "abd"));
    EXPECT_FALSE(same_token("abc", "ab"));
}

TEST(TwilioToken, IsGoodOnceAndForItsCallOnly) {
    Table table{60s, 10};
    const auto token = table.issue("CA1", std::make_unique<int>(1), t0);
    const auto other = table.issue("CA2", std::make_unique<int>(2), t0);
    EXPECT_FALSE(table.redeem("CA1", *other, t0)) << "another call's";
    EXPECT_FALSE(table.redeem("CA1", "", t0));
    EXPECT_FALSE(table.redeem("CA3", *token, t0));
    const auto pending = table.redeem("CA1", *token, t0 + 59s);
    ASSERT_TRUE(pending);
    EXPECT_EQ(**pending, 1);
    EXPECT_FALSE(table.redeem("CA1", *token, t0 + 59s)) << "used";
}

TEST(TwilioToken, ExpiresAndGivesBackWhatItHeld) {
    Table table{60s, 10};
    const auto token = table.issue("CA1", std::make_unique<int>(1), t0);
    EXPECT_EQ(table.expire(t0 + 59s), 0u);
    EXPECT_FALSE(table.redeem("CA1", *token, t0 + 60s));
    EXPECT_EQ(table.size(), 1u);
    EXPECT_EQ(table.expire(t0 + 60s), 1u);
    EXPECT_EQ(table.size(), 0u);
}

TEST(TwilioToken, ARepeatedWebhookGetsANewTokenForTheSamePlace) {
    Table table{60s, 10};
    const auto first = table.issue("CA1", std::make_unique<int>(1), t0);
    const auto second = table.renew("CA1", t0 + 5s);
    ASSERT_TRUE(second);
    EXPECT_NE(*first, *second);
    EXPECT_EQ(table.size(), 1u);
    EXPECT_FALSE(table.redeem("CA1", *first, t0 + 6s));
    EXPECT_TRUE(table.redeem("CA1", *second, t0 + 64s));
    EXPECT_FALSE(table.renew("CA1", t0 + 64s)) << "nothing waits";
}

TEST(TwilioToken, HoldsNoMoreThanItsBound) {
    Table table{60s, 2};
    EXPECT_TRUE(table.issue("CA1", nullptr, t0).has_value());
    EXPECT_TRUE(table.issue("CA2", nullptr, t0).has_value());
    EXPECT_EQ(table.issue("CA3", nullptr, t0).error(), TwilioErrc::too_many_tokens);
}

}  // namespace
}  // namespace oavc::transports::twilio
