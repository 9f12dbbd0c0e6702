#include "caller/conversation.hpp"

#include "async/deadline.hpp"
#include "base/units.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace oavc::caller {

namespace {

constexpr std::size_t frame_samples = samples_in(frame_time, narrowband);

std::vector<bool> interruptions(const std::vector<Utterance>& utterances) {
    std::vector<bool> interrupts;
    for (const Utterance& utterance : utterances)
        interrupts.push_back(utterance.interrupts);
    return interrupts;
}

}  // namespace

Conversation::Conversation(
    async::Shard& shard,
    Line& line,
    const std::vector<Utterance>& utterances,
    Config config,
    Listener listener
)
    : shard_{shard},
      line_{line},
      utterances_{utterances},
      config_{std::move(config)},
      listener_{std::move(listener)},
      taker_{config_.turns, interruptions(utterances)},
      finished_{shard.executor()} {}

Conversation::~Conversation() { shard_.remove_tick(*this); }

asio::awaitable<Conversation::End> Conversation::run() {
    if (!end_) dialled_ = co_await line_.dial(*this);
    if (dialled_.answered) {
        tape_.emplace(dialled_.at);
        if (listener_.answered) listener_.answered(dialled_);
        for (const char digit : config_.digits)
            line_.press(digit);
        if (!end_) shard_.add_tick(*this);
        const TimePoint deadline = dialled_.at + config_.longest;
        while (!end_) {
            const TimePoint now = Clock::now();
            if (now >= deadline) {
                finish(End::too_long);
                break;
            }
            using namespace asio::experimental::awaitable_operators;
            co_await (finished_.wait() || async::sleep_for(deadline - now));
            const auto state = co_await asio::this_coro::cancellation_state;
            if (state.cancelled() != asio::cancellation_type::none) finish(End::stopped);
        }
        shard_.remove_tick(*this);
    } else if (!end_) {
        end_ = End::not_answered;
    }
    // Politeness is not cancelled.
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    co_await line_.hang_up();
    co_return *end_;
}

void Conversation::stop() noexcept { finish(End::stopped); }

void Conversation::finish(End end) noexcept {
    if (end_) return;
    end_ = end;
    ended_at_ = Clock::now();
    finished_.notify();
    if (listener_.over && dialled_.answered) listener_.over(since_answer(ended_at_), why_over_);
}

milliseconds Conversation::since_answer(TimePoint at) const noexcept {
    return std::chrono::duration_cast<milliseconds>(at - dialled_.at);
}

void Conversation::on_heard(TimePoint at, media::Samples samples) noexcept {
    if (tape_ && !end_) tape_->heard(at, samples);
}

void Conversation::on_line_over(const std::string& why) noexcept {
    why_over_ = why;
    finish(End::connector_ended);
}

void Conversation::on_tick(TimePoint now) noexcept {
    if (end_) return;
    line_.advance(now);
    if (end_) return;
    const auto last = tape_->heard_activity().last_voiced();
    const bool voiced = last != last_voiced_;
    last_voiced_ = last;
    switch (taker_.on_tick(now, voiced)) {
        case TurnTaker::Action::listen:
            break;
        case TurnTaker::Action::speak: {
            spoken_.push_back({now, now, taker_.interrupting()});
            speaking_ = true;
            position_ = 0;
            if (listener_.speaks)
                listener_.speaks(since_answer(now), utterances_[taker_.current()]);
            break;
        }
        case TurnTaker::Action::hang_up:
            finish(End::finished);
            return;
    }
    std::array<media::Sample, frame_samples> frame{};
    next_frame(now, frame);
    tape_->sent(now, frame);
    line_.send(now, frame);
}

void Conversation::next_frame(TimePoint now, std::span<media::Sample> frame) {
    noise_.fill(frame);
    if (!speaking_) return;
    const auto& samples = utterances_[taker_.current()].samples;
    const std::size_t count = std::min(frame.size(), samples.size() - position_);
    std::copy_n(samples.begin() + static_cast<std::ptrdiff_t>(position_), count, frame.begin());
    position_ += count;
    spoken_.back().end = now + frame_time;
    if (position_ < samples.size()) return;
    speaking_ = false;
    taker_.on_spoken(now + frame_time);
}

}  // namespace oavc::caller
