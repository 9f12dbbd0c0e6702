#include "support/fake_services.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>

#include <gtest/gtest.h>

namespace oavc::services {
namespace {

/// Runs `work` on the shard until nothing is left to do; nullopt when it still waits.
template <class T>
std::optional<T> run(async::Shard& shard, asio::awaitable<T> work) {
    auto result = asio::co_spawn(shard.context(), std::move(work), asio::use_future);
    shard.context().restart();
    shard.context().poll();
    if (result.wait_for(0s) != std::future_status::ready) return std::nullopt;
    return result.get();
}

TEST(FakeStt, EmitsWhatTheTestSaysForTheCurrentUtteranceAndNothingForACancelledOne) {
    async::Shard shard{0};
    FakeStt stt;
    auto stream = std::move(run(shard, stt.open(shard, {"en"}))->value());
    stream->begin(UtteranceId{1});
    const std::vector<media::Sample> frame(320, 7);
    stream->push({frame, wideband});
    EXPECT_TRUE(stt.interim("where"));
    stream->cancel();
    EXPECT_FALSE(stt.final("where is")) << "nothing comes for a cancelled utterance";
    stream->begin(UtteranceId{2});
    stt.answers = {"my card"};
    stream->end();
    const auto event = run(shard, stream->next())->value();
    EXPECT_EQ(event.utterance, UtteranceId{2}) << "the cancelled interim was dropped";
    EXPECT_EQ(event.text, "my card");
    ASSERT_EQ(stt.utterances.size(), 2u);
    EXPECT_EQ(stt.utterances[0].samples.size(), 320u);
    EXPECT_TRUE(stt.utterances[0].cancelled);
    EXPECT_TRUE(stt.utterances[1].ended);
    stt.fail(ServiceErrc::unavailable);
    EXPECT_EQ(run(shard, stream->next())->error(), ServiceErrc::unavailable);
    stream.reset();
    EXPECT_EQ(stt.open_streams, 0u);
}

TEST(FakeLlm, ReleasesTokensOnDemandAndRecordsWhatWasCutShort) {
    async::Shard shard{0};
    FakeLlm llm;
    llm.hold = true;
    llm.reply({"One ", "two."}, LlmEvent{LlmEvent::Kind::hang_up, ""});
    auto session = std::move(run(shard, llm.open(shard, {}))->value());
    LlmRequest request;
    request.messages.push_back({ChatMessage::Role::user, "hi"});
    auto reply = session->ask(request);
    llm.release(1);
    EXPECT_EQ(run(shard, reply->next())->value().text, "One ");
    reply.reset();
    EXPECT_TRUE(llm.asks[0].cancelled);
    EXPECT_EQ(llm.asks[0].events_taken, 1u);

    llm.hold = false;
    llm.reply_then_fail({"So"}, ServiceErrc::timed_out);
    reply = session->ask(request);
    EXPECT_EQ(run(shard, reply->next())->value().text, "So");
    EXPECT_EQ(run(shard, reply->next())->error(), ServiceErrc::timed_out);
    reply.reset();
    EXPECT_FALSE(llm.asks[1].cancelled);
}

TEST(FakeTts, GivesSixtyMillisecondsPerWordWhoseSamplesNameTheirReply) {
    async::Shard shard{0};
    FakeTts tts;
    auto session = std::move(run(shard, tts.open(shard, {}))->value());
    auto first = session->speak("one");
    tts.hold = true;
    auto second = session->speak("two words");
    EXPECT_EQ(run(shard, first->next())->value().samples, std::vector<media::Sample>(960, 1000));
    EXPECT_EQ(run(shard, first->next())->error(), ServiceErrc::end_of_stream);
    tts.release(1);
    EXPECT_EQ(run(shard, second->next())->value().samples.front(), 1001);
    tts.release();
    EXPECT_EQ(run(shard, second->next())->value().samples.front(), 1001);
    EXPECT_EQ(run(shard, second->next())->error(), ServiceErrc::end_of_stream);
    EXPECT_EQ(tts.texts(), (std::vector<std::string>{"one", "two words"}));
}

}  // namespace
}  // namespace oavc::services
