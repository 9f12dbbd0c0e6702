#include "pipeline/outgoing_calls.hpp"

#include "async/deadline.hpp"
#include "support/await.hpp"
#include "transports/errors.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

namespace oavc::pipeline {
namespace {

using ::testing::HasSubstr;
using transports::CallControlErrc;
using transports::Dialled;
using transports::DialRequest;

/// A carrier that answers as it is told, or not at all.
class FakeDialer final : public transports::Dialer {
public:
    explicit FakeDialer(std::string name) : name_{std::move(name)} {}

    asio::awaitable<Result<Dialled>> dial(async::Shard&, DialRequest request) override {
        asked.push_back(std::move(request));
        if (hangs) {
            withdrawn = !co_await async::sleep_for(std::chrono::hours{1});
            co_return error_code{asio::error::operation_aborted};
        }
        if (error) co_return error;
        co_return Dialled{name_, name_ + "-1"};
    }

    std::vector<DialRequest> asked;
    error_code error;
    bool hangs{false};
    bool withdrawn{false};

private:
    const std::string name_;
};

class OutgoingCallsTest : public ::testing::Test {
protected:
    OutgoingCallsTest() { config_.dial_allowed = {R"(\+90\d{10})", R"(sip:[a-z]+@pbx\.test)"}; }

    void make() {
        calls_.emplace(config_, std::vector<std::string>{"default", "sales"}, log::Logger{});
        calls_->add_carrier("first", first_);
        calls_->add_carrier("second", second_);
    }
    Result<PlacedCall, DialProblem> place(const std::string& to, const std::string& agent = "") {
        if (!calls_) make();
        DialRequest request;
        request.to = to;
        request.agent = agent;
        return test::result_of(shard_, calls_->place(shard_, std::move(request)));
    }

    OutgoingConfig config_;
    FakeDialer first_{"first"};
    FakeDialer second_{"second"};
    std::optional<OutgoingCalls> calls_;
    async::Shard shard_{0};
};

TEST_F(OutgoingCallsTest, AsksTheFirstCarrierInItsOwnWords) {
    config_.dial_from = "+12025550123";
    const auto placed = place("tel:+90 (212) 555-01.11", "sales");
    ASSERT_TRUE(placed);
    EXPECT_EQ(placed->via, "first");
    EXPECT_EQ(placed->native_id, "first-1");
    ASSERT_EQ(first_.asked.size(), 1u);
    EXPECT_EQ(first_.asked[0].to, "+902125550111");
    EXPECT_EQ(first_.asked[0].from, "+12025550123");
    EXPECT_EQ(first_.asked[0].agent, "sales");
    EXPECT_EQ(first_.asked[0].id, placed->id);
    EXPECT_EQ(placed->id.size(), 16u);
    EXPECT_TRUE(second_.asked.empty());
}

TEST_F(OutgoingCallsTest, AreOffUntilSomebodyMayBeCalled) {
    config_.dial_allowed.clear();
    const auto placed = place("+902125550111");
    EXPECT_EQ(placed.error().code, OutgoingErrc::off);
    EXPECT_THAT(placed.error().what, HasSubstr("[telephony] dial_allowed"));
    EXPECT_TRUE(first_.asked.empty());
}

TEST_F(OutgoingCallsTest, TheWholeNumberMustBeAllowed) {
    for (const auto* foreign :
         {"+4930123456",
          "+9021255501110",
          "1+902125550111",
          "sip:x@pbx.test:5070",
          "sip:x@pbx.test;maddr=192.0.2.1",
          "sip:x@evil.test",
          "sip:+902125550111@evil.test"}) {
        const auto placed = place(foreign);
        ASSERT_FALSE(placed) << foreign;
        EXPECT_TRUE(
            placed.error().code == OutgoingErrc::not_allowed ||
            placed.error().code == CallControlErrc::bad_target
        ) << foreign;
    }
    EXPECT_TRUE(first_.asked.empty());
    EXPECT_TRUE(place("alice@pbx.test"));
    EXPECT_EQ(first_.asked[0].to, "sip:alice@pbx.test");
}

TEST_F(OutgoingCallsTest, WhatIsNoTargetIsNotDialled) {
    for (const auto* bad :
         {"",
          " ",
          "sales",
          "12a",
          "+",
          "sip:",
          "sip:alice@pbx.test?Replaces=1",
          "http://x.test",
          "sip:a b@pbx.test",
          "@pbx.test",
          "+90\r\n2125550111"}) {
        EXPECT_EQ(place(bad).error().code, CallControlErrc::bad_target) << bad;
    }
}

TEST_F(OutgoingCallsTest, TheNextCarrierIsAskedWhenOneDoesNotWork) {
    for (const auto code :
         {CallControlErrc::unavailable,
          CallControlErrc::no_capacity,
          CallControlErrc::not_supported}) {
        first_.error = code;
        const auto placed = place("+902125550111");
        ASSERT_TRUE(placed);
        EXPECT_EQ(placed->via, "second");
    }
    second_.error = CallControlErrc::unavailable;
    EXPECT_EQ(place("+902125550111").error().code, CallControlErrc::unavailable);
}

TEST_F(OutgoingCallsTest, NobodyIsCalledTwiceBecauseHeIsBusy) {
    for (const auto code :
         {CallControlErrc::busy,
          CallControlErrc::not_found,
          CallControlErrc::refused,
          CallControlErrc::no_answer}) {
        first_.error = code;
        EXPECT_EQ(place("+902125550111").error().code, code);
    }
    EXPECT_TRUE(second_.asked.empty());
}

TEST_F(OutgoingCallsTest, ASilentCarrierIsWithdrawnAndTheNextAsked) {
    first_.hangs = true;
    const auto began = Clock::now();
    const auto placed = place("+902125550111");
    ASSERT_TRUE(placed);
    EXPECT_EQ(placed->via, "second");
    EXPECT_TRUE(first_.withdrawn);
    EXPECT_GE(Clock::now() - began, OutgoingCalls::longest_wait / 2 - 100ms);
}

TEST_F(OutgoingCallsTest, NoCallIsPlacedWhileTheServerIsStopped) {
    make();
    calls_->begin_drain();
    EXPECT_EQ(place("+902125550111").error().code, OutgoingErrc::draining);
    EXPECT_TRUE(first_.asked.empty());
}

TEST_F(OutgoingCallsTest, AnUnknownAgentIsAMistake) {
    const auto placed = place("+902125550111", "slaes");
    EXPECT_EQ(placed.error().code, OutgoingErrc::no_such_agent);
    EXPECT_THAT(placed.error().what, HasSubstr("default, sales"));
}

TEST_F(OutgoingCallsTest, WithoutACarrierSaysSo) {
    calls_.emplace(config_, std::vector<std::string>{}, log::Logger{});
    EXPECT_EQ(place("+902125550111").error().code, OutgoingErrc::no_carrier);
}

}  // namespace
}  // namespace oavc::pipeline
