#include "pipeline/manager.hpp"

#include "support/fake_services.hpp"
#include "support/fake_transport.hpp"
#include "transports/errors.hpp"

#include <boost/asio/co_spawn.hpp>

#include <gtest/gtest.h>

#include <exception>
#include <memory>
#include <optional>
#include <string>

namespace oavc::pipeline {
namespace {

using transports::CallControlErrc;

class DeafVad final : public media::VadFactory {
    class Engine final : public media::VadEngine {
        SampleRate input_rate() const noexcept override { return narrowband; }
        media::VadDecisions process(media::FrameView) noexcept override { return {}; }
        void reset() noexcept override {}
    };

public:
    std::string_view name() const noexcept override { return "deaf"; }
    std::unique_ptr<media::VadEngine> make(SampleRate) const override {
        return std::make_unique<Engine>();
    }
};

/// Two shards that this thread runs in turn; the call lives on the second, who asks on the first.
class ManagerTest : public testing::Test {
protected:
    ManagerTest() { call.info.native_id = "CA1"; }

    void begin() {
        asio::co_spawn(
            shards[1].context(),
            manager.run_call(
                shards[1],
                std::make_unique<transports::FakeTransport>(call, shards[1]),
                *manager.admit({})
            ),
            [this](std::exception_ptr) { over = true; }
        );
        poll();
    }

    void poll() {
        for (int round = 0; round < 8; ++round) {
            for (std::size_t i = 0; i < shards.size(); ++i) {
                shards[i].context().restart();
                shards[i].context().poll();
            }
        }
    }

    /// What came back, if it did.
    std::optional<error_code> command(std::string id, CallCommand wish) {
        told.reset();
        asio::co_spawn(
            shards[0].context(),
            manager.command(shards[0], std::move(id), std::move(wish)),
            [this](std::exception_ptr, Result<void> outcome) {
                told = outcome ? error_code{} : outcome.error();
            }
        );
        poll();
        return told;
    }

    async::ShardPool shards{2};
    services::FakeStt stt;
    services::FakeLlm llm;
    services::FakeTts tts;
    DeafVad vad;
    transports::FakeCall call;
    PipelineManager manager{Config{}, Services{stt, llm, tts, vad}, shards, {}, log::Logger{}};
    std::optional<error_code> told;
    bool over{false};
    const error_code ok;
};

TEST_F(ManagerTest, ACommandReachesItsCallOnAnotherShardAndItsOutcomeComesBack) {
    begin();
    EXPECT_EQ(command("CA1", {.kind = CallCommand::Kind::send_digits, .text = "12"}), ok);
    EXPECT_EQ(call.pressed, "12");
    call.fail_transfer = make_error_code(CallControlErrc::busy);
    EXPECT_EQ(
        command("CA1", {.kind = CallCommand::Kind::transfer, .text = "1"}), CallControlErrc::busy
    );
    EXPECT_EQ(command("CA2", {.kind = CallCommand::Kind::hold}), CallControlErrc::gone);
    EXPECT_EQ(command("CA1", {.kind = CallCommand::Kind::hang_up}), ok);
    EXPECT_TRUE(over);
    EXPECT_EQ(command("CA1", {.kind = CallCommand::Kind::hold}), CallControlErrc::gone);
}

TEST_F(ManagerTest, ACallKeepsWhatItBeganWithAndNewOnesGetTheNew) {
    const Services services{stt, llm, tts, vad};
    const auto first = std::make_shared<int>();
    const auto second = std::make_shared<int>();
    manager.adopt(Config{}, services, first);
    begin();
    EXPECT_FALSE(over);
    Config smaller;
    smaller.limits.max_calls = 1;
    manager.adopt(smaller, services, second);
    EXPECT_EQ(first.use_count(), 2) << "the call's";
    EXPECT_EQ(second.use_count(), 2) << "of calls to come";
    EXPECT_EQ(manager.admission().capacity, 1u);
    EXPECT_EQ(manager.closed(), transports::Refusal::full) << "the old call counts";
    EXPECT_EQ(command("CA1", {.kind = CallCommand::Kind::hang_up}), ok);
    EXPECT_TRUE(over);
    EXPECT_EQ(first.use_count(), 1);
    EXPECT_EQ(manager.closed(), std::nullopt);
}

TEST_F(ManagerTest, WhoAsksIsToldWhenTheCallEndsBeforeItObeyed) {
    call.keep_control = true;
    begin();
    EXPECT_EQ(command("CA1", {.kind = CallCommand::Kind::hold}), std::nullopt);
    call.finish(transports::EndReason::caller_hung_up);
    poll();
    EXPECT_TRUE(over);
    EXPECT_EQ(told, CallControlErrc::gone);
}

}  // namespace
}  // namespace oavc::pipeline
