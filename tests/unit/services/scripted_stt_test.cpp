#include "services/stt/scripted_stt.hpp"

#include "services/errors.hpp"
#include "support/await.hpp"
#include "support/run_shard.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace oavc::services {
namespace {

class ScriptedSttTest : public testing::Test {
protected:
    std::unique_ptr<SttStream> open(ScriptedSttConfig config) {
        service_ = std::make_unique<ScriptedStt>(std::move(config));
        return call();
    }
    std::unique_ptr<SttStream> call() { return test::value_of(shard_, service_->open(shard_, {})); }

    static void say(SttStream& stream, std::uint32_t id, std::size_t samples = 320) {
        stream.begin(UtteranceId{id});
        const std::vector<media::Sample> audio(samples, 0);
        if (samples > 0) stream.push({audio, wideband});
        stream.end();
    }
    std::string answer(SttStream& stream, std::uint32_t id) {
        const auto event = test::value_of(shard_, stream.next());
        EXPECT_EQ(event.kind, SttEvent::Kind::final);
        EXPECT_EQ(event.utterance, UtteranceId{id});
        return event.text;
    }

    async::Shard shard_{0};
    std::unique_ptr<ScriptedStt> service_;
};

TEST_F(ScriptedSttTest, AnswersEveryUtteranceWithTheNextLineAndBeginsAgain) {
    const auto stream = open({.lines = {"one", "two"}});
    std::vector<std::string> heard;
    for (std::uint32_t id = 1; id <= 3; ++id) {
        say(*stream, id);
        heard.push_back(answer(*stream, id));
    }
    EXPECT_EQ(heard, (std::vector<std::string>{"one", "two", "one"}));

    const auto other = call();
    say(*other, 1);
    EXPECT_EQ(answer(*other, 1), "one") << "each call begins with the first line";
    EXPECT_EQ(service_->counts().front().value, 4);
}

TEST_F(ScriptedSttTest, CancelledUtterancesCostNoLineAndSilentOnesSayNothing) {
    const auto stream = open({.lines = {"one", "two"}});
    say(*stream, 1);
    stream->cancel();
    say(*stream, 2, 0);
    EXPECT_EQ(answer(*stream, 2), "");
    say(*stream, 3);
    EXPECT_EQ(answer(*stream, 3), "one");
}

TEST_F(ScriptedSttTest, TheTextComesAfterItsDelay) {
    const auto stream = open({.lines = {"one"}, .delay = 30ms});
    const auto ended = Clock::now();
    say(*stream, 1);
    EXPECT_EQ(answer(*stream, 1), "one");
    EXPECT_GE(Clock::now() - ended, 30ms);
}

TEST_F(ScriptedSttTest, WhoWaitsIsToldThatTheStreamIsGone) {
    auto stream = open({});
    const auto waiting = test::start(shard_, stream->next());
    test::run_for(shard_, 0s);
    EXPECT_FALSE(waiting->has_value());
    stream.reset();
    ASSERT_TRUE(test::run_until(shard_, [&] { return waiting->has_value(); }));
    EXPECT_EQ((**waiting).error(), ServiceErrc::cancelled);
}

}  // namespace
}  // namespace oavc::services
