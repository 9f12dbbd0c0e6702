#include "caller/bench/load_call.hpp"

#include "base/units.hpp"
#include "caller/measure.hpp"
#include "media/g711.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

namespace oavc::caller::bench {

namespace {

/// A voice that pauses longer than this has stopped: closures and breaths are shorter.
constexpr milliseconds stopped{300};
/// From here on they speak in spite of us.
constexpr milliseconds patience{2'000};
/// A call is not ended in the middle of a reply, but this much later it is.
constexpr milliseconds overtime{20'000};
// RFC 3550 §A.1: more than this is another stream.
constexpr int max_jump = 3000;

/// Energy of one sample by its µ-law code, from −42 dBFS on (Activity's gate): a window's sum says
/// whether it is voiced without decoding anything.
const std::array<std::uint32_t, 256>& energies() noexcept {
    static const auto table = [] {
        std::array<std::uint32_t, 256> out{};
        for (std::size_t code = 0; code < out.size(); ++code) {
            const std::int32_t sample = media::g711::ulaw_decode(static_cast<std::uint8_t>(code));
            // Clipped so that a window fits 32 bits; that loud it is voiced in any case.
            out[code] = static_cast<std::uint32_t>(std::min(sample * sample, 1 << 25));
        }
        return out;
    }();
    return table;
}

constexpr std::size_t window = Activity::window_samples;
constexpr auto window_time = duration_of(window, narrowband);
constexpr std::uint32_t voiced_energy =
    static_cast<std::uint32_t>(Activity::voiced_rms * Activity::voiced_rms) * window;

struct Voiced {
    bool any{false};
    Clock::duration begin{0};  ///< of the first voiced window
    Clock::duration end{0};    ///< of the last
};

Voiced voiced_part(std::span<const std::byte> ulaw) noexcept {
    const auto& energy = energies();
    Voiced part;
    Clock::duration at{0};
    for (; ulaw.size() >= window; ulaw = ulaw.subspan(window), at += window_time) {
        std::uint32_t sum = 0;
        for (const std::byte code : ulaw.first(window))
            sum += energy[std::to_integer<std::size_t>(code)];
        if (sum <= voiced_energy) continue;
        if (!part.any) part.begin = at;
        part.any = true;
        part.end = at + window_time;
    }
    return part;
}

}  // namespace

void StreamWatch::on_packet(const Stamp& stamp, TimePoint at, Figures& figures) noexcept {
    ++figures.received;
    const int step =
        static_cast<std::int16_t>(static_cast<std::uint16_t>(stamp.sequence_number - highest_));
    const auto apart = static_cast<std::int32_t>(stamp.timestamp - last_timestamp_);
    if (!started_ || std::abs(step) > max_jump) {
        if (started_) ++figures.wrong;
        started_ = true;
        highest_ = stamp.sequence_number;
        seen_ = 1;
    } else if (step > 0) {
        figures.lost += static_cast<std::uint64_t>(step - 1);
        seen_ = step < 64 ? seen_ << step | 1U : 1U;
        highest_ = stamp.sequence_number;
        const auto gap = at - last_arrival_;
        const auto due = microseconds{std::int64_t{apart} * 125};
        const auto off = gap > due ? gap - due : due - gap;
        if (step == 1) {
            figures.deviation.add(off);
            // A pause that the timestamps tell of is no gap.
            figures.largest_gap = std::max(figures.largest_gap, gap - due + frame_time);
        }
        jitter_us_ += (static_cast<float>(std::chrono::duration_cast<microseconds>(off).count()) -
                       jitter_us_) /
                      16.0F;
    } else {
        const unsigned back = static_cast<unsigned>(-step);
        const std::uint64_t bit = back < 64 ? std::uint64_t{1} << back : 0;
        if (bit == 0 || (seen_ & bit) != 0) {
            ++figures.duplicates;
        } else {
            seen_ |= bit;
            ++figures.reordered;
            if (figures.lost > 0) --figures.lost;  // it was late, not lost
        }
        return;  // its timing says nothing of the next one's
    }
    last_arrival_ = at;
    last_timestamp_ = stamp.timestamp;
}

Clock::duration StreamWatch::jitter() const noexcept {
    return microseconds{static_cast<std::int64_t>(jitter_us_)};
}

std::uint32_t LoadCall::random() noexcept {
    random_ ^= random_ << 13;  // xorshift32
    random_ ^= random_ >> 17;
    random_ ^= random_ << 5;
    return random_;
}

bool LoadCall::chance(double probability) noexcept {
    return random() < probability * 4'294'967'296.0;
}

void LoadCall::begin(const Script& script, std::uint32_t seed, TimePoint now) noexcept {
    *this = LoadCall{};
    script_ = &script;
    random_ = seed * 2'654'435'761U | 1U;
    random();
    pause_ = random();
    const Habits& habits = script.habits();
    const auto spread = static_cast<std::uint64_t>(
        std::max<std::int64_t>(0, (habits.longest_call - habits.shortest_call).count())
    );
    length_ =
        habits.shortest_call + milliseconds{static_cast<std::int64_t>(random() % (spread + 1))};
    placed_ = now;
    state_ = State::placed;
}

void LoadCall::on_answered(TimePoint at, Figures& figures) noexcept {
    ++figures.answered;
    figures.setup.add(at - placed_);
    answered_ = since_ = last_voice_ = at;
    state_ = State::waiting;
}

void LoadCall::on_heard(const Heard& heard, Figures& figures) noexcept {
    if (!answered()) return;
    if (heard.stamp) {
        stream_.on_packet(*heard.stamp, heard.at, figures);
    } else {
        ++figures.received;
    }
    const Voiced part = voiced_part(heard.ulaw);
    if (part.any) on_voice(heard.at + part.begin, heard.at + part.end, figures);
}

void LoadCall::on_voice(TimePoint first, TimePoint last, Figures& figures) noexcept {
    const bool goes_on = first - last_voice_ < stopped;
    if (!greeted_) {
        greeted_ = true;
        if (state_ == State::waiting) figures.first_audio.add(first - answered_);
    }
    last_voice_ = std::max(last_voice_, last);
    if (state_ != State::waiting || interrupting_) return;
    if (awaits_reply_) {
        // A voice that was there before we had finished is not a reply to what we said.
        if (goes_on || first < last_sent_) {
            ++figures.early;
        } else {
            figures.heard_latency.add(first - last_sent_);
        }
        awaits_reply_ = false;
    }
    state_ = State::hearing;
    const Habits& habits = script_->habits();
    will_interrupt_ = chance(habits.interrupting);
    interrupt_at_ =
        first + habits.interrupt_after +
        milliseconds{random() % static_cast<std::uint32_t>(habits.interrupt_after.count() + 1)};
}

/// Something so long that the share of talking comes out right. Nothing: not yet.
const Clip* LoadCall::choose(TimePoint now) noexcept {
    const double share = script_->habits().talking;
    if (share <= 0) return nullptr;
    const auto clips = script_->clips();
    if (share >= 1) return &clips[random() % clips.size()];
    const double elapsed = to_ms(now - answered_);
    const double wanted_ms = (share * elapsed - to_ms(talked_)) / (1 - share);
    const auto longer =
        std::upper_bound(clips.begin(), clips.end(), wanted_ms, [](double ms, const Clip& clip) {
            return ms < to_ms(clip.length());
        });
    const auto fitting = static_cast<std::size_t>(longer - clips.begin());
    if (fitting == 0) return nullptr;
    // One of the longest that fit; the very longest where even that is too short.
    const std::size_t choices = fitting == clips.size() ? 1 : std::min<std::size_t>(fitting, 3);
    return &clips[fitting - 1 - random() % choices];
}

void LoadCall::speak(const Clip& clip, bool interrupts, TimePoint now) noexcept {
    clip_ = &clip;
    frame_ = 0;
    state_ = State::speaking;
    awaits_reply_ = false;
    will_interrupt_ = false;
    interrupting_ = interrupts;
    onset_ = now + clip.first_voiced;
    last_sent_ = now + clip.last_voiced;
    talked_ += clip.length();
}

/// Whether they have fallen silent since we began to interrupt.
void LoadCall::watch_interruption(TimePoint now, Figures& figures) noexcept {
    if (now < onset_) return;
    if (now - last_voice_ >= stopped && now - onset_ >= stopped) {
        // Silent by itself before we were heard: nothing was interrupted.
        if (last_voice_ > onset_) figures.barge_in.add(last_voice_ - onset_);
        interrupting_ = false;
    } else if (now - onset_ >= patience) {
        ++figures.talked_over;
        interrupting_ = false;
        awaits_reply_ = false;
    }
}

FrameBytes LoadCall::speech(TimePoint now, Figures& figures) noexcept {
    const FrameBytes frame = clip_->frame(frame_++);
    // Frames go when they go: the last voiced sample counts from the frame that holds it.
    const auto rest = clip_->last_voiced - (frame_ - 1) * frame_time;
    if (rest > 0ms && rest <= frame_time) last_sent_ = now + rest;
    if (frame_ == clip_->frames()) {
        ++figures.turns;
        state_ = State::waiting;
        since_ = now;
        awaits_reply_ = true;
    }
    return frame;
}

LoadCall::Tick LoadCall::tick(TimePoint now, Figures& figures) noexcept {
    const Habits& habits = script_->habits();
    const auto age = now - answered_;
    if (habits.abrupt && age >= length_) return {script_->pause(pause_), false, true};
    if (interrupting_) watch_interruption(now, figures);
    switch (state_) {
        case State::waiting: {
            if (interrupting_ ||
                now - since_ < (greeted_ ? habits.reply_wait : habits.greeting_wait))
                break;
            if (awaits_reply_) ++figures.unanswered;
            awaits_reply_ = false;
            if (age >= length_) return {script_->pause(pause_), false, true};
            if (const Clip* clip = choose(now)) speak(*clip, false, now);
            break;
        }
        case State::hearing: {
            const auto silence = now - last_voice_;
            if (age >= length_ && (silence >= habits.quiet || age >= length_ + overtime))
                return {script_->pause(pause_), false, true};
            const bool interrupts =
                will_interrupt_ && now >= interrupt_at_ && silence < milliseconds{60};
            if (!interrupts && silence < habits.quiet) break;
            const Clip* clip = choose(now);
            // Whoever interrupts does not wait for the share; a word of a second will do.
            if (clip == nullptr && interrupts && habits.talking > 0)
                clip = &script_->clips()[std::min<std::size_t>(2, script_->clips().size() - 1)];
            if (clip != nullptr) speak(*clip, interrupts, now);
            break;
        }
        case State::speaking:
        case State::idle:
        case State::placed:
            break;
    }
    if (state_ == State::speaking) return {speech(now, figures), true, false};
    return {script_->pause(pause_++), false, false};
}

}  // namespace oavc::caller::bench
