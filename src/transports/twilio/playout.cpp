#include "transports/twilio/playout.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace oavc::transports::twilio {

namespace {

/// Lateness of an echo below this is the network's and the clock's grain, not a stall.
constexpr Clock::duration tolerance = milliseconds{40};
/// An echo overdue by this means that playback stands still …
constexpr Clock::duration patience = milliseconds{250};
/// … and by this, that echoes get lost: the clock alone counts again.
constexpr Clock::duration give_up = std::chrono::seconds{5};

struct MarkName {
    std::uint64_t epoch;
    std::uint64_t number;
};

std::optional<MarkName> parse_name(std::string_view name) noexcept {
    MarkName parsed{};
    if (!name.starts_with('e')) return std::nullopt;
    const char* const end = name.data() + name.size();
    const auto [colon, bad_epoch] = std::from_chars(name.data() + 1, end, parsed.epoch);
    if (bad_epoch != std::errc{} || colon == end || *colon != ':') return std::nullopt;
    const auto [last, bad_number] = std::from_chars(colon + 1, end, parsed.number);
    if (bad_number != std::errc{} || last != end) return std::nullopt;
    return parsed;
}

milliseconds whole(Clock::duration d) noexcept {
    return std::chrono::duration_cast<milliseconds>(d);
}

}  // namespace

Clock::duration Playout::playhead(TimePoint now) const noexcept {
    if (now < anchor_time_) {  // asked about a moment before the last pause ended
        return std::clamp(before_ + (now - before_time_), proven_, std::max(proven_, anchor_));
    }
    auto furthest = sent_;
    if (way_known_ && !marks_.empty()) {
        const auto overdue = now - marks_.front().due - way_;
        if (overdue > patience && overdue < give_up) furthest = marks_.front().position;
    }
    return std::clamp(anchor_ + (now - anchor_time_), proven_, furthest);
}

milliseconds Playout::room(TimePoint now) const noexcept {
    const auto ahead = sent_ - playhead(now);
    return ahead >= max_buffered_ ? milliseconds{0} : whole(max_buffered_ - ahead);
}

void Playout::on_sent(milliseconds audio, TimePoint now) noexcept {
    if (playhead(now) >= sent_) {  // the buffer was empty: playback begins anew
        before_ = anchor_;
        before_time_ = anchor_time_;
        anchor_ = sent_;
        anchor_time_ = now;
        put_back_ = {};
    }
    sent_ += audio;
    stats_.deepest = std::max(stats_.deepest, whole(sent_ - playhead(now)));
}

bool Playout::mark_due(bool flush) const noexcept {
    const auto unmarked = sent_ - marked_;
    return !marks_.full() && unmarked > Clock::duration{} && (flush || unmarked >= mark_interval);
}

std::string_view Playout::mark_name() noexcept {
    const auto end = fmt::format_to_n(name_, sizeof name_, "e{}:{}", epoch_, next_number_);
    return {name_, std::min(end.size, sizeof name_)};
}

void Playout::on_marked(TimePoint now) noexcept {
    Mark mark;
    mark.number = next_number_++;
    mark.position = sent_;
    mark.due = std::max(now, anchor_time_ + (sent_ - anchor_));
    if (marks_.try_push(mark)) ++stats_.marks;
    marked_ = sent_;
}

void Playout::on_echo(std::string_view name, TimePoint now) noexcept {
    const auto parsed = parse_name(name);
    const bool ours = parsed && parsed->epoch == epoch_ && !marks_.empty() &&
                      parsed->number >= marks_.front().number &&
                      parsed->number - marks_.front().number < marks_.size();
    if (!ours) {
        ++stats_.stale_echoes;
        return;
    }
    ++stats_.echoes;
    while (marks_.front().number != parsed->number)
        marks_.pop();  // their echoes were lost
    const Mark mark = marks_.front();
    marks_.pop();
    proven_ = std::max(proven_, mark.position);

    const auto lateness = now - mark.due;
    if (!way_known_) {
        way_known_ = true;
        way_ = std::max(lateness, Clock::duration{});
        return;
    }
    const auto beyond = lateness - way_;
    if (beyond > tolerance) {
        shift(beyond);  // playback stood still for that long
        put_back_ += beyond;
    } else if (beyond < Clock::duration{}) {
        // Earlier than ever: what we took for a stall was the echo's own delay, or the way is
        // shorter.
        const auto forward = std::min(-beyond, put_back_);
        shift(-forward);
        put_back_ -= forward;
        way_ = std::max(way_ + beyond + forward, Clock::duration{});
    }
}

void Playout::shift(Clock::duration later) noexcept {
    anchor_time_ += later;
    for (std::size_t i = 0; i < marks_.size(); ++i)
        marks_[i].due += later;
}

milliseconds Playout::unheard(TimePoint now) const noexcept {
    const auto heard = std::max(proven_, playhead(now - way_ / 2));
    return whole(sent_ - heard);
}

milliseconds Playout::clear(TimePoint now) noexcept {
    const auto thrown_away = unheard(now);
    ++stats_.clears;
    ++epoch_;
    sent_ = marked_ = proven_ = anchor_ = before_ = put_back_ = {};
    marks_.clear();
    return thrown_away;
}

}  // namespace oavc::transports::twilio
