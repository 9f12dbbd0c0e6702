// Models and voices behind their failover wrappers.

#include "async/deadline.hpp"
#include "services/failover/failover_llm.hpp"
#include "services/failover/failover_tts.hpp"
#include "support/await.hpp"
#include "support/fake_services.hpp"
#include "support/two_providers.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace oavc::services {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Kind = LlmEvent::Kind;
using State = CircuitBreaker::State;

asio::awaitable<void> release_when_asked(FakeLlm& llm, std::size_t events) {
    while (llm.asks.empty())
        co_await async::sleep_for(1ms);
    llm.release(events);
}

// ── models ──────────────────────────────────────────────────────────────────────────────────────

class FailoverLlmTest : public TwoProviders<
                            ServiceKind::llm,
                            FailoverLlm,
                            LlmService,
                            FakeLlm,
                            LlmSession,
                            LlmOptions> {
protected:
    std::unique_ptr<LlmSession> session;

    void open(const FailoverConfig& config = patient()) {
        session.reset();
        session = open_both(config);
    }
    ~FailoverLlmTest() override {
        session.reset();
        settle();
    }

    static LlmRequest question() {
        LlmRequest request;
        request.messages.push_back({ChatMessage::Role::user, "When do you open?"});
        return request;
    }

    struct Heard {
        std::vector<std::string> pieces;  ///< restarts as "<"
        error_code end;
        Served served;
    };
    Heard listen(std::unique_ptr<LlmReply> reply) {
        Heard heard;
        for (;;) {
            auto event = test::result_of(shard, reply->next());
            if (!event) {
                heard.end = event.error();
                heard.served = reply->served();
                return heard;
            }
            heard.pieces.push_back(event->kind == Kind::restart ? "<" : event->text);
        }
    }
    Heard ask() { return listen(session->ask(question())); }
};

TEST_F(FailoverLlmTest, TheFirstAnswersAndTheSecondIsLeftAlone) {
    open();
    one.reply({"At ", "nine."});
    const auto heard = ask();
    EXPECT_THAT(heard.pieces, ElementsAre("At ", "nine."));
    EXPECT_EQ(heard.end, ServiceErrc::end_of_stream);
    EXPECT_EQ(heard.served.provider, "first");
    EXPECT_FALSE(heard.served.failed_over);
    EXPECT_THAT(two.opened, IsEmpty()) << "a fallback costs nothing until it is needed";
    EXPECT_EQ(first->snapshot().succeeded, 1u);
}

TEST_F(FailoverLlmTest, AFailureBeforeAnyTextIsNotNoticed) {
    open();
    one.reply_then_fail({}, ServiceErrc::unavailable);
    two.reply({"At nine."});
    const auto heard = ask();
    EXPECT_THAT(heard.pieces, ElementsAre("At nine."));
    EXPECT_EQ(heard.end, ServiceErrc::end_of_stream);
    EXPECT_EQ(heard.served.provider, "second");
    EXPECT_TRUE(heard.served.failed_over);
    EXPECT_EQ(two.asks.at(0).messages.at(0).text, "When do you open?");
    EXPECT_EQ(two.asks.at(0).said_already, "");
    EXPECT_EQ(first->snapshot().failed, 1u);
}

TEST_F(FailoverLlmTest, EveryErrorIsAReasonToAskAnother) {
    for (const auto code :
         {ServiceErrc::unavailable,
          ServiceErrc::timed_out,
          ServiceErrc::overloaded,
          ServiceErrc::protocol,
          ServiceErrc::rejected,
          ServiceErrc::configuration,
          ServiceErrc::cancelled}) {
        open();
        one.reply_then_fail({}, code);
        EXPECT_EQ(ask().served.provider, "second") << describe(code);
    }
}

TEST_F(FailoverLlmTest, AfterWholeSentencesTheSecondGoesOnBehindThem) {
    open();
    one.reply_then_fail({"We open at nine. ", "We cl"}, ServiceErrc::unavailable);
    two.reply({"We close at five."});
    const auto heard = ask();
    EXPECT_THAT(heard.pieces, ElementsAre("We open at nine. ", "We cl", "<", "We close at five."));
    EXPECT_EQ(heard.end, ServiceErrc::end_of_stream);
    EXPECT_EQ(two.asks.at(0).said_already, "We open at nine. ");
}

TEST_F(FailoverLlmTest, APieceOfASentenceWasNotSaid) {
    open();
    one.reply_then_fail({"Dr. Smith is"}, ServiceErrc::unavailable);
    two.reply({"Dr. Smith is in."});
    EXPECT_THAT(ask().pieces, ElementsAre("Dr. Smith is", "<", "Dr. Smith is in."));
    EXPECT_EQ(two.asks.at(0).said_already, "");
}

TEST_F(FailoverLlmTest, ASilentModelIsLeftAtItsDeadlineAndCancelled) {
    auto config = patient();
    config.first_token = 50ms;
    open(config);
    one.hold = true;
    EXPECT_THAT(ask().pieces, ElementsAre("Fine."));
    EXPECT_TRUE(one.asks.at(0).cancelled);
    EXPECT_EQ(one.open_replies, 0u);
    EXPECT_EQ(first->snapshot().last_error, make_error_code(ServiceErrc::timed_out).message());
}

TEST_F(FailoverLlmTest, TheLastOneIsWaitedForTwiceAsLong) {
    auto config = patient();
    config.first_token = 100ms;
    config.breaker.consecutive_failures = 1;
    open(config);
    one.hold = true;
    two.hold = true;
    const auto began = Clock::now();
    EXPECT_EQ(ask().end, ServiceErrc::timed_out);
    EXPECT_GE(Clock::now() - began, 300ms) << "a late answer is better than an apology";
    EXPECT_EQ(second->snapshot().failed, 1u);
}

TEST_F(FailoverLlmTest, AModelThatFallsSilentIsLeftToo) {
    auto config = patient();
    config.next_token = 50ms;
    open(config);
    one.hold = true;
    one.reply({"One. ", "Two"});
    auto reply = session->ask(question());
    asio::co_spawn(shard.context(), release_when_asked(one, 1), asio::detached);
    const auto event = test::result_of(shard, reply->next());
    ASSERT_TRUE(event);
    EXPECT_EQ(event->text, "One. ");
    const auto heard = listen(std::move(reply));
    EXPECT_THAT(heard.pieces, ElementsAre("<", "Fine."));
    EXPECT_EQ(two.asks.at(0).said_already, "One. ");
}

TEST_F(FailoverLlmTest, AnEmptyAnswerIsAFailure) {
    open();
    one.reply({"\n"});
    const auto heard = ask();
    EXPECT_EQ(heard.pieces.back(), "Fine.");
    EXPECT_EQ(heard.served.provider, "second");
    one.reply({});
    EXPECT_EQ(ask().served.provider, "second");
}

TEST_F(FailoverLlmTest, AnActionAloneIsAnAnswer) {
    open();
    one.reply({}, LlmEvent{Kind::hang_up});
    const auto heard = ask();
    EXPECT_EQ(heard.end, ServiceErrc::end_of_stream);
    EXPECT_EQ(heard.served.provider, "first");
}

TEST_F(FailoverLlmTest, NothingFollowsAnActionWhenItsModelBreaksOff) {
    open();
    one.fallback.events = {{Kind::text, "Goodbye."}, {Kind::hang_up}};
    one.fallback.failure = ServiceErrc::unavailable;
    const auto heard = ask();
    EXPECT_EQ(heard.pieces.size(), 2u) << "no second model is asked to say goodbye again";
    EXPECT_EQ(heard.end, ServiceErrc::end_of_stream);
}

TEST_F(FailoverLlmTest, WhenAllFailTheErrorIsTheLastOnes) {
    open();
    one.reply_then_fail({}, ServiceErrc::unavailable);
    two.reply_then_fail({}, ServiceErrc::overloaded);
    const auto heard = ask();
    EXPECT_THAT(heard.pieces, IsEmpty());
    EXPECT_EQ(heard.end, ServiceErrc::overloaded);
}

TEST_F(FailoverLlmTest, OneThatLetThisCallDownComesLastForAWhile) {
    open();
    one.reply_then_fail({}, ServiceErrc::unavailable);
    EXPECT_EQ(ask().served.provider, "second");
    EXPECT_EQ(ask().served.provider, "second");
    EXPECT_EQ(one.asks.size(), 1u) << "the caller does not wait for it again";
    two.reply_then_fail({}, ServiceErrc::unavailable);
    EXPECT_EQ(ask().served.provider, "first") << "but better than nobody";
}

TEST_F(FailoverLlmTest, ItGoesBackToTheFirstWhenThatMayBeTriedAgain) {
    auto config = patient();
    config.breaker.open_for = 50ms;
    config.breaker.consecutive_failures = 1;
    open(config);
    one.reply_then_fail({}, ServiceErrc::unavailable);
    EXPECT_EQ(ask().served.provider, "second");
    EXPECT_EQ(first->snapshot().breaker, State::open);
    const auto until = Clock::now() + 60ms;
    while (Clock::now() < until)
        std::this_thread::yield();
    const auto heard = ask();
    EXPECT_EQ(heard.served.provider, "first");
    EXPECT_FALSE(heard.served.failed_over);
    EXPECT_EQ(first->snapshot().breaker, State::closed);
}

TEST_F(FailoverLlmTest, AnOpenBreakerIsSkippedAndAllOpenFailAtOnce) {
    auto config = patient();
    config.breaker.consecutive_failures = 1;
    open(config);
    one.reply_then_fail({}, ServiceErrc::unavailable);
    two.reply_then_fail({}, ServiceErrc::unavailable);
    EXPECT_EQ(ask().end, ServiceErrc::unavailable);
    const auto asked = one.asks.size() + two.asks.size();
    EXPECT_EQ(ask().end, ServiceErrc::unavailable);
    EXPECT_EQ(one.asks.size() + two.asks.size(), asked) << "nobody was bothered";
    const auto opened = test::result_of(shard, both->open(shard, {}));
    EXPECT_EQ(opened.error(), ServiceErrc::unavailable);
}

TEST_F(FailoverLlmTest, OpensWithTheFirstThatCanBeOpened) {
    one.fail_open = ServiceErrc::unavailable;
    open();
    EXPECT_EQ(ask().served.provider, "second");
    two.fail_open = ServiceErrc::configuration;
    const auto none = test::result_of(shard, both->open(shard, {}));
    EXPECT_EQ(none.error(), ServiceErrc::configuration);
}

TEST_F(FailoverLlmTest, DestroyingAReplyCancelsWhoeverSpeaks) {
    open();
    one.reply({"One.", "Two."});
    auto reply = session->ask(question());
    ASSERT_TRUE(test::result_of(shard, reply->next()));
    EXPECT_EQ(one.open_replies, 1u);
    reply.reset();
    EXPECT_EQ(one.open_replies, 0u);
    EXPECT_TRUE(one.asks.at(0).cancelled);
    EXPECT_EQ(first->snapshot().succeeded, 1u) << "an interrupted answer was one";
}

TEST_F(FailoverLlmTest, AReplyThatIsDestroyedBeforeItSpokeBlamesNobody) {
    auto config = patient();
    config.breaker.consecutive_failures = 1;
    open(config);
    one.hold = true;
    auto reply = session->ask(question());
    bool ended = false;
    asio::co_spawn(shard.context(), reply->next(), [&](std::exception_ptr, Result<LlmEvent> event) {
        ended = true;
        EXPECT_EQ(event.error(), ServiceErrc::cancelled);
    });
    shard.context().restart();
    while (one.open_replies == 0)
        shard.context().poll_one();
    reply.reset();
    EXPECT_EQ(one.open_replies, 0u) << "at once";
    shard.context().restart();
    while (!ended)
        shard.context().run_one_for(1s);
    const auto seen = first->snapshot();
    EXPECT_EQ(seen.abandoned, 1u);
    EXPECT_EQ(seen.failed, 0u);
    EXPECT_EQ(seen.breaker, State::closed);
}

// ── hedging ─────────────────────────────────────────────────────────────────────────────────────

FailoverConfig hedging() {
    auto config = patient();
    config.hedge = true;
    config.hedge_at_least = 30ms;
    return config;
}

TEST_F(FailoverLlmTest, WithoutHistoryNobodyIsHedged) {
    open(hedging());
    one.hold = true;
    auto reply = session->ask(question());
    auto late = [](FakeLlm& llm) -> asio::awaitable<void> {
        constexpr auto long_after_a_hedge = 100ms;
        co_await async::sleep_for(long_after_a_hedge);
        llm.release();
    };
    asio::co_spawn(shard.context(), late(one), asio::detached);
    EXPECT_EQ(listen(std::move(reply)).served.provider, "first");
    EXPECT_THAT(two.asks, IsEmpty());
}

TEST_F(FailoverLlmTest, WhoSpeaksFirstWinsWhenTheFirstIsLaterThanUsual) {
    open(hedging());
    for (std::size_t i = 0; i < Latencies::enough; ++i)
        ask();
    EXPECT_THAT(two.asks, IsEmpty());
    one.hold = true;
    const auto heard = ask();
    EXPECT_THAT(heard.pieces, ElementsAre("Fine."));
    EXPECT_EQ(heard.served.provider, "second");
    EXPECT_TRUE(heard.served.hedged);
    EXPECT_FALSE(heard.served.failed_over);
    EXPECT_TRUE(one.asks.back().cancelled);
    EXPECT_EQ(one.open_replies, 0u);
    EXPECT_EQ(first->snapshot().failed, 1u) << "or one that hangs would never be found out";
}

TEST_F(FailoverLlmTest, ALateFirstMayStillWin) {
    open(hedging());
    for (std::size_t i = 0; i < Latencies::enough; ++i)
        ask();
    one.hold = true;
    two.hold = true;
    auto when_both_are_asked = [](FakeLlm& slow, FakeLlm& other) -> asio::awaitable<void> {
        while (other.asks.empty())
            co_await async::sleep_for(5ms);
        slow.release();
    };
    asio::co_spawn(shard.context(), when_both_are_asked(one, two), asio::detached);
    const auto heard = ask();
    EXPECT_EQ(heard.served.provider, "first");
    EXPECT_TRUE(heard.served.hedged);
    EXPECT_TRUE(two.asks.back().cancelled);
    EXPECT_EQ(second->snapshot().failed, 0u);
}

// ── voices ──────────────────────────────────────────────────────────────────────────────────────

class FailoverTtsTest : public TwoProviders<
                            ServiceKind::tts,
                            FailoverTts,
                            TtsService,
                            FakeTts,
                            TtsSession,
                            TtsOptions> {
protected:
    std::unique_ptr<TtsSession> session;

    void open(const FailoverConfig& config = patient()) {
        session.reset();
        two.first_level = 2000;
        two.caps.output_rate = narrowband;
        session = open_both(config, {"tr", "fahrettin"});
    }
    ~FailoverTtsTest() override {
        session.reset();
        settle();
    }

    struct Heard {
        std::vector<int> levels;  ///< of the chunks: who spoke
        std::vector<std::uint32_t> rates;
        error_code end;
        Served served;
    };
    Heard say(const std::string& text) {
        auto reply = session->speak(text);
        Heard heard;
        for (;;) {
            auto chunk = test::result_of(shard, reply->next());
            if (!chunk) {
                heard.end = chunk.error();
                heard.served = reply->served();
                return heard;
            }
            heard.levels.push_back(chunk->samples.at(0));
            heard.rates.push_back(chunk->rate.hz);
        }
    }
};

TEST_F(FailoverTtsTest, TheFirstSpeaks) {
    open();
    const auto heard = say("two words");
    EXPECT_THAT(heard.levels, ElementsAre(1000, 1000));
    EXPECT_EQ(heard.end, ServiceErrc::end_of_stream);
    EXPECT_EQ(heard.served.provider, "first");
    EXPECT_EQ(one.opened.at(0).voice, "fahrettin");
}

TEST_F(FailoverTtsTest, AFailureBeforeAudioIsNotNoticed) {
    open();
    one.fail_speak = ServiceErrc::protocol;
    const auto heard = say("two words");
    EXPECT_THAT(heard.levels, ElementsAre(2000, 2000));
    EXPECT_THAT(heard.rates, ElementsAre(8000u, 8000u)) << "each chunk says its rate";
    EXPECT_TRUE(heard.served.failed_over);
    EXPECT_EQ(two.opened.at(0).language, "tr");
    EXPECT_EQ(two.opened.at(0).voice, "") << "another engine's voice means nothing here";
}

TEST_F(FailoverTtsTest, AfterAudioTheWholeSentenceIsSpokenAgain) {
    open();
    one.fail_speak = ServiceErrc::unavailable;
    one.fail_after_chunks = 1;
    const auto heard = say("just three words");
    EXPECT_THAT(heard.levels, ElementsAre(1000, 2000, 2000, 2000));
    EXPECT_EQ(heard.end, ServiceErrc::end_of_stream);
    EXPECT_THAT(two.texts(), ElementsAre("just three words"));
}

TEST_F(FailoverTtsTest, AnEndWithoutASoundIsAFailure) {
    open();
    one.fail_speak = ServiceErrc::end_of_stream;
    EXPECT_THAT(say("two words").levels, ElementsAre(2000, 2000));
    EXPECT_EQ(first->snapshot().failed, 1u);
}

TEST_F(FailoverTtsTest, TextWithoutAWordMayBeSilent) {
    open();
    one.fail_speak = ServiceErrc::end_of_stream;
    EXPECT_EQ(say("...").end, ServiceErrc::end_of_stream);
    EXPECT_EQ(say("😊").end, ServiceErrc::end_of_stream);
    EXPECT_EQ(first->snapshot().failed, 0u);
}

TEST_F(FailoverTtsTest, ASilentVoiceIsLeftAtItsDeadlineAndForTheNextSentenceToo) {
    auto config = patient();
    config.first_audio = 50ms;
    open(config);
    one.hold = true;
    EXPECT_THAT(say("hello").levels, ElementsAre(2000));
    EXPECT_TRUE(one.spoken.at(0).cancelled);
    EXPECT_THAT(say("again").levels, ElementsAre(2001));
    EXPECT_EQ(one.spoken.size(), 1u);
}

TEST_F(FailoverTtsTest, AVoiceThatStallsIsLeft) {
    auto config = patient();
    config.next_audio = 50ms;
    open(config);
    one.hold = true;
    auto let_one_through = [](FakeTts& voice) -> asio::awaitable<void> {
        while (voice.spoken.empty())
            co_await async::sleep_for(1ms);
        voice.release(1);
    };
    asio::co_spawn(shard.context(), let_one_through(one), asio::detached);
    EXPECT_THAT(say("two words").levels, ElementsAre(1000, 2000, 2000));
}

TEST_F(FailoverTtsTest, ThreeCallersInARowOpenTheBreaker) {
    auto config = patient();
    open(config);
    one.fail_speak = ServiceErrc::unavailable;
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(first->snapshot().breaker, State::closed);
        session = test::value_of(shard, both->open(shard, {}));
        say("hello");
    }
    EXPECT_EQ(first->snapshot().breaker, State::open);
    session = test::value_of(shard, both->open(shard, {}));
    EXPECT_EQ(say("hello").served.provider, "second");
    EXPECT_EQ(one.spoken.size(), 3u);
}

TEST_F(FailoverTtsTest, HedgesToo) {
    open(hedging());
    for (std::size_t i = 0; i < Latencies::enough; ++i)
        say("hello");
    one.hold = true;
    const auto heard = say("hello");
    EXPECT_THAT(heard.levels, ElementsAre(2000));
    EXPECT_TRUE(heard.served.hedged);
    EXPECT_EQ(one.open_replies, 0u);
}

}  // namespace
}  // namespace oavc::services
