#include "pipeline/conversation.hpp"
#include "pipeline/playout_queue.hpp"
#include "pipeline/sentence_aggregator.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <numeric>

namespace oavc::pipeline {
namespace {

using testing::ElementsAre;

std::vector<std::string> pieces_of(const std::vector<std::string>& tokens) {
    SentenceAggregator aggregator;
    std::vector<std::string> sentences;
    const auto collect = [&] {
        while (auto sentence = aggregator.next())
            sentences.push_back(*sentence);
    };
    for (const auto& token : tokens) {
        aggregator.push(token);
        collect();
    }
    aggregator.finish();
    collect();
    return sentences;
}

TEST(SentenceAggregator, CutsTheSameSentencesHoweverTheTokensAreCut) {
    const std::string text = "Your card costs 3.5 lira, e.g. today. Call Dr. Smith! Is it? Ok";
    std::vector<std::string> letters;
    for (const char c : text)
        letters.emplace_back(1, c);
    const auto expected =
        ElementsAre("Your card costs 3.5 lira,", "e.g. today.", "Call Dr. Smith!", "Is it?", "Ok");
    EXPECT_THAT(pieces_of({text}), expected);
    EXPECT_THAT(sentences_of(text), expected);
    EXPECT_THAT(pieces_of(letters), expected);
}

TEST(SentenceAggregator, LetsTheFirstSentenceGoBeforeTheReplyIsComplete) {
    SentenceAggregator aggregator;
    aggregator.push("It is on its way. And");
    EXPECT_EQ(aggregator.next(), "It is on its way.");
    EXPECT_EQ(aggregator.next(), std::nullopt);
}

TEST(SentenceAggregator, LeavesOutMarksMadeForEyesAndPiecesWithoutWords) {
    EXPECT_THAT(
        pieces_of({"**Hello** `there`.\n\n- - -\n# Done"}), ElementsAre("Hello there.", "Done")
    );
    EXPECT_THAT(pieces_of({"Have a nice day! 😊"}), ElementsAre("Have a nice day!"));
    EXPECT_THAT(pieces_of({"😊 Hello… — 👍🏽"}), ElementsAre("😊 Hello… — 👍🏽"));
}

TEST(SentenceAggregator, BoundsASentenceThatNeverEnds) {
    std::string endless;
    for (int i = 0; i < 500; ++i)
        endless += "word ";
    for (const auto& sentence : pieces_of({endless})) {
        EXPECT_LE(sentence.size(), SentenceAggregator::longest);
    }
    std::string letters;
    for (int i = 0; i < 400; ++i)
        letters += "ş";
    for (const auto& sentence : pieces_of({letters}))
        EXPECT_EQ(sentence.size() % 2, 0u);
}

TEST(PlayoutQueue, GivesWholeFramesAndFillsUpTheLastOneWithSilence) {
    PlayoutQueue queue{{}};
    queue.begin();
    queue.begin_sentence("hello");
    const std::vector<media::Sample> samples(200, 7);
    queue.append(samples);
    std::array<media::Sample, 160> frame{};
    EXPECT_TRUE(queue.take_frame(frame));
    EXPECT_FALSE(queue.take_frame(frame)) << "40 samples might still be joined by more";
    queue.finish();
    EXPECT_TRUE(queue.take_frame(frame));
    EXPECT_EQ(frame[39], 7);
    EXPECT_EQ(frame[40], 0);
    EXPECT_TRUE(queue.drained());
    EXPECT_FALSE(queue.take_frame(frame));
}

TEST(PlayoutQueue, RewindsToTheSampleEvenAfterLongPlay) {
    PlayoutQueue queue{{}};
    queue.begin();
    queue.begin_sentence("numbers");
    std::vector<media::Sample> second(8000);
    std::array<media::Sample, 160> frame{};
    media::Sample next = 0;
    for (int s = 0; s < 20; ++s) {
        std::iota(second.begin(), second.end(), static_cast<media::Sample>(s * 1000));
        queue.append(second);
        while (queue.take_frame(frame))
            next = static_cast<media::Sample>(frame[159] + 1);
    }
    queue.rewind(200ms);
    ASSERT_TRUE(queue.take_frame(frame));
    EXPECT_EQ(frame[0], next - 1600);
}

TEST(PlayoutQueue, PlaysWhatManyShareAndWhatIsItsOwnAsOneStream) {
    PlayoutQueue queue{{}};
    queue.begin();
    queue.begin_sentence("numbers");
    std::vector<media::Sample> all(30'000);
    std::iota(all.begin(), all.end(), media::Sample{0});
    const auto shared = std::make_shared<const std::vector<media::Sample>>(all);
    const media::Samples samples{*shared};
    std::array<media::Sample, 160> frame{};
    media::Sample next = 0;
    const auto play = [&] {
        while (queue.take_frame(frame)) {
            ASSERT_EQ(frame.front(), next);
            ASSERT_EQ(frame.back(), next + 159);
            next = static_cast<media::Sample>(next + 160);
        }
    };
    queue.append(samples.first(37));
    queue.append(samples.subspan(37, 9'963), shared);
    play();
    queue.append(samples.subspan(10'000, 3));
    queue.append(samples.subspan(10'003, 1'997));
    EXPECT_EQ(shared.use_count(), 2) << "a second of it can still be taken back";
    queue.rewind(500ms);
    next = static_cast<media::Sample>(next - 4'000);
    play();
    queue.append(samples.subspan(12'000, 18'000), shared);
    queue.append({}, shared);
    play();
    EXPECT_EQ(next, 30'000 / 160 * 160);
    queue.release();
    EXPECT_EQ(shared.use_count(), 1);
}

TEST(PlayoutQueue, LetsGoOfWhatWasPlayed) {
    PlayoutQueue queue{{}};
    queue.begin();
    std::array<media::Sample, 160> frame{};
    auto first = std::make_shared<const std::vector<media::Sample>>(800, media::Sample{1});
    const std::weak_ptr<const void> gone = first;
    queue.append(*first, first);
    first.reset();
    for (int i = 0; i < 200; ++i) {
        queue.append(frame);
        queue.take_frame(frame);
    }
    EXPECT_TRUE(gone.expired());
    queue.rewind(5'000ms);
    EXPECT_LT(queue.queued(), 1'400ms) << "a second, and the rest of a piece";
    EXPECT_GE(queue.queued(), 1'000ms);
}

TEST(PlayoutQueue, TheLedgerGoesOnBehindASentenceThatMakesNoSound) {
    PlayoutQueue queue{{}};
    queue.begin();
    std::array<media::Sample, 160> frame{};
    for (const auto* text : {"Hm.", "It is open.", "…", "Anything else?"}) {
        queue.begin_sentence(text);
        if (std::string_view{text}.size() > 3) queue.append(frame);
    }
    queue.finish();
    while (queue.take_frame(frame)) {
    }
    EXPECT_EQ(queue.heard_text(0ms), "It is open. Anything else?");
    EXPECT_EQ(queue.heard_text(frame_time), "It is open.");
}

TEST(PlayoutQueue, TheLedgerCountsWordsByTheirShareOfTime) {
    PlayoutQueue queue{{}};
    queue.begin();
    std::array<media::Sample, 160> frame{};
    queue.begin_sentence("First sentence.");
    queue.append(std::vector<media::Sample>(1600, 1));
    queue.begin_sentence("one two three four");
    queue.append(std::vector<media::Sample>(1600, 1));
    EXPECT_EQ(queue.heard_text(0ms), "");
    for (int i = 0; i < 10; ++i)
        queue.take_frame(frame);
    EXPECT_EQ(queue.heard_text(0ms), "First sentence.");
    for (int i = 0; i < 5; ++i)
        queue.take_frame(frame);
    EXPECT_EQ(queue.heard_text(0ms), "First sentence. one two");
    EXPECT_EQ(queue.heard_text(100ms), "First sentence.") << "that lies unheard at the carrier";
}

TEST(Conversation, PutsAnUnansweredTurnInThePlaceOfItsBeginning) {
    Conversation conversation{"Be brief.", 2};
    conversation.user_said("where is");
    conversation.user_said("where is my card");
    conversation.assistant_heard("On its", true);
    conversation.user_said("what");
    const auto messages = conversation.messages();
    ASSERT_EQ(messages.size(), 4u);
    EXPECT_EQ(messages[0].text, "Be brief.");
    EXPECT_EQ(messages[1].text, "where is my card");
    EXPECT_EQ(messages[2].text, "On its —");
    EXPECT_EQ(messages[3].text, "what");
}

TEST(Conversation, KeepsWhatAFunctionGaveTogetherWithItsCall) {
    using Role = services::ChatMessage::Role;
    Conversation conversation{"", 2};
    conversation.user_said("a person please");
    conversation.assistant_heard("I connect you.", false);
    conversation.called({{"1", "transfer_call", "{}"}}, {"failed: busy"});
    conversation.assistant_heard("They are busy.", false);
    auto messages = conversation.messages();
    ASSERT_EQ(messages.size(), 4u);
    EXPECT_EQ(messages[1].text, "I connect you.");
    ASSERT_EQ(messages[1].tool_calls.size(), 1u);
    EXPECT_EQ(messages[2].role, Role::tool);
    EXPECT_EQ(messages[2].tool_name, "transfer_call");
    EXPECT_EQ(messages[3].text, "They are busy.");
    conversation.user_said("hm");
    messages = conversation.messages();
    EXPECT_NE(messages.front().role, Role::tool) << "a result without its call is an error";
}

TEST(Conversation, ForgetsTheOldestTurnsButNeverTheSystemPrompt) {
    Conversation conversation{"Be brief.", 2};
    for (int i = 0; i < 10; ++i) {
        conversation.user_said("question " + std::to_string(i));
        conversation.assistant_heard("answer " + std::to_string(i), false);
    }
    const auto messages = conversation.messages();
    EXPECT_LE(messages.size(), 6u);
    EXPECT_EQ(messages.front().text, "Be brief.");
    EXPECT_EQ(messages.back().text, "answer 9");
}

}  // namespace
}  // namespace oavc::pipeline
