#include "services/failover/failover_stt.hpp"

#include "async/deadline.hpp"
#include "support/await.hpp"
#include "support/fake_services.hpp"
#include "support/two_providers.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace oavc::services {
namespace {

using testing::IsEmpty;
using testing::SizeIs;
using Kind = SttEvent::Kind;
using State = CircuitBreaker::State;

/// What a call does: next() is always being awaited.
asio::awaitable<void> read_all(
    SttStream& stream, std::deque<SttEvent>& events, std::optional<error_code>& error
) {
    for (;;) {
        auto event = co_await stream.next();
        if (!event) {
            error = event.error();
            co_return;
        }
        events.push_back(std::move(*event));
    }
}

class FailoverSttTest : public TwoProviders<
                            ServiceKind::stt,
                            FailoverStt,
                            SttService,
                            FakeStt,
                            SttStream,
                            SttOptions> {
protected:
    std::unique_ptr<SttStream> stream;
    std::deque<SttEvent> events;
    std::optional<error_code> error;

    void open(const FailoverConfig& config = patient(), bool with_fallback = true) {
        stream = open_both(config, {}, with_fallback);
        asio::co_spawn(shard.context(), read_all(*stream, events, error), asio::detached);
        settle();
    }
    ~FailoverSttTest() override {
        stream.reset();
        settle();
    }
    void until(const std::function<bool()>& condition) {
        const auto give_up = Clock::now() + 30s;
        while (!condition()) {
            ASSERT_LT(Clock::now(), give_up);
            shard.context().restart();
            shard.context().run_one_for(10ms);
        }
    }
    void push(std::size_t frames, media::Sample level = 7, SampleRate rate = wideband) {
        const std::vector<media::Sample> frame(samples_in(frame_time, rate), level);
        for (std::size_t i = 0; i < frames; ++i)
            stream->push({frame, rate});
    }
    SttEvent take() {
        until([this] { return !events.empty(); });
        auto event = std::move(events.front());
        events.pop_front();
        return event;
    }
};

TEST_F(FailoverSttTest, TheFirstHearsAndTheSecondIsLeftAlone) {
    open();
    stream->begin(UtteranceId{1});
    push(10);
    one.interim("where");
    settle();
    stream->end();
    one.final("where is it");
    EXPECT_EQ(take().kind, Kind::interim);
    const auto final = take();
    EXPECT_EQ(final.text, "where is it");
    EXPECT_EQ(final.served.provider, "first");
    EXPECT_FALSE(final.served.failed_over);
    EXPECT_EQ(one.utterances.at(0).samples.size(), 3200u);
    EXPECT_THAT(two.opened, IsEmpty());
    EXPECT_EQ(first->snapshot().succeeded, 1u);
}

TEST_F(FailoverSttTest, TheSecondHearsAllOfAnUtteranceThatTheFirstLost) {
    open();
    stream->begin(UtteranceId{1});
    push(10, 1);
    one.fail(ServiceErrc::unavailable);
    settle();
    push(10, 2);
    stream->end();
    ASSERT_THAT(two.utterances, SizeIs(1));
    const auto& heard = two.utterances.at(0);
    EXPECT_EQ(heard.id, UtteranceId{1});
    ASSERT_EQ(heard.samples.size(), 6400u);
    EXPECT_EQ(heard.samples.front(), 1);
    EXPECT_EQ(heard.samples.at(3200), 2);
    EXPECT_TRUE(heard.ended);
    two.final("hello");
    const auto final = take();
    EXPECT_EQ(final.text, "hello");
    EXPECT_EQ(final.served.provider, "second");
    EXPECT_TRUE(final.served.failed_over);
}

TEST_F(FailoverSttTest, ALateFinalGoesToTheSecondAndTheFirstOnesIsStale) {
    auto config = patient();
    config.final_transcript = 50ms;
    open(config);
    two.answers = {"in time"};
    stream->begin(UtteranceId{1});
    push(10);
    settle();
    EXPECT_EQ(one.open_streams, 1u);
    stream->end();
    EXPECT_EQ(take().text, "in time");
    EXPECT_EQ(one.open_streams, 0u) << "what it may still say is stale";
    EXPECT_EQ(first->snapshot().last_error, make_error_code(ServiceErrc::timed_out).message());
    EXPECT_THAT(events, IsEmpty());
}

TEST_F(FailoverSttTest, SilenceIsNoFailureWhileTheCallerStillSpeaks) {
    auto config = patient();
    config.final_transcript = 20ms;
    open(config);
    stream->begin(UtteranceId{1});
    const auto later = Clock::now() + 60ms;
    until([&] { return Clock::now() > later; });
    EXPECT_EQ(first->snapshot().failed, 0u);
}

TEST_F(FailoverSttTest, AudioIsResampledForAFallbackOfAnotherRate) {
    two.caps.input_rate = narrowband;
    open();
    EXPECT_EQ(both->capabilities().input_rate, wideband);
    stream->begin(UtteranceId{1});
    push(50, 1000);
    one.fail(ServiceErrc::unavailable);
    settle();
    push(50, 1000);
    stream->end();
    EXPECT_EQ(two.utterances.at(0).samples.size(), 16'000u) << "two seconds at 8 kHz";
    EXPECT_NEAR(two.utterances.at(0).samples.at(8000), 1000, 30);
}

TEST_F(FailoverSttTest, ATelephonesAudioIsResampledForEachThatWantsAnotherRate) {
    two.caps.input_rate = narrowband;
    open();
    EXPECT_TRUE(both->capabilities().any_rate);
    for (const std::uint32_t id : {1u, 2u}) {
        stream->begin(UtteranceId{id});
        push(50, 1000, narrowband);
        settle();
        const auto& heard = one.utterances.at(id - 1).samples;
        EXPECT_NEAR(static_cast<double>(heard.size()), 16'000, 100) << "at 16 kHz";
        EXPECT_NEAR(heard.at(8000), 1000, 30);
        if (id == 1) {
            stream->end();
            EXPECT_EQ(one.utterances.at(0).samples.size(), 16'000u) << "the tail, too";
            one.final("one");
            take();
        }
    }
    one.fail(ServiceErrc::unavailable);
    settle();
    push(50, -1000, narrowband);
    stream->end();
    const auto& heard = two.utterances.at(0).samples;
    ASSERT_EQ(heard.size(), 16'000u) << "two seconds at 8 kHz, as they came";
    EXPECT_NEAR(heard.at(4000), 1000, 30) << "kept as µ-law";
    EXPECT_EQ(heard.at(12'000), -1000) << "came after the change";
}

TEST_F(FailoverSttTest, ALongUtteranceIsReplayedFasterThanItWasSpoken) {
    open();
    stream->begin(UtteranceId{1});
    push(1000);  // 20 s
    one.fail(ServiceErrc::unavailable);
    settle();
    ASSERT_THAT(two.utterances, SizeIs(1));
    const auto at_once = two.utterances.at(0).samples.size();
    EXPECT_EQ(at_once, samples_in(5s, wideband)) << "bounded queues do not overflow";
    push(50);
    stream->end();
    EXPECT_FALSE(two.utterances.at(0).ended);
    const auto began = Clock::now();
    until([&] { return two.utterances.at(0).ended; });
    EXPECT_GT(Clock::now() - began, 400ms);
    EXPECT_EQ(two.utterances.at(0).samples.size(), samples_in(21s, wideband));
}

TEST_F(FailoverSttTest, KeepsThirtySecondsAtMost) {
    open();
    stream->begin(UtteranceId{1});
    push(2000);  // 40 s
    EXPECT_EQ(one.utterances.at(0).samples.size(), samples_in(40s, wideband));
    one.fail(ServiceErrc::unavailable);
    settle();
    stream->end();
    until([&] { return two.utterances.at(0).ended; });
    EXPECT_EQ(two.utterances.at(0).samples.size(), samples_in(30s, wideband));
}

TEST_F(FailoverSttTest, AStreamThatBreaksBetweenUtterancesIsOpenedAgainQuietly) {
    open();
    one.fail(ServiceErrc::unavailable);
    settle();
    EXPECT_FALSE(error);
    EXPECT_EQ(first->snapshot().failed, 0u);
    stream->begin(UtteranceId{1});
    push(5);
    settle();
    ASSERT_THAT(one.utterances, SizeIs(1));
    EXPECT_EQ(one.utterances.at(0).samples.size(), 1600u) << "nothing was lost meanwhile";
    stream->end();
    one.final("hello");
    EXPECT_EQ(take().served.provider, "first");
}

TEST_F(FailoverSttTest, GoesBackToARecoveredFirstAtTheNextUtterance) {
    auto config = patient();
    config.breaker.consecutive_failures = 1;
    config.breaker.open_for = 100ms;
    open(config);
    two.answers = {"a", "b"};
    const auto say = [this](std::uint32_t id) {
        stream->begin(UtteranceId{id});
        push(5);
        settle();
    };
    say(1);
    one.fail(ServiceErrc::unavailable);
    settle();
    stream->end();
    EXPECT_EQ(take().served.provider, "second");
    EXPECT_EQ(first->snapshot().breaker, State::open);
    say(2);
    stream->end();
    EXPECT_EQ(take().served.provider, "second");
    const auto later = Clock::now() + 110ms;
    until([&] { return Clock::now() > later; });
    say(3);
    stream->end();
    one.final("back");
    EXPECT_EQ(take().served.provider, "first");
    EXPECT_EQ(first->snapshot().breaker, State::closed);
}

TEST_F(FailoverSttTest, ACancelledUtteranceLeavesNoEventAndNoBlame) {
    open();
    stream->begin(UtteranceId{1});
    push(5);
    one.interim("hal");
    stream->cancel();
    settle();
    EXPECT_THAT(events, IsEmpty());
    EXPECT_TRUE(one.utterances.at(0).cancelled);
    EXPECT_EQ(first->snapshot().failed, 0u);
    EXPECT_EQ(first->snapshot().abandoned, 1u);
    stream->begin(UtteranceId{2});
    settle();
    stream->end();
    one.final("again");
    EXPECT_EQ(take().utterance, UtteranceId{2});
}

TEST_F(FailoverSttTest, ACancelledReplayStops) {
    open();
    stream->begin(UtteranceId{1});
    push(1000);
    one.fail(ServiceErrc::unavailable);
    settle();
    stream->cancel();
    const auto given = two.utterances.at(0).samples.size();
    const auto later = Clock::now() + 60ms;
    until([&] { return Clock::now() > later; });
    EXPECT_EQ(two.utterances.at(0).samples.size(), given);
    EXPECT_TRUE(two.utterances.at(0).cancelled);
}

TEST_F(FailoverSttTest, ACallerMayGoOnBeforeTheFinalIsThere) {
    open();
    stream->begin(UtteranceId{1});
    push(5, 1);
    settle();
    stream->end();
    stream->begin(UtteranceId{2});
    push(5, 2);
    one.final("well", UtteranceId{1});
    const auto before = take();
    EXPECT_EQ(before.utterance, UtteranceId{1});
    EXPECT_EQ(before.text, "well");
    stream->end();
    one.final("go on", UtteranceId{2});
    EXPECT_EQ(take().utterance, UtteranceId{2});
    EXPECT_EQ(first->snapshot().succeeded, 2u);
}

TEST_F(FailoverSttTest, EveryUtteranceThatWaitsIsHeardByTheSecond) {
    open();
    stream->begin(UtteranceId{1});
    push(5, 1);
    stream->end();
    stream->begin(UtteranceId{2});
    push(5, 2);
    settle();
    one.fail(ServiceErrc::unavailable);
    settle();
    push(5, 3);
    two.answers = {"go on"};
    stream->end();
    ASSERT_THAT(two.utterances, SizeIs(2));
    EXPECT_EQ(two.utterances.at(0).id, UtteranceId{1});
    EXPECT_EQ(two.utterances.at(0).samples, std::vector<media::Sample>(1600, 1));
    EXPECT_TRUE(two.utterances.at(0).ended);
    EXPECT_EQ(two.utterances.at(1).samples.size(), 3200u);
    EXPECT_TRUE(two.utterances.at(1).ended);
    EXPECT_EQ(two.open_streams, 2u) << "one stream takes one utterance after another";
    EXPECT_EQ(take().utterance, UtteranceId{2});
    EXPECT_EQ(two.open_streams, 1u) << "and one is enough again";
}

TEST_F(FailoverSttTest, ADeadlineOfOneUtteranceMovesTheOthersOfThatStreamToo) {
    auto config = patient();
    config.final_transcript = 50ms;
    open(config);
    two.answers = {"well", "go on"};
    stream->begin(UtteranceId{1});
    push(5, 1);
    settle();
    stream->end();
    stream->begin(UtteranceId{2});
    push(5, 2);
    EXPECT_EQ(take().utterance, UtteranceId{1});
    push(5, 3);
    stream->end();
    const auto after = take();
    EXPECT_EQ(after.text, "go on");
    EXPECT_EQ(two.utterances.at(1).samples.size(), 3200u);
    EXPECT_EQ(one.open_streams, 0u);
}

TEST_F(FailoverSttTest, WhenAllFailedOnceTheCallerIsAskedAgain) {
    open();
    stream->begin(UtteranceId{1});
    push(5);
    one.fail(ServiceErrc::unavailable);
    settle();
    two.fail(ServiceErrc::unavailable);
    settle();
    EXPECT_THAT(events, IsEmpty()) << "he is still speaking";
    stream->end();
    const auto final = take();
    EXPECT_EQ(final.kind, Kind::final);
    EXPECT_EQ(final.text, "");
    EXPECT_FALSE(error);
    stream->begin(UtteranceId{2});
    settle();
    stream->end();
    one.final("now it works");
    EXPECT_EQ(take().text, "now it works");
}

TEST_F(FailoverSttTest, WhenAllBreakersAreOpenTheStreamFails) {
    auto config = patient();
    config.breaker.consecutive_failures = 1;
    open(config);
    stream->begin(UtteranceId{1});
    one.fail(ServiceErrc::unavailable);
    settle();
    two.fail(ServiceErrc::overloaded);
    until([this] { return error.has_value(); });
    EXPECT_EQ(*error, ServiceErrc::overloaded);
    EXPECT_EQ(test::result_of(shard, both->open(shard, {})).error(), ServiceErrc::unavailable);
}

TEST_F(FailoverSttTest, OneAloneHasItsDeadlineToo) {
    auto config = patient();
    config.final_transcript = 30ms;
    open(config, false);
    stream->begin(UtteranceId{1});
    settle();
    stream->end();
    EXPECT_EQ(take().text, "");
    EXPECT_EQ(first->snapshot().failed, 1u);
}

TEST_F(FailoverSttTest, OpensWithTheFirstThatCanBeOpened) {
    one.fail_open = ServiceErrc::unavailable;
    open();
    two.answers = {"hello"};
    stream->begin(UtteranceId{1});
    settle();
    stream->end();
    EXPECT_EQ(take().served.provider, "second");
    EXPECT_THAT(one.opened, SizeIs(1)) << "not asked again for a while";
}

TEST_F(FailoverSttTest, DestructionClosesEveryStreamAtOnce) {
    open();
    stream->begin(UtteranceId{1});
    push(5);
    one.fail(ServiceErrc::unavailable);
    settle();
    EXPECT_EQ(two.open_streams, 1u);
    stream.reset();
    EXPECT_EQ(one.open_streams + two.open_streams, 0u);
    settle();
    ASSERT_TRUE(error);
    EXPECT_EQ(*error, ServiceErrc::cancelled);
}

}  // namespace
}  // namespace oavc::services
