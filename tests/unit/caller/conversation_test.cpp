#include "caller/conversation.hpp"

#include "caller/analysis.hpp"

#include <boost/asio/co_spawn.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>

namespace oavc::caller {
namespace {

std::vector<media::Sample> tone(milliseconds length) {
    std::vector<media::Sample> samples(samples_in(length, narrowband));
    for (std::size_t i = 0; i < samples.size(); ++i)
        samples[i] = i % 8 < 4 ? 4'000 : -4'000;
    return samples;
}

/// A connector in the same process: greets, answers what it hears after 100 ms of silence, and
/// falls silent when spoken over. Plays its frames at the caller's own ticks.
class FakeConnector final : public Line {
public:
    milliseconds greeting{100};
    milliseconds reply{200};
    bool answers{true};
    bool hangs_up_after_reply{false};

    const std::string& native_id() const noexcept override { return id_; }
    asio::awaitable<Dialled> dial(Ear& ear) override {
        ear_ = &ear;
        Dialled dialled;
        dialled.answered = answers;
        dialled.at = Clock::now();
        dialled.what = answers ? "fake" : "refused: 486 Busy Here";
        left_ = greeting;
        co_return dialled;
    }
    void send(TimePoint now, media::Samples frame) noexcept override {
        ++stats_.sent;
        const bool voiced =
            std::any_of(frame.begin(), frame.end(), [](media::Sample s) { return s > 1'000; });
        if (voiced) {
            last_voiced_ = now;
            owes_reply_ = true;
            left_ = 0ms;
        } else if (owes_reply_ && now - last_voiced_ >= 100ms) {
            owes_reply_ = false;
            left_ = reply;
            ending_ = hangs_up_after_reply;
        }
    }
    void advance(TimePoint now) noexcept override {
        if (left_ <= 0ms) {
            if (std::exchange(ending_, false)) ear_->on_line_over("the connector hung up");
            return;
        }
        left_ -= frame_time;
        ++stats_.received;
        const auto samples = tone(frame_time);
        ear_->on_heard(now, samples);
    }
    void press(char digit) noexcept override { digits += digit; }
    asio::awaitable<void> hang_up() override {
        hung_up = true;
        co_return;
    }
    LineStats stats() const noexcept override { return stats_; }

    std::string digits;
    bool hung_up{false};

private:
    const std::string id_{"native"};
    Ear* ear_{nullptr};
    milliseconds left_{0};
    bool owes_reply_{false};
    bool ending_{false};
    TimePoint last_voiced_{};
    LineStats stats_;
};

class ConversationTest : public testing::Test {
protected:
    void say(milliseconds length, bool interrupts = false) {
        Utterance utterance;
        utterance.text = utterance.label = "hello";
        utterance.interrupts = interrupts;
        utterance.samples = tone(length);
        utterances.push_back(std::move(utterance));
    }
    void run() {
        Conversation::Config config;
        config.turns.quiet = 200ms;
        config.turns.greeting_wait = 300ms;
        config.turns.reply_wait = 400ms;
        config.turns.interrupt_after = 100ms;
        config.digits = "12";
        config.longest = longest;
        conversation.emplace(shard, line, utterances, config, Conversation::Listener{});
        asio::co_spawn(
            shard.context(),
            conversation->run(),
            [this](std::exception_ptr, Conversation::End e) { end = e; }
        );
        shard.context().run();
    }

    async::Shard shard{0};
    FakeConnector line;
    std::vector<Utterance> utterances;
    Clock::duration longest{5s};
    std::optional<Conversation> conversation;
    std::optional<Conversation::End> end;
};

TEST_F(ConversationTest, SpeaksInTurnAndMeasuresTheReply) {
    say(100ms);
    run();
    EXPECT_EQ(end, Conversation::End::finished);
    EXPECT_TRUE(line.hung_up);
    EXPECT_EQ(line.digits, "12");
    EXPECT_TRUE(conversation->complete());
    EXPECT_EQ(conversation->unanswered(), 0U);
    const CallFacts facts{
        utterances,
        conversation->spoken(),
        conversation->tape(),
        conversation->dialled().at,
        conversation->ended_at(),
        {}};
    const auto turns =
        analyse(facts, [](media::Samples samples) { return std::to_string(samples.size() / 160); });
    ASSERT_EQ(turns.size(), 1U) << "the greeting was not interrupted: it is no turn";
    ASSERT_TRUE(turns[0].heard_latency_ms);
    EXPECT_GE(*turns[0].heard_latency_ms, 99.0);
    EXPECT_LE(*turns[0].heard_latency_ms, 160.0);
    EXPECT_GE(std::stoi(turns[0].connector_said), 10) << "200 ms of reply, with margins";
    EXPECT_LE(std::stoi(turns[0].connector_said), 30);
}

TEST_F(ConversationTest, InterruptsAndMeasuresTheSilence) {
    line.reply = 3s;
    say(100ms);
    say(200ms, true);
    line.hangs_up_after_reply = false;
    longest = 4s;
    run();
    const CallFacts facts{
        utterances,
        conversation->spoken(),
        conversation->tape(),
        conversation->dialled().at,
        conversation->ended_at(),
        {}};
    const auto turns = analyse(facts, {});
    ASSERT_EQ(turns.size(), 2U);
    EXPECT_TRUE(turns[0].interrupted);
    ASSERT_TRUE(turns[0].barge_in_ms);
    EXPECT_LE(*turns[0].barge_in_ms, 60.0);
    EXPECT_EQ(turns[0].leaked_ms, 0);
}

TEST_F(ConversationTest, EndsWhenTheConnectorHangsUp) {
    line.hangs_up_after_reply = true;
    say(100ms);
    say(100ms);
    run();
    EXPECT_EQ(end, Conversation::End::connector_ended);
    EXPECT_EQ(conversation->why_over(), "the connector hung up");
    EXPECT_FALSE(conversation->complete());
}

TEST_F(ConversationTest, DoesNotSpeakIntoARefusedCall) {
    line.answers = false;
    say(100ms);
    run();
    EXPECT_EQ(end, Conversation::End::not_answered);
    EXPECT_TRUE(conversation->spoken().empty());
    EXPECT_EQ(line.stats().sent, 0U);
}

TEST_F(ConversationTest, NeverLastsLongerThanAllowed) {
    line.greeting = 60s;
    longest = 100ms;
    say(100ms);
    run();
    EXPECT_EQ(end, Conversation::End::too_long);
    EXPECT_TRUE(line.hung_up);
}

TEST(TapeTest, KeepsTheTimeOfAStreamThatJittersAndPauses) {
    const TimePoint began{};
    Tape tape{began};
    const auto frame = tone(20ms);
    tape.heard(began + 100ms, frame);
    tape.heard(began + 131ms, frame);  // 11 ms late: no hole
    tape.heard(began + 400ms, frame);  // a pause
    const auto all = tape.heard_between(began, began + 1s);
    ASSERT_EQ(all.size(), samples_in(420ms, narrowband));
    EXPECT_EQ(all[799], 0);
    EXPECT_NE(all[800], 0);
    EXPECT_NE(all[800 + 319], 0);
    EXPECT_EQ(all[800 + 320], 0);
    EXPECT_NE(all[3200], 0);
    EXPECT_TRUE(tape.heard_between(began + 2s, began + 3s).empty());
}

}  // namespace
}  // namespace oavc::caller
