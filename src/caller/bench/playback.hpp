#pragma once

#include "base/time.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::caller::bench {

/// What lies at Twilio between the connector and the caller's ear: µ-law that is played in real
/// time from the moment it enters an empty buffer, and the marks between it. Sans-I/O.
class Playback {
public:
    static constexpr std::size_t bytes_per_second = 8'000;
    static constexpr std::size_t longest = 10 * 60 * bytes_per_second;  ///< Twilio warning 31931
    static constexpr std::size_t most_marks = 1'000;
    static constexpr std::size_t chunk = 160;  ///< most that on_heard gets at once: 20 ms

    struct Stats {
        std::uint64_t overflowed{0};  ///< media or marks beyond the bounds: not taken
        std::size_t deepest{0};       ///< bytes
    };

    /// Silence of up to this between two pieces of audio is a gap within speech; what is longer is
    /// a pause. Between two replies lie the caller's words, more than a second of them.
    static constexpr Clock::duration longest_gap = std::chrono::seconds{1};

    /// Returns the gap that the caller hears because this came too late; 0: it came in time, or
    /// begins a reply. Only right when advance() was called for everything that has
    /// been played by now: see `ran_dry`.
    Clock::duration put(std::span<const std::byte> ulaw, TimePoint now) {
        if (bytes_.size() - head_ + ulaw.size() > longest) {
            ++stats_.overflowed;
            return {};
        }
        Clock::duration gap{0};
        if (head_ == bytes_.size() && !ulaw.empty()) gap = begin(now);
        if (head_ > 0 && head_ == bytes_.size()) {
            bytes_.clear();
            head_ = 0;
        }
        bytes_.insert(bytes_.end(), ulaw.begin(), ulaw.end());
        received_ += ulaw.size();
        stats_.deepest = std::max(stats_.deepest, bytes_.size() - head_);
        return gap;
    }

    /// Comes back from advance() once all audio put before it has been played.
    void mark(std::string_view name) {
        if (marks_.size() >= most_marks) {
            ++stats_.overflowed;
            return;
        }
        marks_.push_back({received_, std::string{name}});
    }

    /// Empties the buffer. All marks come back with the next advance().
    void clear() noexcept {
        played_ = received_;
        bytes_.clear();
        head_ = 0;
        dry_ = false;  // silence by order is no gap
    }

    /// Plays up to `now`: `on_heard(TimePoint, std::span<const std::byte>)` with the moment at
    /// which the first byte sounds, then `on_mark(std::string_view)` in order.
    template <class OnHeard, class OnMark>
    void advance(TimePoint now, OnHeard&& on_heard, OnMark&& on_mark) {
        while (head_ < bytes_.size() && next_ < now) {
            const auto due = static_cast<std::size_t>((now - next_) / byte_time);
            const auto size = std::min({due, bytes_.size() - head_, chunk});
            if (size == 0) break;
            on_heard(next_, std::span<const std::byte>{bytes_}.subspan(head_, size));
            head_ += size;
            played_ += size;
            next_ += byte_time * static_cast<Clock::rep>(size);
            if (head_ == bytes_.size()) {
                dry_ = true;
                bytes_.clear();
                head_ = 0;
            }
        }
        std::size_t reached = 0;
        while (reached < marks_.size() && marks_[reached].position <= played_)
            on_mark(std::string_view{marks_[reached++].name});
        marks_.erase(marks_.begin(), marks_.begin() + static_cast<std::ptrdiff_t>(reached));
        // What a long reply has left behind goes, but not at every step.
        if (head_ > 64 * chunk) {
            bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(head_));
            head_ = 0;
        }
    }

    /// advance() may have something to do.
    bool busy() const noexcept { return head_ < bytes_.size() || !marks_.empty(); }
    bool plays() const noexcept { return head_ < bytes_.size(); }
    /// All that is here has sounded by `now`; advance() has not yet told.
    bool ran_dry(TimePoint now) const noexcept {
        const auto rest = static_cast<Clock::rep>(bytes_.size() - head_);
        return rest > 0 && next_ + byte_time * rest < now;
    }
    const Stats& stats() const noexcept { return stats_; }

private:
    static constexpr Clock::duration byte_time = std::chrono::microseconds{125};

    struct Mark {
        std::uint64_t position;  ///< in bytes received before it
        std::string name;
    };

    Clock::duration begin(TimePoint now) noexcept {
        const bool in_time = !dry_ || now <= next_ || now - next_ > longest_gap;
        const auto gap = in_time ? Clock::duration{0} : now - next_;
        dry_ = false;
        next_ = std::max(next_, now);
        return gap;
    }

    std::vector<std::byte> bytes_;
    std::size_t head_{0};
    std::uint64_t received_{0};
    std::uint64_t played_{0};  ///< or cleared
    TimePoint next_{};         ///< when the next byte sounds
    bool dry_{false};
    std::vector<Mark> marks_;
    Stats stats_;
};

}  // namespace oavc::caller::bench
