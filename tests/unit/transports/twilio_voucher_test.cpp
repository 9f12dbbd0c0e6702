// Tokens that another instance than the webhook's can check.

#include "transports/twilio/voucher.hpp"

#include <gtest/gtest.h>

#include <array>

namespace oavc::transports::twilio {
namespace {

using Time = std::chrono::system_clock::time_point;

constexpr Time made{std::chrono::seconds{1'790'000'000}};
constexpr Time expires = made + 60s;
const std::array<std::string, 2> secrets{"first", "second"};
const Vouched call{"CA1", "+905321112233", "sip:+902125550100@example.com"};

TEST(TwilioVoucher, TellsEveryInstanceWhoCallsWhom) {
    const auto read = read_voucher(secrets, "CA1", make_voucher("first", call, expires), made);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->call_sid, call.call_sid);
    EXPECT_EQ(read->from, call.from);
    EXPECT_EQ(read->to, call.to);
}

TEST(TwilioVoucher, IsReadWhileTokensAreRotated) {
    EXPECT_TRUE(read_voucher(secrets, "CA1", make_voucher("second", call, expires), made));
    EXPECT_FALSE(read_voucher(secrets, "CA1", make_voucher("third", call, expires), made));
    const std::array<std::string, 2> none{"", ""};
    EXPECT_FALSE(read_voucher(none, "CA1", make_voucher("", call, expires), made));
}

TEST(TwilioVoucher, IsForOneCallAndAMinute) {
    const auto voucher = make_voucher("first", call, expires);
    EXPECT_FALSE(read_voucher(secrets, "CA2", voucher, made));
    EXPECT_TRUE(read_voucher(secrets, "CA1", voucher, expires));
    EXPECT_FALSE(read_voucher(secrets, "CA1", voucher, expires + 1s));
}

TEST(TwilioVoucher, IsWorthNothingWhenAnyCharacterOfItIsChanged) {
    const auto voucher = make_voucher("first", call, expires);
    for (std::size_t i = 0; i < voucher.size(); ++i) {
        auto changed = voucher;
        changed[i] = changed[i] == '1' ? '2' : '1';
        EXPECT_FALSE(read_voucher(secrets, "CA1", changed, made)) << changed;
        EXPECT_FALSE(read_voucher(secrets, "CA1", voucher.substr(0, i), made)) << i;
    }
    for (const char* garbage : {"", ".", "..", "...", "1.2.3.4", "....", "1.zz.00.x"}) {
        EXPECT_FALSE(read_voucher(secrets, "CA1", garbage, made)) << garbage;
    }
}

TEST(TwilioVoucher, FitsIntoAParameterHoweverLongTheAddressesAre) {
    const Vouched longest{std::string(64, 'C'), std::string(300, 'a'), std::string(300, 'b')};
    const auto voucher = make_voucher("first", longest, expires);
    EXPECT_LT(voucher.size(), 420U);
    const auto read = read_voucher(secrets, longest.call_sid, voucher, made);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->from, std::string(80, 'a'));
}

TEST(UsedVouchers, AreNotUsedTwice) {
    const TimePoint t0{};
    UsedVouchers used{60s, 2};
    EXPECT_TRUE(used.use("a", t0));
    EXPECT_FALSE(used.use("a", t0 + 59s));
    EXPECT_TRUE(used.use("b", t0 + 59s));
    EXPECT_FALSE(used.use("c", t0 + 59s)) << "it may have been forgotten";
    EXPECT_TRUE(used.use("c", t0 + 60s)) << "the first has expired by now";
}

}  // namespace
}  // namespace oavc::transports::twilio
